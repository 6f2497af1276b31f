use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;

use crate::api::Shared;
use crate::api::job::JobDetails;
use crate::api::parameters::Parameters;
use crate::api::problem::Problem;
use crate::api::segment::Segment;
use crate::jobs::Phase;
use crate::ledger::reader;

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
    let mut transaction = shared.reader.snapshot().await?;
    let view = shared.view(&mut transaction, caller, &id).await?;
    let (deployment, job) = shared.job(&mut transaction, &id).await?;
    let verdict = reader::find_last_verdict(&mut transaction, job.id).await?;
    let workflow = reader::find_workflow(&mut transaction, deployment, &job.name).await?;
    let awaited = match job.phase {
        Phase::AwaitingDocument => {
            reader::find_awaited(&mut transaction, deployment, &job.name).await?
        }
        _ => None,
    };
    let queue = match job.phase {
        Phase::Queued => reader::find_in_queue(&mut transaction, deployment, job.id).await?,
        _ => None,
    };
    let attempts = reader::list_attempts(&mut transaction, job.id).await?;
    let found = (verdict, workflow, awaited);
    let details = JobDetails::new(job, found, attempts, &view);
    Ok(Json(details.queued(queue)))
}
