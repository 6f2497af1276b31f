use std::time::Duration;

use axum::extract::State;

use crate::api::Shared;
use crate::api::problem::Problem;

/// Longest wait for the database's word; shorter than the timeouts that probes usually have.
const BOUND: Duration = Duration::from_secs(2);

/// `GET /livez`: the process answers. The database has no say: restarting us would not bring it back.
pub(in crate::api) async fn livez() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: requests can be answered: the schema is there, readable, and one that this version can work with. How far the
/// ledger lags is no matter here: readers are better served with old knowledge than with none.
pub(in crate::api) async fn readyz(State(shared): State<Shared>) -> Result<&'static str, Problem> {
    let version = tokio::time::timeout(BOUND, shared.reader.schema_version())
        .await
        .map_err(|_| Problem::unavailable("The database does not answer in time."))??;
    if version.is_compatible() {
        Ok("ok\n")
    } else {
        Err(Problem::unavailable(version.to_string()))
    }
}
