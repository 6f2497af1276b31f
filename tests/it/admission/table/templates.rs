//! Under which template an agreement was made: what the deployment file names counts, whatever became of it later.

use tidewatch::keeper::purchase::revoke_template;

use super::{Row, honest};
use crate::admission::place::{BY_CONTRACT_ONLY, DIRECTLY, EVERYWHERE};
use crate::admission::step::Step::{Refused, Send};
use crate::admission::step::Who::{Consumer, Owner};
use crate::admission::step::{ANSWER, CREATE, PAY, create};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "a twin of the template, approved on chain and not named in the deployment file",
        places: EVERYWHERE,
        bend: |deal, cast| cast.twin.put(&mut deal.purchase),
        steps: &[CREATE, PAY, ANSWER],
        verdicts: &["refused template_not_approved"],
    },
    Row {
        name: "a template that was proposed and not approved: the chain refuses",
        places: EVERYWHERE,
        bend: |deal, cast| cast.unapproved.put(&mut deal.purchase),
        steps: &[Refused(Consumer, create, "Template not")],
        verdicts: &[],
    },
    Row {
        name: "a named template with two conditions only",
        places: DIRECTLY,
        bend: |deal, cast| {
            cast.short.put(&mut deal.purchase);
            let ids = deal.purchase.condition_ids();
            deal.purchase.foreign_conditions = Some(ids[..2].to_vec());
        },
        steps: &[CREATE, PAY, ANSWER],
        verdicts: &["refused wrong_conditions"],
    },
    Row {
        name: "a named template is revoked while its agreement runs: what was agreed stays agreed",
        places: DIRECTLY,
        bend: |deal, cast| {
            cast.revocable.put(&mut deal.purchase);
            cast.revocable.put(&mut deal.other);
        },
        steps: &[
            CREATE,
            Send(Owner, |deal, _| {
                revoke_template(&deal.purchase.contracts, deal.purchase.template)
            }),
            PAY,
            ANSWER,
            Refused(Consumer, |deal, _| deal.other.create(), "Template not"),
        ],
        verdicts: &["admitted"],
    },
];

/// Nothing can be made by the template contract after this.
pub(in crate::admission) const LAST: &[Row] = &[Row {
    name: "the template contract is revoked while its agreement runs",
    places: BY_CONTRACT_ONLY,
    bend: honest,
    steps: &[
        CREATE,
        Send(Owner, |deal, cast| cast.revoke_template_contract(deal)),
        PAY,
        ANSWER,
        Refused(Consumer, |deal, _| deal.other.create(), "Template not"),
    ],
    verdicts: &["admitted"],
}];
