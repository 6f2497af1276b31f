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
    let name = id.parse().map_err(|_| Problem::job_not_found())?;
    let deployment = shared.deployment(&mut transaction).await?;
    let deployment = deployment.ok_or_else(Problem::job_not_found)?;
    let details = reader::find_details(&mut transaction, deployment, &name).await?;
    let details = details.ok_or_else(Problem::job_not_found)?;
    let queue = match details.job.phase {
        Phase::Queued => reader::find_in_queue(&mut transaction, deployment, details.job.id).await?,
        _ => None,
    };
    let details = JobDetails::new(details, &view);
    Ok(Json(details.queued(queue)))
}
