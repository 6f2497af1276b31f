use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;

use crate::api::Shared;
use crate::api::job::JobDetails;
use crate::api::operator_token::Caller;
use crate::api::parameters::Parameters;
use crate::api::problem::Problem;
use crate::ledger::reader;

/// `GET /v1/jobs/{id}`: a job in full; operators see what the algorithm could choose, too.
pub(in crate::api) async fn show(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<JobDetails>, Problem> {
    let caller = shared.operator_token.identify(&headers).await?;
    Parameters::read(query.as_deref())?.finish()?;
    let mut transaction = shared.reader.snapshot().await?;
    let (deployment, job) = shared.job(&mut transaction, &id).await?;
    let verdict = reader::find_last_verdict(&mut transaction, job.id).await?;
    let workflow = reader::find_workflow(&mut transaction, deployment, &job.name).await?;
    let attempts = reader::list_attempts(&mut transaction, job.id).await?;
    let for_operator = caller == Caller::Operator;
    Ok(Json(JobDetails::new(
        job,
        verdict,
        workflow,
        attempts,
        for_operator,
    )))
}
