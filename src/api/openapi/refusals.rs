use serde_json::{Map, Value, json};

use crate::api::problem::Problem;

/// Adds to every operation what it may answer beside a success, with an example each, and examples of what may be given.
pub(super) fn describe(description: &mut Value) {
    let answers: Map<String, Value> = refusals()
        .into_iter()
        .map(|(_, name, what, problem)| (name.to_owned(), response(name, what, &problem)))
        .collect();
    description["components"]["responses"] = Value::Object(answers);
    let paths = description["paths"].as_object_mut().into_iter().flatten();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object_mut().into_iter().flatten() {
            for (status, name) in possible(path, method, operation) {
                let answer = json!({"$ref": format!("#/components/responses/{name}")});
                operation["responses"][status] = answer;
            }
            if method == "get" && !is_probe(path) {
                operation["responses"]["304"] = json!({"description": "`If-None-Match` names the answer's ETag: it is the same still."});
            }
            // Not by index, which would make a null where there are none.
            let parameters = operation.get_mut("parameters");
            let parameters = parameters.and_then(Value::as_array_mut);
            for parameter in parameters.into_iter().flatten() {
                let example = example(path, parameter["name"].as_str().unwrap_or_default());
                if let Some(example) = example {
                    parameter["example"] = example;
                }
                // What may be absent is never the word null.
                let types = parameter.pointer_mut("/schema/type");
                if let Some(types) = types.and_then(Value::as_array_mut) {
                    types.retain(|kind| kind != "null");
                }
            }
        }
    }
}

/// Every refusal that is described on its own: status, name, when it comes, and one of that kind.
fn refusals() -> [(&'static str, &'static str, &'static str, Problem); 10] {
    let parameter = Problem::invalid_parameter("limit", "a number from 1 to 200");
    let too_many = Problem::too_many_requests(
        "This address asks too often; the header Retry-After says when to ask again.",
        1,
    );
    [
        (
            "400",
            "BadRequest",
            "A parameter, or the body, is unknown or malformed; it is named.",
            parameter,
        ),
        (
            "401",
            "Unauthorized",
            "A token is needed, or the one that was shown is not valid. The same whether what was asked for exists or not.",
            Problem::unauthenticated(),
        ),
        (
            "404",
            "NotFound",
            "There is no such thing.",
            Problem::job_not_found(),
        ),
        (
            "410",
            "Gone",
            "The bytes are gone; their hashes are not.",
            Problem::erased(),
        ),
        (
            "413",
            "TooLarge",
            "The body is larger than any that is asked for.",
            Problem::body_too_large(),
        ),
        (
            "415",
            "UnsupportedMediaType",
            "The body is not JSON.",
            Problem::unsupported_media_type(),
        ),
        (
            "416",
            "RangeNotSatisfiable",
            "The log does not have these bytes.",
            Problem::range_not_satisfiable(14),
        ),
        (
            "429",
            "TooManyRequests",
            "This address asks too often, or has too many streams open.",
            too_many,
        ),
        ("500", "Internal", "The fault is ours.", Problem::internal()),
        (
            "503",
            "Unavailable",
            "It cannot be answered now, or this process was not given what the answer needs.",
            Problem::unavailable("The database does not answer now."),
        ),
    ]
}

/// The refusals that an operation may answer, by status and name.
fn possible(
    path: &str,
    method: &str,
    operation: &Value,
) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
    let is_live = path == "/livez";
    let names_something = path.contains('{') && !path.ends_with("/preflight");
    let is_for_some = operation["security"].is_array();
    let has_body = method == "post";
    let is_log = path.ends_with("/logs");
    let is_lenient = is_probe(path) || path.ends_with("/runningjobs");
    refusals()
        .into_iter()
        .filter(move |(status, ..)| match *status {
            "400" => !is_lenient,
            "401" => is_for_some,
            "404" => names_something,
            "410" | "416" => is_log,
            "413" | "415" => has_body,
            "503" => !is_live,
            _ => true,
        })
        .map(|(status, name, ..)| (status, name))
}

fn is_probe(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz")
}

fn response(name: &str, what: &str, problem: &Problem) -> Value {
    let mut response = json!({
        "description": what,
        "content": {"application/problem+json": {
            "schema": {"$ref": "#/components/schemas/Problem"},
            "example": problem,
        }},
    });
    let header = match name {
        "TooManyRequests" | "Unavailable" => Some((
            "Retry-After",
            json!({"description": "Seconds after which asking again may help.", "schema": {"type": "integer", "minimum": 1}}),
        )),
        "Unauthorized" => Some((
            "WWW-Authenticate",
            json!({"description": "What would be accepted (RFC 6750).", "required": true, "schema": {"type": "string"}}),
        )),
        _ => None,
    };
    if let Some((header, described)) = header {
        response["headers"][header] = described;
    }
    response
}

/// What may be given for a parameter.
fn example(path: &str, parameter: &str) -> Option<Value> {
    let hash = |digit: &str| Some(json!(format!("0x{}", digit.repeat(64))));
    match parameter {
        "id" if path.starts_with("/v1/jobs") => Some(json!("job-0123456789abcdef0123456789abcdef")),
        "id" | "agreementId" | "serviceAgreementId" => hash("a"),
        "conditionId" => hash("c"),
        "transactionHash" => hash("7"),
        "jobId" => Some(json!("job-0123456789abcdef0123456789abcdef")),
        "did" => Some(json!(format!("did:op:{}", "d".repeat(64)))),
        "consumer" | "provider" | "owner" | "consumerAddress" => {
            Some(json!("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"))
        }
        "createdAfter" | "createdBefore" => Some(json!("2026-01-31T12:00:00Z")),
        "phase" => Some(json!("running")),
        "outcome" => Some(json!("succeeded")),
        "reason" => Some(json!("underpaid")),
        "limit" => Some(json!(10)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::api::openapi::description;

    #[test]
    fn every_operation_says_what_it_answers_when_it_cannot() {
        let description = description();
        let text = description.to_string();
        for (path, methods) in description["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let answers = operation["responses"].as_object().unwrap();
                assert!(answers.contains_key("429"), "{method} {path}");
                assert!(answers.contains_key("200"), "{method} {path}");
            }
        }
        assert!(!text.contains("\"parameters\":null"));
        let known = description["components"]["responses"].as_object().unwrap();
        for name in known.keys() {
            assert!(
                text.contains(&format!("#/components/responses/{name}\"")),
                "{name} is described and never answered"
            );
        }
        let example = &known["Unauthorized"]["content"]["application/problem+json"]["example"];
        assert_eq!(example["code"], "unauthenticated");
    }
}
