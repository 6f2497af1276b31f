//! One file per route: its parameters, what it asks the ledger, the shape of its answer.

pub(super) mod health;
pub(super) mod job;
pub(super) mod jobs;
pub(super) mod legacy;
pub(super) mod logs;
pub(super) mod sync;
pub(super) mod transitions;

use super::Shared;
use super::problem::Problem;
use crate::ids::DeploymentId;
use crate::ledger::reader::{self, JobRow};
use crate::ledger::{Error, Transaction};

impl Shared {
    /// The deployment that is shown; `None` while nothing was ever followed.
    async fn deployment(
        &self,
        transaction: &mut Transaction,
    ) -> Result<Option<DeploymentId>, Error> {
        reader::find_deployment(transaction, self.followed).await
    }

    /// The job that a path names, with its deployment. A text that is no job id names no job.
    async fn job(
        &self,
        transaction: &mut Transaction,
        id: &str,
    ) -> Result<(DeploymentId, JobRow), Problem> {
        let name = id.parse().map_err(|_| Problem::job_not_found())?;
        let deployment = self.deployment(transaction).await?;
        let deployment = deployment.ok_or_else(Problem::job_not_found)?;
        let job = reader::find_job(transaction, deployment, &name).await?;
        Ok((deployment, job.ok_or_else(Problem::job_not_found)?))
    }
}
