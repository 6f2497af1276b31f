//! The web page: the same things that the JSON routes tell, for people who look.
//!
//! Every page is rendered whole by the server from what the routes beside it read, and needs no script: lists, filters, search, a job's
//! story and its verdict are links and forms. One small script makes it better where it runs: it keeps what is shown up to date over
//! the stream of transitions, follows job logs, and signs in with a wallet. Whatever is shown to parties only is fetched by that script
//! from the routes under `/v1`, with the token that the person has; no page ever holds it, so pages are the same for everybody.
//!
//! Layout: `frame.rs` is what surrounds every page, `assets.rs` its style, script and mark; `words.rs` says how values look. One file
//! per page: `home.rs`, `search.rs`, `job.rs`, `agreement.rs`, `transaction.rs`, `health.rs`, `reference.rs`. `sought.rs`,
//! `timeline.rs`, `advice.rs` and `warnings.rs` decide what is said, without looking anything up; `listing.rs`, `story.rs`, `verdict.rs`,
//! `events.rs` and `schema.rs` are parts of pages. `failure.rs` shows what is no success.
//!
//! Invariants:
//! - whatever comes from outside (arguments of events, images, nodes' words, what was searched for) is text: it is escaped where it is
//!   put in, and characters that would change how other text looks are shown as what they are;
//! - a page names no other host, and holds no script or style of its own: the header says so, and a browser keeps to it;
//! - pages are found by the same functions as the JSON answers, so the two cannot differ.

mod advice;
mod agreement;
mod assets;
mod events;
mod failure;
mod frame;
mod health;
mod home;
mod job;
mod listing;
mod reference;
mod schema;
mod search;
mod sought;
mod story;
mod timeline;
mod transaction;
mod verdict;
mod warnings;
mod words;

use axum::Router;
use axum::routing::get;

use super::Shared;

pub(super) use failure::for_people;

/// The pages' routes.
pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/", get(home::show))
        .route("/search", get(search::show))
        .route("/jobs/{id}", get(job::show))
        .route("/agreements/{id}", get(agreement::show))
        .route("/transactions/{hash}", get(transaction::show))
        .route("/health", get(health::show))
        .route("/docs", get(reference::show))
        .route("/assets/{name}", get(assets::show))
}
