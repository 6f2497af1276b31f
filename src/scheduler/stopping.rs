//! Telling the engine to end what an operator stopped.
//!
//! No lease: telling it twice is telling it once, and what is told names the recorded workflow by its uid. A death between telling
//! and noting tells it again. That the attempt ended is then seen as any other end is.

use super::Error;
use crate::engine::{Engine, WorkflowUid};
use crate::ids::DeploymentId;
use crate::ledger::Ledger;
use crate::ledger::interventions::{self, Stop};
use crate::worker::Chain;

/// Jobs of one tick.
const BATCH: i64 = 100;

/// Tells the engine to end whatever an operator stopped. One that cannot be told now holds up no other, and is told at the next tick.
///
/// # Errors
/// The ledger's.
pub(super) async fn tell_stops<E: Engine>(
    ledger: &Ledger,
    deployment: DeploymentId,
    engine: &E,
) -> Result<(), Error> {
    let mut connection = ledger.acquire().await?;
    let stops = interventions::list_stops(&mut connection, deployment, BATCH).await?;
    drop(connection);
    for stop in stops {
        if let Err(error) = tell(ledger, engine, &stop).await {
            let job = &stop.name;
            tracing::warn!(%job, error = %Chain(&error), "{job} cannot be stopped now and will be told again");
        }
    }
    Ok(())
}

async fn tell<E: Engine>(ledger: &Ledger, engine: &E, stop: &Stop) -> Result<(), Error> {
    let uid = WorkflowUid(stop.workflow_uid.clone());
    engine
        .stop(&stop.name, &uid)
        .await
        .map_err(Error::engine("stop", &stop.name))?;
    let mut connection = ledger.acquire().await?;
    Ok(interventions::note_told(&mut connection, stop).await?)
}
