use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::words::{badge, linked, number, when, words};
use crate::api::notation::address;
use crate::ledger::reader::JobRow;

/// Jobs in rows.
pub(super) fn jobs(rows: &[JobRow], now: DateTime<Utc>) -> Markup {
    html! {
        div.scroll tabindex="0" {
            table.jobs {
                thead {
                    tr {
                        th scope="col" { "Status" }
                        th scope="col" { "Job" }
                        th.wide scope="col" { "Asset" }
                        th.wide scope="col" { "Consumer" }
                        th.wide scope="col" { "Block" }
                        th scope="col" { "Recorded" }
                    }
                }
                tbody {
                    @for job in rows { (row(job, now)) }
                }
            }
        }
    }
}

fn row(job: &JobRow, now: DateTime<Utc>) -> Markup {
    let (did, consumer) = (job.did.to_string(), address(job.consumer));
    html! {
        tr {
            td {
                (badge(job.phase, job.outcome))
                @if let Some(reason) = &job.reason { " " small { (words(reason)) } }
            }
            th scope="row" { (linked(job.name.as_str(), &format!("/jobs/{}", job.name))) }
            td.wide { (linked(&did, &format!("/?did={did}"))) }
            td.wide { (linked(&consumer, &format!("/?consumer={consumer}"))) }
            td.wide {
                (number(job.block.number))
                @if !job.block_canonical { " " small.bad { "off the chain" } }
                @else if !job.block_irreversible { " " small { "not final" } }
            }
            td { (when(job.created_at, now)) }
        }
    }
}
