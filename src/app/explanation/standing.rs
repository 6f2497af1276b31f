use super::find_awaited;
use crate::ids::{AgreementId, DeploymentId};
use crate::keeper::{ContractCalls, Deployment};
use crate::ledger::Connection;
use crate::ledger::reader::{self, ActRow, JobFilter, JobRow, Progress, ToldEvent, VerdictRow};
use crate::preflight::Awaited;

/// Most jobs of one agreement that are told; an honest one has one.
const MOST_JOBS: u32 = 20;

/// Where it is looked.
#[derive(Debug)]
pub(in crate::app) struct Looking<'a, C> {
    /// The deployment in the ledger.
    pub(in crate::app) deployment: DeploymentId,
    /// Its contracts.
    pub(in crate::app) keeper: &'a Deployment,
    /// A node, if one was named.
    pub(in crate::app) calls: Option<&'a C>,
}

/// Everything that is known of an agreement.
#[derive(Debug)]
pub(in crate::app) struct Standing {
    pub(super) agreement: AgreementId,
    pub(super) events: Vec<ToldEvent>,
    pub(super) awaited: Awaited,
    pub(super) jobs: Vec<(JobRow, Option<VerdictRow>)>,
    pub(super) acts: Vec<ActRow>,
    pub(super) progress: Option<Progress>,
}

impl Standing {
    /// Gathers it.
    pub(in crate::app) async fn find<C: ContractCalls>(
        connection: &mut Connection,
        looking: &Looking<'_, C>,
        agreement: AgreementId,
    ) -> anyhow::Result<Self> {
        let deployment = looking.deployment;
        let progress = reader::progress(connection, deployment).await?;
        let filter = JobFilter {
            agreement: Some(agreement),
            ..JobFilter::default()
        };
        let mut jobs = Vec::new();
        for job in reader::list_jobs(connection, deployment, &filter, MOST_JOBS).await? {
            let verdict = reader::find_last_verdict(connection, job.id).await?;
            jobs.push((job, verdict));
        }
        let acts = reader::list_acts(connection, deployment, agreement).await?;
        let judged = progress.as_ref().map_or(0, |progress| progress.judged);
        Ok(Self {
            agreement,
            events: reader::list_told(connection, deployment, agreement).await?,
            awaited: find_awaited(connection, looking, agreement, judged).await?,
            jobs,
            acts,
            progress,
        })
    }
}
