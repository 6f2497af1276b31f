//! The reference page, made from the description that machines read, so that the two cannot differ.

use std::sync::LazyLock;

use axum::extract::RawQuery;
use maud::{Markup, html};
use serde_json::{Map, Value};

use super::frame::Page;
use super::schema::{self, described, shape};
use super::words::plain;
use crate::api::openapi;
use crate::api::parameters::Parameters;
use crate::api::problem::Problem;

/// `GET /docs`: every route of the API.
pub(super) async fn show(RawQuery(query): RawQuery) -> Result<Page, Problem> {
    static RENDERED: LazyLock<Markup> = LazyLock::new(|| rendered(&openapi::description()));
    Parameters::read(query.as_deref())?.finish()?;
    Ok(Page::bare("API", "/docs", RENDERED.clone()))
}

/// One method of one path.
struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    told: &'a Value,
}

impl Operation<'_> {
    fn anchor(&self) -> String {
        let plain = |letter: char| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '-'
            }
        };
        let path: String = self.path.chars().map(plain).collect();
        format!("{}{path}", self.method)
    }
}

fn operations(description: &Value) -> Vec<Operation<'_>> {
    let paths = description["paths"].as_object();
    paths
        .into_iter()
        .flatten()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().into_iter().flatten();
            methods.map(|(method, told)| Operation {
                method: method.as_str(),
                path: path.as_str(),
                told,
            })
        })
        .collect()
}

fn rendered(description: &Value) -> Markup {
    let all = operations(description);
    let tags = description["tags"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let of = |tag: &Value| -> Vec<&Operation<'_>> {
        let tagged = |operation: &&Operation<'_>| {
            let its = operation.told["tags"].as_array();
            its.is_some_and(|its| its.contains(&tag["name"]))
        };
        all.iter().filter(tagged).collect()
    };
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    html! {
        h1 { "API" }
        p.lead { (word(&description["info"]["description"])) }
        p {
            "The same for machines, by OpenAPI " (word(&description["openapi"])) ": " a href="/openapi.json" { code { "/openapi.json" } }
            ". JSON in camelCase, times in RFC 3339 UTC, amounts as decimal strings. Errors are " code { "application/problem+json" }
            " with a stable " code { "code" } "."
        }
        nav.contents aria-label="Routes" {
            @for tag in tags {
                h2 { (word(&tag["name"])) }
                ul { @for operation in of(tag) {
                    li { a href={ "#" (operation.anchor()) } { (method(operation.method)) " " code { (operation.path) } } }
                } }
            }
        }
        @for tag in tags {
            section.tag {
                h2 { (word(&tag["name"])) }
                p { (word(&tag["description"])) }
                @for operation in of(tag) { (one(operation)) }
            }
        }
        section { h2 #types { "Types" } (schema::all(&description["components"]["schemas"])) }
    }
}

fn method(name: &str) -> Markup {
    html! { span class={ "method " (name) } { (name.to_uppercase()) } }
}

fn one(operation: &Operation<'_>) -> Markup {
    let told = operation.told;
    let parameters = told["parameters"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let needs = told["security"]
        .as_array()
        .filter(|needs| !needs.is_empty());
    let is_optional = needs.is_some_and(|needs| {
        needs
            .iter()
            .any(|need| need.as_object().is_some_and(Map::is_empty))
    });
    html! {
        article.operation id=(operation.anchor()) {
            h3 { (method(operation.method)) " " code { (operation.path) } }
            @for text in [&told["summary"], &told["description"]] {
                @if let Some(text) = text.as_str() { p { (plain(text)) } }
            }
            @if needs.is_some() {
                p.note { "Token: " @if is_optional { "shows more" } @else { "needed" } " (" code { "Authorization: Bearer …" } ")." }
            }
            @if !parameters.is_empty() { (taken(parameters)) }
            @if let Some(body) = told.get("requestBody") { h4 { "Body" } (contents(&body["content"])) }
            h4 { "Answers" }
            dl.answers {
                @for (status, answer) in told["responses"].as_object().into_iter().flatten() {
                    dt { code { (status) } }
                    dd { (plain(answer["description"].as_str().unwrap_or_default())) " " (contents(&answer["content"])) }
                }
            }
        }
    }
}

fn taken(parameters: &[Value]) -> Markup {
    html! {
        div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { "Parameter" } th scope="col" { "In" } th scope="col" { "Type" } th scope="col" { "Meaning" } } }
            tbody {
                @for parameter in parameters {
                    tr {
                        th scope="row" { code { (parameter["name"].as_str().unwrap_or_default()) } @if parameter["required"] == true { " *" } }
                        td { (parameter["in"].as_str().unwrap_or_default()) }
                        td { (shape(&parameter["schema"])) }
                        td { (described(parameter)) }
                    }
                }
            }
        } }
    }
}

fn contents(content: &Value) -> Markup {
    html! {
        @for (kind, body) in content.as_object().into_iter().flatten() {
            span.content { code { (kind) } " " (shape(&body["schema"])) }
            @if let Some(example) = body.get("example") { pre.example tabindex="0" { (plain(&format!("{example:#}"))) } }
        }
    }
}
