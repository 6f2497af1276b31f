//! May this agreement be answered? The whole judgement, before the money can move.

use std::time::Duration;

use alloy::primitives::{Address, U256};
use alloy::signers::Signer;

use super::declining::not_a_sale;
use super::ruling::{Ruling, code};
use super::view::View;
use super::{Agent, Error};
use crate::admission::{Answer, Decision, Offer, Recorded, RuleAnswer, Verdict};
use crate::documents::Search;
use crate::ids::AgreementId;
use crate::jobs::Reason;
use crate::keeper::{self, ConditionFact, ContractCalls, Order, Purchase};
use crate::ledger::agent::acts::{Act, Judgement};
use crate::preflight::{Sale, Supposition, without_supposed};
use crate::workflows::{Catalog, Found};

/// States of a condition (`ConditionStoreLibrary.ConditionState`).
pub(super) const FULFILLED: u8 = 2;
/// Aborted.
pub(super) const ABORTED: u8 = 3;

/// When a document that cannot be had is looked for again. Looking can take as long as a server lets us wait, and few acts are
/// looked at side by side: those of a purchaser whose server never answers must not be all of them.
const AWAY: Duration = Duration::from_secs(60);

/// A sale with what was asked about it just now.
pub(super) struct Hearing<'a> {
    pub(super) view: &'a View,
    pub(super) catalog: &'a Catalog,
    pub(super) sale: &'a Sale,
    events: &'a [Recorded],
    /// The compute condition.
    condition: ConditionFact,
    /// Number of the newest block.
    head: u64,
}

impl Hearing<'_> {
    /// Last block in which the condition can be fulfilled; `None` when its window never ends.
    pub(super) fn last_block(&self) -> Option<u64> {
        if self.condition.time_out.is_zero() {
            return None;
        }
        let last = self
            .condition
            .block_number
            .checked_add(self.condition.time_out)?;
        u64::try_from(last).ok()
    }

    fn first_block(&self) -> u64 {
        let first = self
            .condition
            .block_number
            .saturating_add(self.condition.time_lock);
        u64::try_from(first).unwrap_or(u64::MAX)
    }
}

impl<C: ContractCalls, S: Signer + Send + Sync> Agent<C, S> {
    /// Judges an agreement from the events up to the judged block and the newest state.
    pub(super) async fn hear(
        &self,
        act: &Act,
        view: &View,
        catalog: &Catalog,
    ) -> Result<Ruling, Error> {
        let agreement = act.agreement;
        let events = self.events_of(agreement, view).await?;
        let sale = match Sale::read(&self.deployment.contracts, &events, agreement) {
            Ok(sale) => sale,
            Err(fault) => return Ok(not_a_sale(fault)),
        };
        let Some(paid) = sale.paid else {
            return Ok(Ruling::wait(
                code::UNPAID,
                "The payment is not on the chain any more.",
            ));
        };
        if view.act.is_none_or(|act| paid.block.number > act) {
            return Ok(Ruling::wait(
                code::UNPAID,
                "The payment's block is not deep enough to act on.",
            ));
        }
        let facts = keeper::Facts::new(&self.calls, &self.deployment.contracts);
        let condition = facts
            .condition(sale.compute, None)
            .await
            .map_err(fact(agreement))?;
        let Some(condition) = condition else {
            return Ok(Ruling::wait(
                code::UNDECIDED,
                "The node does not know the compute condition yet.",
            ));
        };
        match condition.state {
            FULFILLED => return Ok(Ruling::DoneByOther),
            ABORTED => {
                let detail = "Somebody aborted the compute condition, so it cannot be fulfilled; releasing the escrow refunds the consumer.";
                return Ok(Ruling::fail(code::ABORTED, detail));
            }
            _ => {}
        }
        let (head, _) = self.node.market().await?;
        let hearing = Hearing {
            view,
            catalog,
            sale: &sale,
            events: &events,
            condition,
            head,
        };
        self.rule(&hearing).await
    }

    async fn rule(&self, hearing: &Hearing<'_>) -> Result<Ruling, Error> {
        let Hearing {
            view, sale, head, ..
        } = *hearing;
        let supposed = head.max(view.judged.number).saturating_add(1);
        if hearing.first_block() > supposed {
            let detail = format!(
                "The compute condition can be fulfilled from block {} on.",
                hearing.first_block()
            );
            return Ok(Ruling::wait(code::TOO_EARLY, detail));
        }
        let paid_at = sale.paid.map(|paid| paid.block.number);
        if view.act_from.is_none() || paid_at < view.act_from {
            return Ok(self.decline(
                hearing,
                Reason::BeforeStart.as_str(),
                Reason::BeforeStart.sentence(),
                Vec::new(),
            ));
        }
        let offer = offer(hearing.catalog, sale);
        let supposition = Supposition::new(&self.deployment.contracts, sale, supposed);
        let verdict = self
            .judge_supposed(sale.agreement, hearing.events, &supposition, (&offer, view))
            .await?;
        let Verdict {
            decision, rules, ..
        } = verdict;
        let rules = without_supposed(rules);
        match decision {
            Decision::Admitted(_) => {}
            Decision::Refused(reason) | Decision::Skipped(reason) => {
                let said = failed(&rules).unwrap_or_else(|| reason.sentence().to_owned());
                return Ok(self.decline(hearing, reason.as_str(), &said, rules));
            }
            Decision::AwaitingPayment { .. } => {
                return Ok(Ruling::wait(
                    code::UNPAID,
                    "The payment does not count yet.",
                ));
            }
            Decision::Undecided { .. } => {
                return Ok(Ruling::wait(
                    code::UNDECIDED,
                    "Something that decides cannot be read now.",
                ));
            }
        }
        self.rule_on_workflow(hearing, &supposition, rules).await
    }

    /// The contracts' rules hold: what is left is what would run, and what comes after that.
    async fn rule_on_workflow(
        &self,
        hearing: &Hearing<'_>,
        supposition: &Supposition,
        mut rules: Vec<RuleAnswer>,
    ) -> Result<Ruling, Error> {
        let mut found = Found::default();
        let by = (hearing.view, hearing.catalog);
        let resolved = match self
            .search(hearing.sale, supposition.position(), by, &mut found)
            .await?
        {
            Search::Decided(resolved) => resolved,
            Search::Waits { want, error } => {
                let detail = format!("The {} cannot be had now: {error}.", want.words());
                return Ok(Ruling::Wait {
                    reason: code::UNDECIDED,
                    detail,
                    again: AWAY,
                });
            }
        };
        let (answer, detail) = match &resolved {
            Ok(frozen) => (
                Answer::Holds,
                format!(
                    "The workflow, named by the {}, may run.",
                    frozen.source.as_str()
                ),
            ),
            Err(refusal) => (Answer::Fails, refusal.sentence.clone()),
        };
        rules.push(RuleAnswer {
            rule: crate::ledger::verdicts::WORKFLOW_RULE.into(),
            answer,
            detail: detail.into(),
            evidence: None,
        });
        if let Err(refusal) = resolved {
            return Ok(self.decline(hearing, refusal.reason.as_str(), &refusal.sentence, rules));
        }
        self.approve(hearing, rules, &found).await
    }

    /// Everything holds: what is left is whether we may, and whether there is still time.
    async fn approve(
        &self,
        hearing: &Hearing<'_>,
        rules: Vec<RuleAnswer>,
        found: &Found,
    ) -> Result<Ruling, Error> {
        let sale = hearing.sale;
        let late = |last: u64| hearing.head.saturating_add(self.settings.margin) > last;
        if hearing.last_block().is_some_and(late) {
            let detail =
                "The compute condition's window is over, or would be before an answer is mined.";
            return Ok(self.decline(hearing, code::WINDOW_OVER, detail, rules));
        }
        if !self.may_answer(hearing).await? {
            let detail = format!(
                "The agent's account {} is neither owner nor provider of {}; its owner can add it by DIDRegistry.addDIDProvider.",
                self.account.address, sale.did
            );
            return Ok(Ruling::wait(code::NOT_PROVIDER, detail));
        }
        if hearing.last_block().is_none() {
            tracing::warn!(agreement = %sale.agreement,
                "the compute condition of an agreement never times out: had it been declined, nobody could ever be refunded");
        }
        let found = found.findings();
        let judgement = Judgement {
            found: found
                .map(|(want, its)| (want.clone(), its.clone()))
                .collect(),
            ..self.judgement(hearing, rules)
        };
        Ok(Ruling::Act {
            call: self.purchase(sale, Address::ZERO, U256::ZERO).fulfil(),
            judgement: Some(judgement),
        })
    }

    async fn may_answer(&self, hearing: &Hearing<'_>) -> Result<bool, Error> {
        let sale = hearing.sale;
        let account = self.account.address;
        let facts = keeper::Facts::new(&self.calls, &self.deployment.contracts);
        let owner = facts.did_owner(sale.did, None).await;
        if owner.map_err(fact(sale.agreement))? == Some(account) {
            return Ok(true);
        }
        let is_provider = facts.is_did_provider(sale.did, account, None).await;
        is_provider.map_err(fact(sale.agreement))
    }

    /// The transactions of a sale that involve its escrow.
    pub(super) fn purchase(&self, sale: &Sale, payee: Address, amount: U256) -> Purchase {
        let order = Order {
            agreement: sale.agreement,
            did: sale.did,
            consumer: sale.consumer,
            provider: payee,
            amount,
        };
        Purchase::new(&self.deployment, order)
    }
}

fn offer(catalog: &Catalog, sale: &Sale) -> Offer {
    catalog
        .find(sale.did)
        .map_or(Offer::NotOurs, |asset| Offer::Ours {
            minimum_price: asset.minimum_price,
            payees: catalog.payees.clone(),
        })
}

/// The sentence of the rule that failed.
fn failed(rules: &[RuleAnswer]) -> Option<String> {
    let rule = rules.iter().find(|rule| rule.answer == Answer::Fails)?;
    Some(rule.detail.clone().into_owned())
}

pub(super) fn fact<E: std::error::Error + Send + Sync + 'static>(
    agreement: AgreementId,
) -> impl FnOnce(keeper::facts::Error<E>) -> Error {
    move |source| Error::Fact {
        agreement,
        source: Box::new(source),
    }
}
