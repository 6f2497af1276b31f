//! The reads of the services before us (OEP-12; Operator-Service and Brizo), answered from the ledger for clients that poll them.
//!
//! Parameters that they sent to prove who they are (signatures, nonces) are not looked at: nothing here is secret, and nothing can
//! be changed. What was started, stopped and deleted by a request is done on chain now, and the answer says so.

use std::str::FromStr;

use axum::extract::{RawQuery, State};
use axum::http::Method;
use axum::routing::{MethodRouter, get};
use axum::{Json, Router};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Shared;
use crate::api::job::oep12;
use crate::api::notation::{address, time};
use crate::api::parameters::Parameters;
use crate::api::problem::Problem;
use crate::jobs::Outcome;
use crate::ledger::reader::{self, JobFilter, JobRow};

/// Most jobs in an answer: these routes have no pages.
const MOST: u32 = 100;

const START: &str = "Jobs are not started here: the provider's fulfilment of the agreement's compute condition on chain starts one.";
const STOP: &str = "Jobs are not stopped here: an agreement ends on chain, and its publisher can stop a job with the operator's command.";
const DELETE: &str = "Jobs are not deleted here: the record of what the chain asked for stays.";

/// A job as OEP-12's clients read it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct LegacyJob {
    /// The consumer.
    owner: String,
    /// The agreement.
    agreement_id: String,
    /// The job.
    job_id: String,
    /// When it was recorded.
    #[schema(format = DateTime)]
    date_created: String,
    /// When it ended.
    #[schema(format = DateTime)]
    date_finished: Option<String>,
    /// OEP-12's status.
    status: u16,
    /// The same in words.
    status_text: &'static str,
    /// Relative to this service's origin.
    algorithm_log_url: String,
    /// Always empty: results are not fetched this way.
    results_urls: Vec<String>,
    /// Always empty.
    results_did: String,
    /// 1 if somebody stopped it.
    stopreq: u8,
    /// Always 0: nothing is removed.
    removed: u8,
    /// The algorithm's DID.
    #[serde(rename = "algoDID")]
    algo_did: Option<String>,
    /// The asset.
    #[serde(rename = "inputDID")]
    input_did: Vec<String>,
}

/// The paths of the services before us.
pub(in crate::api) fn router() -> Router<Shared> {
    Router::new()
        .route(
            "/api/v1/operator/compute",
            refusing_changes(get(operator_compute)),
        )
        .route("/api/v1/operator/runningjobs", get(running_jobs))
        .route(
            "/api/v1/brizo/services/compute",
            refusing_changes(get(brizo_compute)),
        )
}

/// Changes are no methods of these paths, and `Allow` does not list them; but who asks for one is told where it is done.
fn refusing_changes(reads: MethodRouter<Shared>) -> MethodRouter<Shared> {
    reads.fallback(|method: Method| async move {
        match method {
            Method::POST => Problem::done_on_chain(START),
            Method::PUT => Problem::done_on_chain(STOP),
            Method::DELETE => Problem::done_on_chain(DELETE),
            _ => Problem::method_not_allowed(),
        }
    })
}

/// Operator-Service's read: at least one filter is needed. Its other parameters are not looked at.
#[utoipa::path(get, path = "/api/v1/operator/compute", tag = "legacy",
    params(
        ("agreementId" = Option<String>, Query, description = "The agreement.", pattern = "^((0x)?[0-9a-fA-F]{64})?$"),
        ("jobId" = Option<String>, Query, description = "The job.", pattern = "^(job-[0-9a-f]{32})?$"),
        ("owner" = Option<String>, Query, description = "The consumer.", pattern = "^((0x)?[0-9a-fA-F]{40})?$"),
        ("chainId" = Option<u64>, Query, minimum = 0, maximum = 9223372036854775807_u64, description = "The chain."),
    ),
    responses(
        (status = 200, description = "The jobs, at most 100.", body = Vec<LegacyJob>),
        (status = "default", description = "Anything else.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::api) async fn operator_compute(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<Json<Vec<LegacyJob>>, Problem> {
    let mut parameters = Parameters::read(query.as_deref())?;
    let wanted = "a chain's number";
    let chain_id: Option<i64> = value(&mut parameters, "chainId", wanted)?;
    let chain_id = chain_id.map(u64::try_from).transpose();
    let chain_id = chain_id.map_err(|_| Problem::invalid_parameter("chainId", wanted))?;
    let filter = filter(&mut parameters, "agreementId", "owner")?;
    let Some(filter) = filter.or_else(|| chain_id.map(|_| JobFilter::default())) else {
        return Err(Problem::missing_filter(
            "agreementId, jobId, owner and chainId",
        ));
    };
    list(&shared, &filter, chain_id).await
}

/// Brizo's read: at least one filter is needed. Its other parameters are not looked at.
#[utoipa::path(get, path = "/api/v1/brizo/services/compute", tag = "legacy",
    params(
        ("serviceAgreementId" = Option<String>, Query, description = "The agreement.", pattern = "^((0x)?[0-9a-fA-F]{64})?$"),
        ("jobId" = Option<String>, Query, description = "The job.", pattern = "^(job-[0-9a-f]{32})?$"),
        ("consumerAddress" = Option<String>, Query, description = "The consumer.", pattern = "^((0x)?[0-9a-fA-F]{40})?$"),
    ),
    responses(
        (status = 200, description = "The jobs, at most 100.", body = Vec<LegacyJob>),
        (status = "default", description = "Anything else.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::api) async fn brizo_compute(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<Json<Vec<LegacyJob>>, Problem> {
    let mut parameters = Parameters::read(query.as_deref())?;
    let filter = filter(&mut parameters, "serviceAgreementId", "consumerAddress")?;
    let Some(filter) = filter else {
        return Err(Problem::missing_filter(
            "serviceAgreementId, jobId and consumerAddress",
        ));
    };
    list(&shared, &filter, None).await
}

/// Operator-Service's list of jobs that have not ended.
#[utoipa::path(get, path = "/api/v1/operator/runningjobs", tag = "legacy",
    responses(
        (status = 200, description = "The jobs, at most 100.", body = Vec<LegacyJob>),
        (status = "default", description = "Anything else.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::api) async fn running_jobs(
    State(shared): State<Shared>,
) -> Result<Json<Vec<LegacyJob>>, Problem> {
    let filter = JobFilter {
        unfinished: true,
        ..JobFilter::default()
    };
    list(&shared, &filter, None).await
}

/// Reads the filters by the names that a service gave them; `None` when there is none.
fn filter(
    parameters: &mut Parameters,
    agreement: &str,
    owner: &str,
) -> Result<Option<JobFilter>, Problem> {
    let filter = JobFilter {
        agreement: value(parameters, agreement, "64 hexadecimal digits")?,
        consumer: value(
            parameters,
            owner,
            "an address: 0x and 40 hexadecimal digits",
        )?,
        name: value(parameters, "jobId", "job- and 32 hexadecimal digits")?,
        ..JobFilter::default()
    };
    let is_any = filter.agreement.is_some() || filter.consumer.is_some() || filter.name.is_some();
    Ok(is_any.then_some(filter))
}

/// Takes a parameter. An empty one is absent: squid-py sends `jobId=` for any job, squid-js `serviceAgreementId=` for any agreement.
fn value<T: FromStr>(
    parameters: &mut Parameters,
    name: &str,
    wanted: &str,
) -> Result<Option<T>, Problem> {
    let text = parameters.text(name).filter(|text| !text.is_empty());
    text.map(|text| {
        text.parse()
            .map_err(|_| Problem::invalid_parameter(name, wanted))
    })
    .transpose()
}

async fn list(
    shared: &Shared,
    filter: &JobFilter,
    chain_id: Option<u64>,
) -> Result<Json<Vec<LegacyJob>>, Problem> {
    let mut transaction = shared.reader.snapshot().await?;
    let Some(deployment) = shared.deployment(&mut transaction).await? else {
        return Ok(Json(Vec::new()));
    };
    let mut rows = reader::list_jobs(&mut transaction, deployment, filter, MOST).await?;
    rows.retain(|row| chain_id.is_none_or(|chain_id| chain_id == row.chain_id));
    let names: Vec<_> = rows.iter().map(|row| row.name.to_string()).collect();
    let mut algorithms = reader::list_algorithms(&mut transaction, deployment, &names).await?;
    let jobs = rows.iter().zip(names);
    let jobs = jobs.map(|(row, name)| LegacyJob::new(row, algorithms.remove(&name)));
    Ok(Json(jobs.collect()))
}

impl LegacyJob {
    fn new(row: &JobRow, algo_did: Option<String>) -> Self {
        let oep12 = oep12(row);
        Self {
            owner: address(row.consumer),
            agreement_id: row.agreement.to_string(),
            job_id: row.name.to_string(),
            date_created: time(row.created_at),
            date_finished: row.finished_at.map(time),
            status: oep12.status,
            status_text: oep12.status_text,
            algorithm_log_url: format!("/v1/jobs/{}/logs?stage=algorithm", row.name),
            results_urls: Vec::new(),
            results_did: String::new(),
            stopreq: u8::from(row.outcome == Some(Outcome::Stopped)),
            removed: 0,
            algo_did,
            input_did: vec![row.did.to_string()],
        }
    }
}
