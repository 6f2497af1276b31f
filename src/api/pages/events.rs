use maud::{Markup, html};
use serde_json::Value;

use super::words::{id, linked, number, plain};
use crate::ledger::reader::ToldEvent;

/// The arguments of an event. Whoever sent the transaction chose them: they are text and nothing else.
pub(super) fn arguments(arguments: &Value) -> Markup {
    let Some(fields) = arguments.as_object() else {
        return html! {};
    };
    html! {
        dl.arguments {
            @for (name, value) in fields {
                dt { (plain(name)) }
                dd { (argument(name, value)) }
            }
        }
    }
}

fn argument(name: &str, value: &Value) -> Markup {
    let Some(text) = value.as_str() else {
        return html! { code { (plain(&value.to_string())) } };
    };
    let is_hash = text.len() == 66 && text.starts_with("0x") && text.is_ascii();
    match name {
        "agreementId" if is_hash => linked(text, &format!("/agreements/{text}")),
        "did" if is_hash => linked(text, &format!("/?did=did:op:{}", &text[2..])),
        _ if is_hash || (text.len() == 42 && text.starts_with("0x")) => id(&plain(text)),
        _ => html! { span.given { (plain(text)) } },
    }
}

/// What is recorded about an agreement, in the order of the chain.
pub(super) fn told(events: &[ToldEvent]) -> Markup {
    html! {
        ol.events {
            @for event in events {
                @let transaction = format!("{:#x}", event.transaction);
                li.gone[!event.canonical] {
                    details {
                        summary {
                            strong { (plain(&event.contract)) "." (plain(&event.name)) } " "
                            span.where { "block " (number(event.block)) ", log " (event.log_index)
                                @if !event.canonical { ", taken from the chain by a reorganisation" } }
                        }
                        p.where { "transaction " (linked(&transaction, &format!("/transactions/{transaction}#log-{}", event.log_index))) }
                        (arguments(&event.arguments))
                    }
                }
            }
        }
    }
}
