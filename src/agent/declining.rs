//! Why an agreement is not answered, and how its consumer gets the money back.

use std::time::Duration;

use alloy::signers::Signer;
use serde_json::json;

use super::Agent;
use super::hearing::Hearing;
use super::ruling::{Ruling, code};
use crate::admission::RuleAnswer;
use crate::jobs::Reason;
use crate::keeper::ContractCalls;
use crate::ledger::agent::acts::Judgement;
use crate::preflight::{NotASale, refund};

impl<C: ContractCalls, S: Signer + Send + Sync> Agent<C, S> {
    /// Declines, and says how the consumer gets the money back.
    pub(super) fn decline(
        &self,
        hearing: &Hearing<'_>,
        reason: &str,
        why: &str,
        rules: Vec<RuleAnswer>,
    ) -> Ruling {
        let judgement = self.judgement(hearing, rules);
        let how = match (hearing.last_block(), &judgement.refund) {
            (None, _) => "The compute condition never times out, so the contracts give no refund: only the publisher can pay back.".to_owned(),
            (Some(last), None) => format!(
                "From block {} on anybody can abort the compute condition; whom the escrow then refunds is written in its own terms.",
                last.saturating_add(1)
            ),
            (Some(last), Some(_)) => self
                .refund(hearing, last)
                .map(|refund| refund.sentence())
                .unwrap_or_default(),
        };
        Ruling::Decline {
            reason: reason.to_owned(),
            detail: format!("{why} {how}"),
            judgement: Some(judgement),
        }
    }

    /// On what a ruling rests.
    pub(super) fn judgement(&self, hearing: &Hearing<'_>, rules: Vec<RuleAnswer>) -> Judgement {
        let refund = hearing
            .last_block()
            .and_then(|last| self.refund(hearing, last));
        Judgement {
            rules: json!(rules),
            refund: refund.map(|refund| refund.to_json()),
            policy: hearing.catalog.sha256,
            judged: hearing.view.judged,
            epoch: hearing.view.epoch,
            until_block: hearing.last_block(),
            found: Vec::new(),
        }
    }

    fn refund(&self, hearing: &Hearing<'_>, last: u64) -> Option<crate::preflight::Refund> {
        let candidates = hearing.catalog.payees.clone().unwrap_or_default();
        refund(&self.deployment, hearing.sale, &candidates, last)
    }
}

/// There is no sale to judge, or none that can be answered.
pub(super) fn not_a_sale(fault: NotASale) -> Ruling {
    let (reason, detail) = match fault {
        NotASale::Unknown => {
            return Ruling::Wait {
                reason: code::UNPAID,
                detail: "The agreement is not on the chain any more.".to_owned(),
                again: Duration::from_secs(5),
            };
        }
        NotASale::Conditions => (Reason::WrongConditions, Reason::WrongConditions.sentence()),
        NotASale::Consumer => (
            Reason::ConditionIdMismatch,
            "The compute condition is for none of the accounts that the agreement names, so nobody knows for whom to fulfil it.",
        ),
    };
    Ruling::Decline {
        reason: reason.as_str().to_owned(),
        detail: format!(
            "{detail} Once the compute condition's window is over, anybody can abort it and release the escrow."
        ),
        judgement: None,
    }
}
