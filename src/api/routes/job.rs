use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;

use crate::api::Shared;
use crate::api::job::JobDetails;
use crate::api::parameters::Parameters;
use crate::api::problem::Problem;
use crate::api::segment::Segment;
use crate::ids::DeploymentId;
use crate::jobs::Phase;
use crate::ledger::Connection;
use crate::ledger::reader::{self, DetailsRow, QueueRow};

/// A job in full, with the verdict rule by rule. What the algorithm could choose (its exit code) is for those who
/// may read its log as it is.
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
    let caller = shared.caller(&headers).await?;
    Parameters::read(query.as_deref())?.finish()?;
    // What is shown of a job is read by one statement, which sees one moment: no transaction is needed.
    let mut connection = shared.reader.acquire().await?;
    let found = Found::find(&shared, &mut connection, &id).await?;
    let view = shared.view(&mut connection, caller, &id).await?;
    Ok(Json(
        JobDetails::new(found.details, &view).queued(found.queue),
    ))
}

/// A job with everything that stands beside it.
#[derive(Debug)]
pub(in crate::api) struct Found {
    /// Its deployment.
    pub(in crate::api) deployment: DeploymentId,
    /// The job with all that is shown of it.
    pub(in crate::api) details: DetailsRow,
    /// What it waits for, while it is queued.
    pub(in crate::api) queue: Option<QueueRow>,
}

impl Found {
    /// The job that a path names.
    pub(in crate::api) async fn find(
        shared: &Shared,
        connection: &mut Connection,
        id: &str,
    ) -> Result<Self, Problem> {
        let name = id.parse().map_err(|_| Problem::job_not_found())?;
        let deployment = shared.deployment(connection).await?;
        let deployment = deployment.ok_or_else(Problem::job_not_found)?;
        let details = reader::find_details(connection, deployment, &name).await?;
        let details = details.ok_or_else(Problem::job_not_found)?;
        let queue = match details.job.phase {
            Phase::Queued => reader::find_in_queue(connection, deployment, details.job.id).await?,
            _ => None,
        };
        Ok(Self {
            deployment,
            details,
            queue,
        })
    }
}
