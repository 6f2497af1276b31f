use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;

use crate::api::Shared;
use crate::api::job::JobDetails;
use crate::api::operator_token::Caller;
use crate::api::parameters::Parameters;
use crate::api::problem::Problem;
use crate::api::segment::Segment;
use crate::ids::DeploymentId;
use crate::jobs::Phase;
use crate::ledger::Transaction;
use crate::ledger::reader::{
    self, AttemptRow, AwaitedRow, JobRow, QueueRow, VerdictRow, WorkflowRow,
};

/// A job in full, with the verdict rule by rule. What the algorithm could choose (its exit code) is for those who may read its log.
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = "jobs",
    params(("id" = String, Path, description = "The job.", pattern = "^job-[0-9a-f]{32}$")),
    security((), ("bearer" = [])),
    responses(
        (status = 200, description = "The job.", body = JobDetails),
        (status = "default", description = "Anything else.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::api) async fn show(
    State(shared): State<Shared>,
    Segment(id): Segment,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<JobDetails>, Problem> {
    let caller = shared.operator_token.identify(&headers).await?;
    Parameters::read(query.as_deref())?.finish()?;
    let mut transaction = shared.reader.snapshot().await?;
    let found = Found::find(&shared, &mut transaction, &id).await?;
    let for_operator = caller == Caller::Operator;
    let beside = (found.verdict, found.workflow, found.awaited);
    let details = JobDetails::new(found.job, beside, found.attempts, for_operator);
    Ok(Json(details.queued(found.queue)))
}

/// A job with everything that stands beside it.
#[derive(Debug)]
pub(in crate::api) struct Found {
    /// The job.
    pub(in crate::api) job: JobRow,
    /// Its deployment.
    pub(in crate::api) deployment: DeploymentId,
    /// The verdict in force.
    pub(in crate::api) verdict: Option<VerdictRow>,
    /// What runs, once it is frozen.
    pub(in crate::api) workflow: Option<WorkflowRow>,
    /// What is looked for elsewhere, while it is.
    pub(in crate::api) awaited: Option<AwaitedRow>,
    /// What it waits for, while it is queued.
    pub(in crate::api) queue: Option<QueueRow>,
    /// Each start, with its stages.
    pub(in crate::api) attempts: Vec<AttemptRow>,
}

impl Found {
    /// The job that a path names.
    pub(in crate::api) async fn find(
        shared: &Shared,
        transaction: &mut Transaction,
        id: &str,
    ) -> Result<Self, Problem> {
        let (deployment, job) = shared.job(transaction, id).await?;
        let verdict = reader::find_last_verdict(transaction, job.id).await?;
        let workflow = reader::find_workflow(transaction, deployment, &job.name).await?;
        let awaited = match job.phase {
            Phase::AwaitingDocument => {
                reader::find_awaited(transaction, deployment, &job.name).await?
            }
            _ => None,
        };
        let queue = match job.phase {
            Phase::Queued => reader::find_in_queue(transaction, deployment, job.id).await?,
            _ => None,
        };
        let attempts = reader::list_attempts(transaction, job.id).await?;
        Ok(Self {
            job,
            deployment,
            verdict,
            workflow,
            awaited,
            queue,
            attempts,
        })
    }
}
