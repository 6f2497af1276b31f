//! JSON Schema (2020-12, as OpenAPI 3.1 has it) in words: as far as this API's own description uses it.

use maud::{Markup, html};
use serde_json::Value;

use super::words::plain;

/// Where a named type is described.
const NAMED: &str = "#/components/schemas/";

/// A type in a few words.
pub(super) fn shape(schema: &Value) -> Markup {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.strip_prefix(NAMED).unwrap_or(name);
        return html! { a href={ "#type-" (name) } { (name) } };
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        if let Some(parts) = schema[several].as_array() {
            return joined(parts, if several == "allOf" { " with " } else { " or " });
        }
    }
    if schema["enum"].is_array() {
        return html! { "one of these" };
    }
    let names: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => vec!["any"],
    };
    html! {
        @for (place, name) in names.iter().enumerate() {
            @if place > 0 { " or " }
            @if *name == "array" { "list of " (shape(&schema["items"])) } @else { (name) }
        }
        @if let Some(format) = schema["format"].as_str() { " (" (format) ")" }
    }
}

fn joined(parts: &[Value], between: &str) -> Markup {
    html! {
        @for (place, part) in parts.iter().enumerate() {
            @if place > 0 { (between) }
            (shape(part))
        }
    }
}

/// What is said of it, with what its values look like.
pub(super) fn described(told: &Value) -> Markup {
    let schema = told.get("schema").unwrap_or(told);
    let limits = [
        ("pattern", "matches"),
        ("minimum", "at least"),
        ("maximum", "at most"),
    ];
    html! {
        (plain(told["description"].as_str().unwrap_or_default()))
        @for (name, words) in limits {
            @if let Some(limit) = schema.get(name).or_else(|| told.get(name)) {
                " " span.limit { (words) " " code { @match limit.as_str() { Some(text) => (text), None => (limit) } } }
            }
        }
        @if let Some(words) = schema["enum"].as_array() {
            " " span.words { (words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")) }
        }
        @if let Some(example) = told.get("example") { " " span.limit { "such as " code { (plain(&example.to_string())) } } }
    }
}

/// Every named type, with its fields.
pub(super) fn all(schemas: &Value) -> Markup {
    html! {
        @for (name, schema) in schemas.as_object().into_iter().flatten() {
            article.type id={ "type-" (name) } {
                h3 { (name) }
                @if let Some(text) = schema["description"].as_str() { p { (plain(text)) } }
                (fields(schema))
                @if let Some(example) = schema.get("example") { pre.example tabindex="0" { (plain(&format!("{example:#}"))) } }
            }
        }
    }
}

fn fields(schema: &Value) -> Markup {
    if let Some(parts) = schema["allOf"].as_array() {
        return html! { @for part in parts {
            @if part.get("$ref").is_some() { p { "All of " (shape(part)) ", and:" } } @else { (fields(part)) }
        } };
    }
    let Some(properties) = schema["properties"].as_object() else {
        return html! { p { (shape(schema)) } };
    };
    let required = schema["required"].as_array();
    let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|its| its == name));
    html! {
        div.scroll tabindex="0" { table {
            thead { tr { th scope="col" { "Field" } th scope="col" { "Type" } th scope="col" { "Meaning" } } }
            tbody {
                @for (name, field) in properties {
                    tr {
                        th scope="row" { code { (name) } @if !is_required(name) { " " small { "may be absent" } } }
                        td { (shape(field)) }
                        td { (described(field)) }
                    }
                }
            }
        } }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_are_told_in_words() {
        let told = |schema: Value| shape(&schema).into_string();
        assert_eq!(
            told(json!({"type": ["string", "null"], "format": "date-time"})),
            "string or null (date-time)"
        );
        assert_eq!(
            told(json!({"type": "array", "items": {"$ref": "#/components/schemas/Job"}})),
            "list of <a href=\"#type-Job\">Job</a>"
        );
        assert_eq!(
            told(json!({"oneOf": [{"type": "null"}, {"type": "integer"}]})),
            "null or integer"
        );
    }
}
