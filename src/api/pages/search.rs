//! One box that takes anything: looks for all that a text can be, and goes where there is only one way to go.

use alloy::primitives::{Address, B256};
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::frame::Page;
use super::sought::Sought;
use super::words::{id, linked, plain, words};
use crate::api::Shared;
use crate::api::notation::{address, hash};
use crate::api::parameters::Parameters;
use crate::api::problem::Problem;
use crate::api::routes::sync::Standing;
use crate::ids::{AgreementId, ConditionId, DeploymentId, Did};
use crate::ledger::reader::{self, EventFilter, JobFilter, JobRow};
use crate::ledger::{Error, Transaction};

/// Most jobs of each kind that are shown.
const MOST: u32 = 20;
/// Longest text that is looked at.
const LONGEST: usize = 300;

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hit {
    what: &'static str,
    name: String,
    to: String,
    note: String,
}

impl Hit {
    fn job(job: &JobRow) -> Self {
        let status = job
            .outcome
            .map_or(job.phase.as_str(), |outcome| outcome.as_str());
        Self {
            what: "Job",
            name: job.name.to_string(),
            to: format!("/jobs/{}", job.name),
            note: words(status),
        }
    }

    fn agreement(agreement: AgreementId, note: &str) -> Self {
        Self {
            what: "Agreement",
            name: agreement.to_string(),
            to: format!("/agreements/{agreement}"),
            note: note.to_owned(),
        }
    }
}

/// `GET /search?q=`: goes to what it is, or shows what it can be.
pub(super) async fn show(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let mut parameters = Parameters::read(query.as_deref())?;
    let text = parameters.text("q").unwrap_or_default();
    parameters.finish()?;
    let sought = match text.len() {
        ..=LONGEST => Sought::read(&text),
        _ => Sought::Nothing,
    };
    let mut transaction = shared.reader.snapshot().await?;
    let standing = Standing::find(&shared, &mut transaction).await?;
    let hits = match shared.deployment(&mut transaction).await? {
        Some(deployment) => find(&shared, &mut transaction, deployment, &sought).await?,
        None => Vec::new(),
    };
    drop(transaction);
    if let [only] = hits.as_slice() {
        return Ok(Redirect::to(&only.to).into_response());
    }
    let text: String = text.chars().take(LONGEST).collect();
    let body = match hits.is_empty() {
        true => nothing(&text, &sought),
        false => several(&hits),
    };
    let page = Page::new("Search", "", (&standing, shared.clock.now()), body);
    let status = match hits.is_empty() {
        true => StatusCode::NOT_FOUND,
        false => StatusCode::OK,
    };
    Ok(Page {
        searched: text,
        status,
        ..page
    }
    .into_response())
}

async fn find(
    shared: &Shared,
    transaction: &mut Transaction,
    deployment: DeploymentId,
    sought: &Sought,
) -> Result<Vec<Hit>, Error> {
    match sought {
        Sought::Job(name) => {
            let job = reader::find_job(transaction, deployment, name).await?;
            Ok(job.iter().map(Hit::job).collect())
        }
        Sought::Hash(hash) => of_hash(shared, transaction, deployment, *hash).await,
        Sought::Asset(did) => of_asset(shared, transaction, deployment, *did).await,
        Sought::Account(account) => of_account(transaction, deployment, *account).await,
        Sought::Nothing => Ok(Vec::new()),
    }
}

async fn of_hash(
    shared: &Shared,
    transaction: &mut Transaction,
    deployment: DeploymentId,
    its: B256,
) -> Result<Vec<Hit>, Error> {
    let mut hits = of_agreement(transaction, deployment, AgreementId(its)).await?;
    hits.extend(of_condition(transaction, deployment, ConditionId(its)).await?);
    hits.extend(of_transaction(transaction, deployment, its).await?);
    hits.extend(of_asset(shared, transaction, deployment, Did(its)).await?);
    hits.dedup();
    Ok(hits)
}

async fn of_agreement(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    agreement: AgreementId,
) -> Result<Vec<Hit>, Error> {
    let filter = JobFilter {
        agreement: Some(agreement),
        ..JobFilter::default()
    };
    let jobs = reader::list_jobs(transaction, deployment, &filter, MOST).await?;
    if !jobs.is_empty() {
        return Ok(jobs.iter().map(Hit::job).collect());
    }
    let told = reader::list_told(transaction, deployment, agreement).await?;
    let hit = Hit::agreement(agreement, "no job yet");
    Ok((!told.is_empty()).then_some(hit).into_iter().collect())
}

/// The job of a condition; of one without a job, the agreements that it was made with.
async fn of_condition(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    condition: ConditionId,
) -> Result<Vec<Hit>, Error> {
    let filter = JobFilter {
        condition: Some(condition),
        ..JobFilter::default()
    };
    let jobs = reader::list_jobs(transaction, deployment, &filter, MOST).await?;
    if !jobs.is_empty() {
        return Ok(jobs.iter().map(Hit::job).collect());
    }
    let filter = EventFilter {
        condition: Some(condition),
        ..EventFilter::default()
    };
    let events = reader::list_events(transaction, deployment, &filter, 1).await?;
    let mut hits = Vec::new();
    for event in events {
        for agreement in reader::agreements_of(transaction, deployment, event.transaction).await? {
            hits.push(Hit::agreement(agreement, "the condition is one of its own"));
        }
    }
    Ok(hits)
}

/// A transaction of one job, or of one agreement without a job, leads there; any other to itself.
async fn of_transaction(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    its: B256,
) -> Result<Vec<Hit>, Error> {
    let filter = JobFilter {
        transaction: Some(its),
        ..JobFilter::default()
    };
    let jobs = reader::list_jobs(transaction, deployment, &filter, MOST).await?;
    let agreements = reader::agreements_of(transaction, deployment, its).await?;
    let hit = match (jobs.as_slice(), agreements.as_slice()) {
        ([job], [_] | []) => Hit::job(job),
        ([], [agreement]) => Hit::agreement(*agreement, "no job yet"),
        ([], [])
            if reader::logs_of(transaction, deployment, its)
                .await?
                .is_empty() =>
        {
            return Ok(Vec::new());
        }
        _ => Hit {
            what: "Transaction",
            name: hash(its),
            to: format!("/transactions/{its:#x}"),
            note: format!("of {} agreements", agreements.len()),
        },
    };
    Ok(vec![hit])
}

async fn of_asset(
    shared: &Shared,
    transaction: &mut Transaction,
    deployment: DeploymentId,
    did: Did,
) -> Result<Vec<Hit>, Error> {
    let filter = EventFilter {
        did: Some(did),
        ..EventFilter::default()
    };
    let events = reader::list_events(transaction, deployment, &filter, 1).await?;
    let jobs = JobFilter {
        did: Some(did),
        ..JobFilter::default()
    };
    let jobs = reader::list_jobs(transaction, deployment, &jobs, 1).await?;
    let is_offered = shared
        .catalog()
        .is_ok_and(|catalog| catalog.find(did).is_some());
    if events.is_empty() && jobs.is_empty() && !is_offered {
        return Ok(Vec::new());
    }
    let note = if is_offered {
        "its jobs; this publisher offers it"
    } else {
        "its jobs"
    };
    Ok(vec![Hit {
        what: "Asset",
        name: did.to_string(),
        to: format!("/?did={did}"),
        note: note.to_owned(),
    }])
}

async fn of_account(
    transaction: &mut Transaction,
    deployment: DeploymentId,
    account: Address,
) -> Result<Vec<Hit>, Error> {
    let as_consumer = JobFilter {
        consumer: Some(account),
        ..JobFilter::default()
    };
    let as_provider = JobFilter {
        provider: Some(account),
        ..JobFilter::default()
    };
    let mut hits = Vec::new();
    for (what, part, filter) in [
        ("Consumer", "consumer", as_consumer),
        ("Provider", "provider", as_provider),
    ] {
        if !reader::list_jobs(transaction, deployment, &filter, 1)
            .await?
            .is_empty()
        {
            let name = address(account);
            hits.push(Hit {
                what,
                to: format!("/?{part}={name}"),
                name,
                note: format!("jobs that name it as {part}"),
            });
        }
    }
    Ok(hits)
}

fn several(hits: &[Hit]) -> Markup {
    html! {
        h1 { "It can be several things" }
        ul.hits {
            @for hit in hits {
                li { strong { (hit.what) } " " (linked(&hit.name, &hit.to)) " " span.where { (hit.note) } }
            }
        }
    }
}

fn nothing(text: &str, sought: &Sought) -> Markup {
    let kind = match sought {
        Sought::Job(_) => "No job has this id.",
        Sought::Hash(_) => {
            "No agreement, condition, transaction or asset with these digits is recorded here. If it is new, it may not be mined or recorded yet: look again in a moment."
        }
        Sought::Asset(_) => "Nothing is recorded of this asset.",
        Sought::Account(_) => "No job names this address, neither as consumer nor as provider.",
        Sought::Nothing => "This is none of the things that can be looked for.",
    };
    html! {
        h1 { "Nothing is known by that name" }
        @if !text.trim().is_empty() { p.searched { (id(&plain(text))) } }
        p.lead { (kind) }
        h2 { "What can be looked for" }
        dl.facts {
            dt { "A job" } dd { code { "job-" } " and 32 hexadecimal digits" }
            dt { "An agreement, a condition, or any transaction of a purchase" } dd { code { "0x" } " and 64 hexadecimal digits" }
            dt { "An asset" } dd { code { "did:op:" } " and 64 hexadecimal digits" }
            dt { "A consumer or provider" } dd { code { "0x" } " and 40 hexadecimal digits" }
        }
    }
}
