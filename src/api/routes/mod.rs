//! One file per route: its parameters, what it asks the ledger, the shape of its answer.

pub(super) mod agreement;
pub(super) mod asset;
pub(super) mod description;
pub(super) mod health;
pub(super) mod job;
pub(super) mod jobs;
pub(super) mod keeper_events;
pub(super) mod legacy;
pub(super) mod logs;
pub(super) mod preflight;
pub(super) mod results;
pub(super) mod sign_in;
pub(super) mod sync;
pub(super) mod transitions;

use std::sync::Arc;

use super::Shared;
use super::problem::Problem;
use crate::ids::DeploymentId;
use crate::keeper::Deployment;
use crate::ledger::reader::{self, JobRow};
use crate::ledger::{Error, Transaction};
use crate::workflows::Catalog;

impl Shared {
    /// The deployment that is shown; `None` while nothing was ever followed.
    async fn deployment(
        &self,
        transaction: &mut Transaction,
    ) -> Result<Option<DeploymentId>, Error> {
        reader::find_deployment(transaction, self.followed()).await
    }

    /// The deployment that is shown, with its contracts, for what cannot be told without them.
    pub(super) async fn contracts(
        &self,
        transaction: &mut Transaction,
    ) -> Result<(DeploymentId, &Deployment), Problem> {
        let keeper = self.keeper.as_deref().ok_or_else(|| {
            Problem::not_configured(
                "This process was not given the deployment file (TIDEWATCH_KEEPER).",
            )
        })?;
        let deployment = self.deployment(transaction).await?;
        let deployment = deployment
            .ok_or_else(|| Problem::unavailable("These contracts were never followed yet."))?;
        Ok((deployment, keeper))
    }

    /// The publisher's catalog as it is now.
    fn catalog(&self) -> Result<Arc<Catalog>, Problem> {
        let catalog = self.catalog.as_ref().ok_or_else(|| {
            Problem::not_configured(
                "This process was not given the publisher's catalog (TIDEWATCH_CATALOG).",
            )
        })?;
        Ok(Arc::clone(&catalog.borrow()))
    }

    /// The job that a path names, with its deployment. A text that is no job id names no job.
    pub(super) async fn job(
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
