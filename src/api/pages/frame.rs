//! What surrounds every page: its head, the way to everywhere else, what everybody should know now, and the headers that keep it in
//! its place.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use chrono::{DateTime, Utc};
use maud::{DOCTYPE, Markup, html};

use super::assets::{MARK, SCRIPT, STYLE};
use super::warnings::{self, Warning};
use crate::api::routes::sync::Standing;

/// What a page may do: fetch from where it came from, and nothing else. Results are saved by way of an object of the page's own.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A page.
#[derive(Debug)]
pub(super) struct Page {
    /// Its name, for the browser's tab.
    pub(super) title: String,
    /// The address of the part of the site that it belongs to.
    pub(super) section: &'static str,
    /// What it says.
    pub(super) body: Markup,
    /// The stream whose events change it.
    pub(super) live: Option<String>,
    /// What was searched for.
    pub(super) searched: String,
    /// What everybody should know.
    pub(super) warnings: Vec<Warning>,
    /// What kind of answer it is.
    pub(super) status: StatusCode,
}

impl Page {
    /// A page that says how far the ledger is, as far as that is known.
    pub(super) fn new(
        title: impl Into<String>,
        section: &'static str,
        (standing, now): (&Standing, DateTime<Utc>),
        body: Markup,
    ) -> Self {
        Self {
            warnings: warnings::of(standing, now),
            ..Self::bare(title, section, body)
        }
    }

    /// A page that knows nothing of the ledger.
    pub(super) fn bare(title: impl Into<String>, section: &'static str, body: Markup) -> Self {
        Self {
            title: title.into(),
            section,
            body,
            live: None,
            searched: String::new(),
            warnings: Vec::new(),
            status: StatusCode::OK,
        }
    }

    fn whole(&self) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · Tidewatch" }
                    link rel="icon" type="image/svg+xml" href=(MARK.path());
                    link rel="stylesheet" href=(STYLE.path());
                    script type="module" src=(SCRIPT.path()) {}
                }
                body data-live=[self.live.as_deref()] {
                    a.skip href="#main" { "Skip to the content" }
                    (self.header())
                    (warnings::show(&self.warnings))
                    main #main tabindex="-1" { (self.body) }
                    footer {
                        p {
                            "Tidewatch " (env!("CARGO_PKG_VERSION")) " shows what the keeper contracts owe and what became of it. It reads and changes nothing: "
                            "jobs begin and end by transactions. Everything here is also "
                            a href="/docs" { "an API" } "."
                        }
                    }
                    p #said.unseen role="status" {}
                }
            }
        }
    }

    fn header(&self) -> Markup {
        let places = [("/", "Jobs"), ("/health", "Health"), ("/docs", "API")];
        html! {
            header.top {
                a.brand href="/" { (mark()) "Tidewatch" }
                nav aria-label="Site" {
                    @for (to, word) in places {
                        a href=(to) aria-current=[(to == self.section).then_some("page")] { (word) }
                    }
                }
                form.search role="search" action="/search" method="get" {
                    label.unseen for="q" { "Job, agreement, transaction, condition, address or DID" }
                    input #q name="q" type="search" required autocomplete="off" autocapitalize="off" spellcheck="false"
                        placeholder="Job, agreement, transaction, address, DID" value=(self.searched);
                    button { "Find" }
                }
                div #account {}
            }
        }
    }
}

/// Three heights of the tide.
fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 24 24" width="20" height="20" aria-hidden="true" {
            path d="M2 8c3-3 6-3 10 0s7 3 10 0M2 13c3-3 6-3 10 0s7 3 10 0M2 18c3-3 6-3 10 0s7 3 10 0" {}
        }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let fixed = [
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (
                HeaderName::from_static("cross-origin-opener-policy"),
                "same-origin",
            ),
        ];
        let mut headers = HeaderMap::new();
        headers.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
        (self.status, headers, Html(self.whole().into_string())).into_response()
    }
}
