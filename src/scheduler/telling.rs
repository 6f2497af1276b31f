//! Tells the engine how the events of running jobs stand on the chain.
//!
//! The ledger says that results have to wait, that they need not any more, or that the event is gone for good and the job is to be
//! ended; the follower and the judge have decided it. What the ledger says is told until the engine has it, and safe to tell twice, so
//! a death before, between or after changes nothing. Somebody who was stalled may tell what is no longer true: whatever is not usual is
//! told at every look, and the usual again after a while, so that the last word is the ledger's. Only the withdrawal cannot be taken
//! back, and it is true for ever. Should something be published in between, the ledger does not record it (`ending.rs`).
//!
//! It holds no lease: whoever follows the job's log has it, as long as the job runs.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt;
use tokio::time::{Instant, timeout};

use super::Error;
use crate::engine::{Engine, WorkflowUid};
use crate::ids::{DeploymentId, JobId};
use crate::jobs::Footing;
use crate::ledger::Ledger;
use crate::ledger::upkeep::{self, Watched};

/// Jobs that are told of side by side.
const SIDE_BY_SIDE: usize = 8;

/// Longest wait for one answer of the engine.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// How long the usual, once told, is taken for known.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// What one replica has told. In memory only: a restart tells everything once more.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// When an attempt was last told that nothing is unusual.
    usual: HashMap<(JobId, u32), Instant>,
}

impl Telling {
    /// Tells of every running job what the engine may not know.
    ///
    /// # Errors
    /// The first of the ledger's and the engine's, once all were tried.
    pub(super) async fn tell<E: Engine>(
        &mut self,
        ledger: &Ledger,
        deployment: DeploymentId,
        engine: &E,
    ) -> Result<(), Error> {
        let mut connection = ledger.acquire().await?;
        let watched = upkeep::list_watched(&mut connection, deployment).await?;
        drop(connection);
        let mut running = watched;
        running.retain(|job| job.status.phase.is_live());
        let is_usual = |known: &(JobId, u32)| {
            let mut jobs = running.iter();
            jobs.any(|job| job.footing == Footing::Canonical && key(job) == *known)
        };
        self.usual
            .retain(|known, at| at.elapsed() < KNOWN_FOR && is_usual(known));
        running.retain(|job| !self.is_known(job));
        let mut telling = futures::stream::iter(running)
            .map(|job| tell(engine, job))
            .buffer_unordered(SIDE_BY_SIDE);
        let mut outcome = Ok(());
        while let Some((job, told)) = telling.next().await {
            if told.is_ok() && job.footing == Footing::Canonical {
                self.usual.insert(key(&job), Instant::now());
            }
            outcome = outcome.and(told);
        }
        outcome
    }

    fn is_known(&self, job: &Watched) -> bool {
        job.footing == Footing::Canonical && self.usual.contains_key(&key(job))
    }
}

const fn key(job: &Watched) -> (JobId, u32) {
    (job.job, job.status.attempt)
}

async fn tell<E: Engine>(engine: &E, job: Watched) -> (Watched, Result<(), Error>) {
    let uid = WorkflowUid(job.workflow_uid.clone());
    let telling = engine.set_footing(&job.name, &uid, job.status.attempt, job.footing);
    let told = match timeout(ANSWER_WITHIN, telling).await {
        Ok(told) => told.map_err(Error::engine(
            "pass on what became of the event of",
            &job.name,
        )),
        Err(_) => Err(Error::OutOfTime {
            job: job.name.clone(),
        }),
    };
    (job, told)
}
