use std::collections::BTreeSet;

use alloy::primitives::B256;

use super::Judge;
use super::gathering::Matter;
use super::hold::hold;
use crate::admission::{
    Decision, Facts, Horizon, Missing, Offer, Question, Recorded, Verdict, judge,
};
use crate::facts::{self, Fact};
use crate::ids::{AgreementId, Did};
use crate::keeper::{ContractCalls, KeeperEvent};
use crate::ledger::facts::{FactKind, NewFact};
use crate::ledger::upgrades::Upgrade;
use crate::scheduler::governing::Governing;
use crate::worker::Chain;
use crate::workflows::Catalog;

/// An agreement that was looked at, and what was found about each of its compute conditions.
#[derive(Debug)]
pub(super) struct Hearing {
    pub(super) agreement: AgreementId,
    /// One for each canonical compute event.
    pub(super) heard: Vec<Heard>,
    /// What was read and holds for ever.
    pub(super) learned: Vec<NewFact>,
}

/// A canonical compute event, and what was found about it.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) trigger: Recorded,
    pub(super) verdict: Verdict,
    /// The version of the catalog that judged it.
    pub(super) policy: B256,
}

/// The facts of a hearing, stored and new ones.
#[derive(Default)]
struct Known {
    facts: Facts,
    asked: BTreeSet<Missing>,
    learned: Vec<NewFact>,
}

impl<C: ContractCalls> Judge<C> {
    /// Judges every compute condition of an agreement on its events up to the horizon, asking the node for what they lack.
    /// Whatever cannot be had now leaves the verdict undecided.
    pub(super) async fn hear(
        &self,
        matter: Matter,
        horizon: Horizon,
        by: &Governing,
        held: &[Upgrade],
    ) -> Hearing {
        let Matter {
            agreement,
            triggers,
            events,
            facts,
        } = matter;
        let mut known = Known {
            facts,
            ..Known::default()
        };
        let verdicts = loop {
            let verdicts: Vec<_> = triggers
                .iter()
                .map(|trigger| {
                    judge(&Question {
                        keeper: &self.deployment,
                        trigger,
                        events: &events,
                        facts: &known.facts,
                        offer: &offer(by.of(trigger), trigger),
                        horizon,
                    })
                })
                .collect();
            let missing: Vec<_> = verdicts
                .iter()
                .flat_map(|verdict| match &verdict.decision {
                    Decision::Undecided { missing } => missing.as_slice(),
                    _ => &[],
                })
                .copied()
                .filter(|missing| !known.asked.contains(missing))
                .collect();
            // While a contract's code is in doubt, so are its answers.
            if missing.is_empty() || !held.is_empty() {
                break verdicts;
            }
            for missing in missing {
                self.ask(missing, horizon, &mut known).await;
            }
        };
        let heard = triggers.into_iter().zip(verdicts);
        let heard = heard.map(|(trigger, verdict)| Heard {
            policy: by.of(&trigger).sha256,
            verdict: hold(verdict, &events, held),
            trigger,
        });
        Hearing {
            agreement,
            heard: heard.collect(),
            learned: known.learned,
        }
    }

    /// Asks the node for one thing. No transaction is open. A failure is told to operators and otherwise the same as not knowing.
    async fn ask(&self, missing: Missing, horizon: Horizon, known: &mut Known) {
        known.asked.insert(missing);
        let Some(at) = asked_at(missing, horizon) else {
            return;
        };
        let asked = (&self.calls, &self.deployment.contracts);
        match facts::ask(asked, missing, at).await {
            Ok(found) => {
                let found = found.map(|fact| as_of(fact, horizon));
                found
                    .into_iter()
                    .for_each(|fact| known.learn(fact, horizon));
            }
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "a fact cannot be read now; its verdict stays undecided");
            }
        }
    }
}

/// A block whose state a full node has, and which a node that lags behind does not know: it must answer with an error then, not
/// with the past. An owner is asked for at the irreversible block, and only once everything up to it is judged: were the asset
/// given away before, an event would say so.
fn asked_at(missing: Missing, horizon: Horizon) -> Option<u64> {
    match missing {
        Missing::Agreement(_) | Missing::Condition(_) => {
            Some(horizon.irreversible.unwrap_or_default().max(horizon.judged))
        }
        Missing::Owner(_) => horizon.irreversible.filter(|at| *at <= horizon.judged),
        Missing::ActFrom => None,
    }
}

/// What was made after the judged block is not there yet, as far as this verdict goes.
fn as_of(fact: Fact, horizon: Horizon) -> Fact {
    match fact {
        Fact::Agreement(id, found) => Fact::Agreement(
            id,
            found.filter(|its| its.made.is_some_and(|made| made <= horizon.judged)),
        ),
        other => other,
    }
}

impl Known {
    /// Takes a fact in, and keeps it if the block that fixed it can no longer be reorganised away.
    fn learn(&mut self, fact: Fact, horizon: Horizon) {
        let irreversible = horizon.irreversible.unwrap_or_default();
        let is_fixed = |made: Option<u64>| made.is_some_and(|made| made <= irreversible);
        let kept = match &fact {
            Fact::Agreement(id, Some(its)) if is_fixed(its.made) => {
                Some((FactKind::Agreement, id.0, serde_json::to_value(its)))
            }
            Fact::Condition { id, fact, made } if is_fixed(*made) => {
                Some((FactKind::Condition, id.0, serde_json::to_value(fact)))
            }
            Fact::Owner(did, owner) => {
                Some((FactKind::DidOwner, did.0, serde_json::to_value(owner)))
            }
            Fact::Agreement(..) | Fact::Condition { .. } => None,
        };
        if let Some((kind, about, Ok(value))) = kept {
            self.learned.push(NewFact {
                about: (kind, about),
                value,
                at_block: irreversible,
            });
        }
        fact.put(&mut self.facts);
    }
}

fn did(trigger: &Recorded) -> Option<Did> {
    match trigger.event {
        KeeperEvent::ComputeFulfilled { did, .. } => Some(did),
        _ => None,
    }
}

fn offer(catalog: &Catalog, trigger: &Recorded) -> Offer {
    did(trigger)
        .and_then(|did| catalog.find(did))
        .map_or(Offer::NotOurs, |asset| Offer::Ours {
            minimum_price: asset.minimum_price,
            payees: catalog.payees.clone(),
        })
}
