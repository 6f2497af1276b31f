//! The description of this API (OpenAPI 3.1), made from the routes and the types that they answer with; `refusals.rs` adds what any of
//! them may answer instead, made from those very answers.

mod refusals;

use std::sync::LazyLock;

use serde_json::{Value, json};
use utoipa::OpenApi;

use super::routes;
use crate::jobs::{Outcome, Phase, Reason};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tidewatch",
        description = "Compute jobs that the keeper contracts of Ocean Protocol owe: what was asked for on chain, what was decided and why, what runs and what became of it. Read-only: jobs begin and end by transactions.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/")),
    tags(
        (name = "jobs", description = "Fulfilled compute conditions and what became of them."),
        (name = "agreements", description = "Purchases, before there is a job."),
        (name = "sign-in", description = "Showing to hold an account, for reading what is for the parties of an agreement."),
        (name = "chain", description = "What was recorded of the chain, and how far it is known."),
        (name = "health", description = "For probes."),
        (name = "legacy", description = "The reads of Operator-Service and Brizo (OEP-12)."),
    ),
    paths(
        routes::jobs::list, routes::job::show, routes::transitions::of_job, routes::transitions::of_all, routes::logs::read,
        routes::results::list, routes::results::read, routes::sign_in::challenge, routes::sign_in::begin,
        routes::agreement::show, routes::asset::show, routes::preflight::judge, routes::keeper_events::list, routes::sync::show,
        routes::health::livez, routes::health::readyz, routes::legacy::operator_compute, routes::legacy::running_jobs,
        routes::legacy::brizo_compute,
    ),
)]
struct Api;

/// The description as JSON.
pub fn description() -> Value {
    let mut value = serde_json::to_value(Api::openapi()).unwrap_or_default();
    value["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    value["components"]["securitySchemes"]["bearer"] = json!({
        "type": "http", "scheme": "bearer",
        "description": "The access token of a sign-in (POST /v1/sessions), or the operators' token.",
    });
    // Words that are part of the interface come from where they are defined, so that none is missing here.
    let phases: Vec<_> = Phase::ALL.iter().map(|phase| phase.as_str()).collect();
    let outcomes: Vec<_> = Outcome::ALL
        .iter()
        .map(|outcome| outcome.as_str())
        .collect();
    let reasons: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    let words = [
        ("phase", phases),
        ("outcome", outcomes),
        ("reason", reasons),
    ];
    let parameters = value["paths"]["/v1/jobs"]["get"]["parameters"].as_array_mut();
    for parameter in parameters.into_iter().flatten() {
        let known = words.iter().find(|(name, _)| parameter["name"] == *name);
        if let Some((_, known)) = known {
            parameter["schema"] = json!({"type": "string", "enum": known});
        }
    }
    // An object, or the text to register: two types that one Rust type does not tell.
    let document = value.pointer_mut("/components/schemas/Asked/properties/document/type");
    if let Some(kind) = document {
        *kind = json!(["object", "string", "null"]);
    }
    refusals::describe(&mut value);
    value
}

/// The same as text, made once.
pub(super) fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| description().to_string());
    &TEXT
}
