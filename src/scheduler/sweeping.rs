//! Finding workflows in the engine that no job has on record.
//!
//! A dispatcher that was stalled inside its call can make a workflow after its job ran elsewhere, was over and was removed. It is
//! inert and runs nothing, but nobody would ever look for it again. So the engine's workflows are listed now and then and their
//! identities compared with the ledger's. What is found twice, a sweep apart, is confirmed, and the reaper removes it if it is
//! inert still. A list that failed says nothing; a job whose workflow is missing from the list is the observer's own matter, which
//! asks for it by name.
//!
//! Workflows under names that no job of ours has are left alone: several ledgers may share a namespace.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::Error;
use crate::engine::Engine;
use crate::ids::DeploymentId;
use crate::ledger::Ledger;
use crate::ledger::strays::{self, Sighted};

/// Longest wait for the list.
const LIST_WITHIN: Duration = Duration::from_secs(30);

/// When the engine's workflows were listed last.
#[derive(Debug)]
pub(super) struct Sweeping {
    apart: Duration,
    last: Option<Instant>,
}

impl Sweeping {
    pub(super) const fn every(apart: Duration) -> Self {
        Self { apart, last: None }
    }

    /// Lists and compares, if it is time.
    pub(super) async fn sweep<E: Engine>(
        &mut self,
        ledger: &Ledger,
        deployment: DeploymentId,
        engine: &E,
    ) -> Result<(), Error> {
        if self.last.is_some_and(|last| last.elapsed() < self.apart) {
            return Ok(());
        }
        let listed = timeout(LIST_WITHIN, engine.list()).await;
        let listed = listed
            .map_err(|_| Error::ListOutOfTime)?
            .map_err(Error::list)?;
        let seen: Vec<_> = listed
            .into_iter()
            .map(|present| Sighted {
                name: present.job,
                uid: present.uid.0,
            })
            .collect();
        let mut connection = ledger.acquire().await?;
        let open = strays::sight(&mut connection, deployment, &seen, self.apart).await?;
        self.last = Some(Instant::now());
        if open > 0 {
            tracing::warn!(
                deployment = deployment.0,
                workflows = open,
                "{open} workflows are in the engine that no job has on record"
            );
        }
        Ok(())
    }
}
