use std::collections::BTreeSet;

use alloy::primitives::{B256, U256};

use super::Judge;
use super::gathering::Matter;
use super::hold::hold;
use crate::admission::{
    AgreementFact, ConditionFact, Decision, Facts, Horizon, Missing, Offer, Question, Recorded,
    Verdict, judge,
};
use crate::ids::{AgreementId, ConditionId, Did};
use crate::keeper::{self, ContractCalls, KeeperEvent};
use crate::ledger::facts::{FactKind, NewFact};
use crate::ledger::upgrades::Upgrade;
use crate::worker::Chain;
use crate::workflows::Catalog;

/// An agreement that was looked at, and what was found about each of its compute conditions.
#[derive(Debug)]
pub(super) struct Hearing {
    pub(super) agreement: AgreementId,
    /// Each canonical compute event with its verdict.
    pub(super) verdicts: Vec<(Recorded, Verdict)>,
    /// What was read and holds for ever.
    pub(super) learned: Vec<NewFact>,
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
        catalog: &Catalog,
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
                        offer: &offer(catalog, trigger),
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
        let verdicts = verdicts
            .into_iter()
            .map(|verdict| hold(verdict, &events, held));
        Hearing {
            agreement,
            verdicts: triggers.into_iter().zip(verdicts).collect(),
            learned: known.learned,
        }
    }

    /// Asks the node for one thing. No transaction is open. A failure is told to operators and otherwise the same as not knowing.
    async fn ask(&self, missing: Missing, horizon: Horizon, known: &mut Known) {
        known.asked.insert(missing);
        let asked = match missing {
            Missing::Agreement(id) => self.ask_agreement(id, horizon, known).await,
            Missing::Condition(id) => self.ask_condition(id, horizon, known).await,
            Missing::Owner(did) => self.ask_owner(did, horizon, known).await,
            Missing::ActFrom => Ok(()),
        };
        if let Err(error) = asked {
            tracing::warn!(error = %Chain(&error), "a fact cannot be read now; its verdict stays undecided");
        }
    }

    /// A block whose state a full node has, and which a node that lags behind does not know: it must answer with an error then,
    /// not with the past.
    fn at(horizon: Horizon) -> u64 {
        horizon.irreversible.unwrap_or_default().max(horizon.judged)
    }

    async fn ask_agreement(
        &self,
        id: AgreementId,
        horizon: Horizon,
        known: &mut Known,
    ) -> Result<(), keeper::facts::Error<C::Error>> {
        let facts = keeper::Facts::new(&self.calls, &self.deployment.contracts);
        let found = facts.agreement(id, Some(Self::at(horizon))).await?;
        // What was made after the judged block is not there yet, as far as this verdict goes.
        let found = found.filter(|its| {
            u64::try_from(its.block_number_updated).is_ok_and(|made| made <= horizon.judged)
        });
        let fact = found.as_ref().map(|its| AgreementFact {
            did: its.did,
            template: its.template_id,
            conditions: its.conditions.clone(),
            made: u64::try_from(its.block_number_updated).ok(),
        });
        if let (Some(fact), Some(its)) = (&fact, &found) {
            let about = (FactKind::Agreement, id.0);
            known.learn(about, fact, its.block_number_updated, horizon);
        }
        known.facts.agreements.insert(id, fact);
        Ok(())
    }

    async fn ask_condition(
        &self,
        id: ConditionId,
        horizon: Horizon,
        known: &mut Known,
    ) -> Result<(), keeper::facts::Error<C::Error>> {
        let facts = keeper::Facts::new(&self.calls, &self.deployment.contracts);
        if let Some(its) = facts.condition(id, Some(Self::at(horizon))).await? {
            let fact = ConditionFact {
                type_ref: its.type_ref,
                time_lock: its.time_lock,
                time_out: its.time_out,
            };
            known.learn(
                (FactKind::Condition, id.0),
                &fact,
                its.block_number,
                horizon,
            );
            known.facts.conditions.insert(id, fact);
        }
        Ok(())
    }

    /// The owner is asked for at the irreversible block, and only once everything up to it is judged: were the asset given away
    /// before, an event would say so.
    async fn ask_owner(
        &self,
        did: Did,
        horizon: Horizon,
        known: &mut Known,
    ) -> Result<(), keeper::facts::Error<C::Error>> {
        let Some(irreversible) = horizon.irreversible.filter(|at| *at <= horizon.judged) else {
            return Ok(());
        };
        let facts = keeper::Facts::new(&self.calls, &self.deployment.contracts);
        if let Some(owner) = facts.did_owner(did, Some(irreversible)).await? {
            let block = U256::from(irreversible);
            known.learn((FactKind::DidOwner, did.0), &owner, block, horizon);
            known.facts.owners.insert(did, owner);
        }
        Ok(())
    }
}

impl Known {
    /// Keeps a fact if the block that fixed it can no longer be reorganised away.
    fn learn<T: serde::Serialize>(
        &mut self,
        about: (FactKind, B256),
        fact: &T,
        fixed_at: U256,
        horizon: Horizon,
    ) {
        let irreversible = horizon.irreversible.unwrap_or_default();
        if fixed_at > U256::from(irreversible) {
            return;
        }
        if let Ok(value) = serde_json::to_value(fact) {
            self.learned.push(NewFact {
                about,
                value,
                at_block: irreversible,
            });
        }
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
