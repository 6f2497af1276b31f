use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use url::form_urlencoded::{self, Serializer};

use super::frame::Page;
use super::words::words;
use super::{health, listing};
use crate::api::Shared;
use crate::api::problem::Problem;
use crate::api::routes::jobs;
use crate::api::routes::sync::Standing;
use crate::ids::Did;
use crate::jobs::{Outcome, Phase};
use crate::ledger::reader::JobRow;

/// Jobs in a page: few enough for a first look to be small.
const USUAL: u32 = 20;

/// What people ask for most.
const CHOICES: [(&str, &str, &str); 6] = [
    ("All", "", ""),
    ("Queued", "phase", "queued"),
    ("Running", "phase", "running"),
    ("Succeeded", "outcome", "succeeded"),
    ("Failed", "outcome", "failed"),
    ("Refused", "outcome", "refused"),
];

/// The pairs of a query that have a value: a form sends its empty fields, too.
struct Asked(Vec<(String, String)>);

impl Asked {
    fn read(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let filled = pairs.filter(|(_, value)| !value.trim().is_empty());
        Self(
            filled
                .map(|(name, value)| (name.into_owned(), value.trim().to_owned()))
                .collect(),
        )
    }

    fn value(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    fn query(&self) -> String {
        let mut query = Serializer::new(String::new());
        query.extend_pairs(&self.0).finish()
    }

    /// The same question at another place of the list.
    fn with(&self, cursor: Option<&str>) -> String {
        let mut query = Serializer::new(String::new());
        query.extend_pairs(self.0.iter().filter(|(name, _)| name != "cursor"));
        query.extend_pairs(cursor.map(|cursor| ("cursor", cursor)));
        format!("/?{}", query.finish())
    }

    fn is_filtered(&self) -> bool {
        self.0
            .iter()
            .any(|(name, _)| name != "cursor" && name != "limit")
    }
}

/// `GET /`: the jobs, newest first, by any filter that `/v1/jobs` has.
pub(super) async fn show(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
) -> Result<Page, Problem> {
    let asked = Asked::read(query.as_deref());
    let read = jobs::read(Some(&asked.query()), USUAL);
    let mut transaction = shared.reader.snapshot().await?;
    let standing = Standing::find(&shared, &mut transaction).await?;
    let found = match &read {
        Ok((filter, limit)) => {
            Ok(jobs::find_page(&shared, &mut transaction, filter, *limit).await?)
        }
        Err(problem) => Err(problem),
    };
    drop(transaction);
    let now = shared.clock.now();
    let status = match &found {
        Ok(_) => StatusCode::OK,
        Err(problem) => StatusCode::from_u16(problem.status().0).unwrap_or_default(),
    };
    let body = html! {
        (health::strip(&standing, now))
        h1 { "Jobs" }
        (choices(&asked))
        (filters(&asked, found.is_err()))
        @if let Some(did) = read.as_ref().ok().and_then(|(filter, _)| filter.did) { (offer(&shared, did)) }
        @match &found {
            Ok((rows, next)) => (list(rows, next.as_deref(), &asked, now)),
            Err(problem) => p.warning.grave #wrong role="alert" { strong { "That cannot be looked for." } " " (problem.detail()) },
        }
    };
    Ok(Page {
        live: found.is_ok().then(|| "/v1/transitions".to_owned()),
        status,
        ..Page::new("Jobs", "/", (&standing, now), body)
    })
}

/// On what terms the asset that is looked at can be computed on.
fn offer(shared: &Shared, did: Did) -> Markup {
    let catalog = shared.catalog().ok();
    let Some(asset) = catalog.as_ref().and_then(|catalog| catalog.find(did)) else {
        return html! {};
    };
    html! {
        p.note {
            @if asset.enabled { "This publisher offers the asset for at least " (asset.minimum_price) " of the token's smallest units. " }
            @else { "This publisher lists the asset and does not offer it now. " }
            a href={ "/v1/assets/" (did) } { "All of its terms" }
        }
    }
}

fn choices(asked: &Asked) -> Markup {
    let (phase, outcome) = (asked.value("phase"), asked.value("outcome"));
    let is_chosen = |name: &str, value: &str| match name {
        "phase" => phase == value && outcome.is_empty(),
        "outcome" => outcome == value && phase.is_empty(),
        _ => !asked.is_filtered(),
    };
    html! {
        nav.choices aria-label="Which jobs" {
            @for (word, name, value) in CHOICES {
                a href=(if name.is_empty() { "/".to_owned() } else { format!("/?{name}={value}") })
                    aria-current=[is_chosen(name, value).then_some("true")] { (word) }
            }
        }
    }
}

fn filters(asked: &Asked, is_wrong: bool) -> Markup {
    let select = |name: &'static str, label: &str, known: Vec<&'static str>| {
        let chosen = asked.value(name);
        html! {
            label { span { (label) }
                select name=(name) {
                    option value="" { "any" }
                    @for word in known { option value=(word) selected[word == chosen] { (words(word)) } }
                }
            }
        }
    };
    let field = |name: &'static str, label: &str, sample: &str| {
        html! {
            label { span { (label) }
                input name=(name) value=(asked.value(name)) placeholder=(sample) autocomplete="off" spellcheck="false"
                    aria-describedby=[is_wrong.then_some("wrong")];
            }
        }
    };
    html! {
        details.filters open[asked.is_filtered()] {
            summary { "Filters" }
            form action="/" method="get" {
                (select("phase", "Phase", Phase::ALL.iter().map(|phase| phase.as_str()).collect()))
                (select("outcome", "Outcome", Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect()))
                (field("did", "Asset", "did:op:…"))
                (field("consumer", "Consumer", "0x…"))
                @if !asked.value("reason").is_empty() { (field("reason", "Reason", "")) }
                @if !asked.value("provider").is_empty() { (field("provider", "Provider", "0x…")) }
                div.buttons { button { "Apply" } @if asked.is_filtered() { " " a href="/" { "Clear" } } }
            }
        }
    }
}

fn list(rows: &[JobRow], next: Option<&str>, asked: &Asked, now: DateTime<Utc>) -> Markup {
    let is_first = asked.value("cursor").is_empty();
    html! {
        div #jobs data-part {
            @if rows.is_empty() {
                p.empty {
                    @if asked.is_filtered() || !is_first {
                        "No job fits. " a href="/" { "Show all" }
                    } @else {
                        "No job yet. A job begins when the compute condition of a paid agreement is fulfilled on chain."
                    }
                }
            } @else { (listing::jobs(rows, now)) }
            @if next.is_some() || !is_first {
                nav.pages aria-label="Pages" {
                    @if !is_first { a href=(asked.with(None)) { "← Newest" } }
                    @if let Some(next) = next { a rel="next" href=(asked.with(Some(next))) { "Older →" } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_sends_empty_fields_and_the_next_page_keeps_the_others() {
        let asked = Asked::read(Some("phase=&outcome=failed&did=+&cursor=01ab"));
        assert_eq!(asked.query(), "outcome=failed&cursor=01ab");
        assert_eq!(asked.with(Some("01cd")), "/?outcome=failed&cursor=01cd");
        assert_eq!(asked.with(None), "/?outcome=failed");
        assert!(asked.is_filtered());
        assert!(!Asked::read(Some("cursor=01ab")).is_filtered());
    }
}
