//! A purchase that somebody intends: the verdict it would get, what it costs, and the transactions to send.

use alloy::primitives::{Address, B256, U256, keccak256};

use super::sale::Sale;
use super::stage::Stage;
use super::supposition::{Supposition, without_supposed};
use crate::admission::{
    AgreementFact, Answer, ConditionFact, Decision, Facts, Horizon, Offer, Question, Recorded,
    RuleAnswer, judge,
};
use crate::ids::{AgreementId, Did};
use crate::jobs::Reason;
use crate::keeper::{Call, Deployment, Order, Purchase, purchase};
use crate::workflows::{Catalog, Conclusion, Found, Resolution, Want, resolve};

/// Name of the rule by which a workflow is allowed.
const WORKFLOW_RULE: &str = "workflow";

/// What somebody intends to buy. Nothing of it has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intention {
    /// The agreement's id: the buyer's free choice, and unused.
    pub agreement: AgreementId,
    /// The asset.
    pub did: Did,
    /// Who buys, pays and gets the result.
    pub consumer: Address,
    /// What will be paid, in the token's smallest unit; `None`: the asset's price.
    pub amount: Option<U256>,
    /// What to register under the agreement's id. `None`: the publisher's default runs.
    pub document: Option<Naming>,
}

/// How a buyer names a workflow: the value to register, and what the document's bytes hash to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    /// The value, at most 2048 bytes.
    pub value: Vec<u8>,
    /// Keccak-256 of the document.
    pub checksum: B256,
}

impl Naming {
    /// A document that stands in the registry itself, as a `data:` URL.
    pub fn inline(value: impl Into<Vec<u8>>) -> Self {
        let value = value.into();
        Self {
            checksum: keccak256(&value),
            value,
        }
    }

    /// A document that lies at an address (`https://…` or `ipfs://…`) and has that Keccak-256 hash.
    pub fn at(address: &str, checksum: B256) -> Self {
        Self {
            value: address.as_bytes().to_vec(),
            checksum,
        }
    }
}

/// What is on the chain now that bears on an intended purchase.
#[derive(Clone, Debug)]
pub struct Present<'a> {
    /// Who owns the asset; `None` when nobody registered it.
    pub owner: Option<Address>,
    /// Number of the newest block.
    pub head: u64,
    /// What the registry's events say about the DID that is the agreement's id.
    pub registrations: &'a [Recorded],
    /// What was found of earlier answers' [`Preflight::wants`].
    pub found: &'a Found,
}

/// The answer to an intention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preflight {
    /// Why the purchase would be refused; `None` when its job would be admitted and its workflow may run, or when that cannot be
    /// said yet.
    pub refused: Option<Reason>,
    /// What has to be looked for before it can be said what would run: note what was found and ask again.
    pub wants: Option<Want>,
    /// Every rule's answer, in order.
    pub rules: Vec<RuleAnswer>,
    /// Least amount that must be paid, in the token's smallest unit; `None` for an asset of somebody else.
    pub price: Option<U256>,
    /// The transactions in the order in which it is safe to send them; none when it would be refused.
    pub calls: Vec<Call>,
    /// Last block in which the publisher can answer, when the agreement is created in the next block. Afterwards the payment can
    /// be taken back.
    pub answer_until: u64,
}

/// Judges a purchase as if it had been made and answered, by the rules that judge it afterwards.
///
/// The order of the transactions is part of the answer: the document first, since whoever registers the agreement's id before its
/// consumer does keeps the consumer from choosing; the payment last, since it is what has to be taken back if anything before it
/// fails.
pub fn preflight(
    deployment: &Deployment,
    catalog: &Catalog,
    intention: &Intention,
    present: &Present<'_>,
) -> Preflight {
    let asset = catalog.find(intention.did);
    let price = asset.map(|asset| asset.minimum_price);
    let payees = catalog.payees.as_deref().unwrap_or_default();
    let payee = payees.first().copied().or(present.owner);
    let order = Order {
        agreement: intention.agreement,
        did: intention.did,
        consumer: intention.consumer,
        provider: payee.unwrap_or_default(),
        amount: intention.amount.or(price).unwrap_or_default(),
    };
    let made = Purchase::new(deployment, order);
    let scene = Scene::set(deployment, intention, present, &made);
    let offer = price.map_or(Offer::NotOurs, |minimum_price| Offer::Ours {
        minimum_price,
        payees: catalog.payees.clone(),
    });
    let (mut refused, mut rules) = scene.admission(deployment, &offer);
    let mut wants = None;
    if refused.is_none() {
        match scene.workflow(catalog, intention, present.found) {
            Ok((refusal, rule)) => {
                refused = refusal;
                rules.push(rule);
            }
            Err(want) => wants = Some(want),
        }
    }
    let calls = if refused.is_none() && wants.is_none() {
        calls(deployment, intention, &made)
    } else {
        Vec::new()
    };
    Preflight {
        refused,
        wants,
        rules,
        price,
        calls,
        answer_until: present
            .head
            .saturating_add(1)
            .saturating_add(made.time_outs[0]),
    }
}

fn calls(deployment: &Deployment, intention: &Intention, made: &Purchase) -> Vec<Call> {
    let document = intention.document.as_ref().map(|document| {
        let did = Did(intention.agreement.0);
        let Naming { value, checksum } = document;
        purchase::register_did(&deployment.contracts, did, *checksum, &[], value)
    });
    let rest = [made.create(), made.approve(), made.lock()];
    document.into_iter().chain(rest).collect()
}

/// The events that the purchase would make, and what calls would answer.
struct Scene {
    events: Vec<Recorded>,
    facts: Facts,
    supposition: Option<Supposition>,
    sale: Option<Sale>,
    head: u64,
}

impl Scene {
    /// Registration, creation and payment in the blocks that come, and the answer in the one after.
    fn set(
        deployment: &Deployment,
        intention: &Intention,
        present: &Present<'_>,
        made: &Purchase,
    ) -> Self {
        let contracts = &deployment.contracts;
        let mut stage = Stage::new(present);
        stage.register(intention, present);
        stage.create(deployment, intention, made);
        stage.pay(deployment, intention, made);
        let events = stage.into_events();
        let sale = Sale::read(contracts, &events, intention.agreement).ok();
        let supposition = sale
            .as_ref()
            .map(|sale| Supposition::new(contracts, sale, present.head.saturating_add(4)));
        Self {
            facts: facts(deployment, intention, present, made),
            events,
            supposition,
            sale,
            head: present.head,
        }
    }

    fn admission(
        &self,
        deployment: &Deployment,
        offer: &Offer,
    ) -> (Option<Reason>, Vec<RuleAnswer>) {
        let Some(supposition) = &self.supposition else {
            return (Some(Reason::WrongConditions), Vec::new());
        };
        let mut events = self.events.clone();
        events.extend([supposition.update.clone(), supposition.trigger.clone()]);
        let verdict = judge(&Question {
            keeper: deployment,
            trigger: &supposition.trigger,
            events: &events,
            facts: &self.facts,
            offer,
            horizon: Horizon {
                judged: supposition.position().block,
                irreversible: None,
                first: 0,
                act_from: Some(self.head),
            },
        });
        let refused = match verdict.decision {
            Decision::Admitted(_) => None,
            Decision::Refused(reason) | Decision::Skipped(reason) => Some(reason),
            // everything that decides is supposed, so only an asset that nobody registered leaves anything open
            Decision::Undecided { .. } | Decision::AwaitingPayment { .. } => {
                Some(Reason::EscrowMismatch)
            }
        };
        (refused, without_supposed(verdict.rules))
    }

    /// What would run, or why nothing would; else what has to be looked for first.
    fn workflow(
        &self,
        catalog: &Catalog,
        intention: &Intention,
        found: &Found,
    ) -> Result<(Option<Reason>, RuleAnswer), Want> {
        let (Some(sale), Some(supposition)) = (&self.sale, &self.supposition) else {
            let refusal = Reason::WrongConditions;
            return Ok((Some(refusal), rule(Answer::Fails, refusal.sentence())));
        };
        let question = Resolution {
            agreement: intention.agreement,
            did: intention.did,
            consumer: intention.consumer,
            agreement_created: sale.created,
            decided_at: supposition.position(),
            registrations: &self.events,
            catalog,
        };
        match resolve(&question, found) {
            Conclusion::Frozen(frozen) => {
                let said = format!(
                    "The workflow, named by the {}, may run.",
                    frozen.source.as_str()
                );
                Ok((None, rule(Answer::Holds, &said)))
            }
            Conclusion::Refused(refusal) => {
                Ok((Some(refusal.reason), rule(Answer::Fails, &refusal.sentence)))
            }
            Conclusion::Wants(want) => Err(want),
        }
    }
}

fn facts(
    deployment: &Deployment,
    intention: &Intention,
    present: &Present<'_>,
    made: &Purchase,
) -> Facts {
    let contracts = &deployment.contracts;
    let mut facts = Facts::default();
    let agreement = AgreementFact {
        did: intention.did,
        template: made.template,
        conditions: made.condition_ids(),
        made: None,
    };
    facts
        .agreements
        .insert(intention.agreement, Some(agreement));
    let types = [
        contracts.compute_execution_condition,
        contracts.lock_reward_condition,
        contracts.escrow_reward,
    ];
    for (index, (condition, type_ref)) in made.condition_ids().into_iter().zip(types).enumerate() {
        let window = |list: &[u64; 3]| U256::from(list.get(index).copied().unwrap_or_default());
        let fact = ConditionFact {
            type_ref,
            time_lock: window(&made.time_locks),
            time_out: window(&made.time_outs),
        };
        facts.conditions.insert(condition, fact);
    }
    facts
        .owners
        .extend(present.owner.map(|owner| (intention.did, owner)));
    facts
}

fn rule(answer: Answer, detail: &str) -> RuleAnswer {
    RuleAnswer {
        rule: WORKFLOW_RULE.into(),
        answer,
        detail: detail.to_owned().into(),
        evidence: None,
    }
}
