use std::time::Duration;

use super::ResolverSettings;
use crate::documents::Documents;
use crate::ids::{DeploymentId, JobId, JobName};
use crate::ledger::leases::{self, Lease};
use crate::ledger::{self, Ledger, job_documents, parked};
use crate::scheduler::{Error, holding};
use crate::worker::Chain;
use crate::workflows::{Finding, Want};

/// How long a job is leased for one errand, renewed while it lasts.
pub(super) const LEASE: Duration = Duration::from_secs(15);

/// Looking for one thing that one job needs, under a lease.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) ledger: Ledger,
    pub(super) documents: Documents,
    pub(super) settings: ResolverSettings,
    pub(super) deployment: DeploymentId,
    pub(super) job: JobId,
    pub(super) name: JobName,
    pub(super) lease: Lease,
    pub(super) want: Want,
}

impl Errand {
    /// Looks, and records what came of it. What strangers' servers do is no error.
    pub(super) async fn run(self) -> Result<(), Error> {
        let step = async { Ok(self.documents.find(&self.want).await) };
        let looked = holding::while_renewed(&self.ledger, &self.lease, &self.name, LEASE, step);
        let recorded = match looked.await {
            Ok(Ok(finding)) => self.record(&finding).await,
            Ok(Err(error)) => {
                let problem = Chain(&error).to_string();
                self.count_try(&problem).await
            }
            Err(error) => Err(error),
        };
        match recorded {
            Ok(()) => Ok(()),
            Err(error) => {
                let (ledger, deployment) = (&self.ledger, self.deployment);
                holding::settle(ledger, deployment, &self.lease, &self.name, error).await
            }
        }
    }

    async fn record(&self, finding: &Finding) -> Result<(), Error> {
        let mut transaction = self.ledger.begin().await?;
        leases::confirm(&mut transaction, &self.lease).await?;
        job_documents::record(&mut transaction, self.job, &self.want, finding).await?;
        leases::release(&mut transaction, &self.lease).await?;
        Ok(ledger::commit(transaction).await?)
    }

    async fn count_try(&self, problem: &str) -> Result<(), Error> {
        let mut transaction = self.ledger.begin().await?;
        leases::confirm(&mut transaction, &self.lease).await?;
        let patience = self.settings.patience;
        let tries =
            job_documents::count_try(&mut transaction, self.job, &self.want, problem, patience)
                .await?;
        let (job, words) = (&self.name, self.want.words());
        if let Some(tries) = tries {
            let pause = self.settings.pause_after(tries);
            leases::yield_for(&mut transaction, &self.lease, pause).await?;
            let seconds = pause.as_secs();
            tracing::warn!(%job, tries, problem, seconds, "{job} waits for its {words}; it is looked for again in {seconds} s");
        } else {
            let reason = format!("the {words} could not be had in time: {problem}");
            parked::park_document(&mut transaction, self.deployment, job, &reason).await?;
            leases::release(&mut transaction, &self.lease).await?;
            tracing::warn!(%job, problem, "the {words} of {job} could not be had in time; `parked replay` has it looked for again");
        }
        Ok(ledger::commit(transaction).await?)
    }
}
