//! Asks the contracts for their second opinion on verdicts, where the node still has the state that decides them.
//!
//! A recorded opinion counts for ever, so that judging again says the same whatever the node has forgotten meanwhile; only an
//! operator's replay of the parked job has it asked anew.

use std::collections::BTreeMap;

use alloy::primitives::B256;

use super::Judge;
use super::hearing::{Heard, Hearing};
use crate::admission::{AgreementFact, ConditionOpinion, Expectation, Horizon, Opinion, weigh};
use crate::ids::{ConditionId, JobName};
use crate::keeper::{self, ContractCalls, KeeperEvent};
use crate::ledger::opinions::{self, OpinionKey};
use crate::ledger::{self, Transaction, parked};
use crate::scheduler::Error;
use crate::worker::Chain;

/// How far below the irreversible block a state is asked for: full nodes keep those of about the last 128 blocks (go-ethereum,
/// `core/state/pruner` and path-based storage). Asking for each block of a long history would be refused one by one.
pub(super) const ASKED_BACK: u64 = 128;

/// An opinion to be recorded with the verdict that it weighed on.
#[derive(Debug)]
pub(super) struct Taken {
    key: OpinionKey,
    answers: serde_json::Value,
}

impl<C: ContractCalls> Judge<C> {
    /// Weighs a second opinion on every verdict of these hearings that expects one: the recorded one, else what the node answers
    /// now. A node that does not have the state, or does not know the block, leaves the verdict as it is. Answers what was taken.
    /// No transaction is open.
    pub(super) async fn weigh_opinions(
        &self,
        hearings: &mut [Hearing],
        horizon: Horizon,
    ) -> Result<Vec<Taken>, Error> {
        let heard = hearings.iter_mut().flat_map(|hearing| &mut hearing.heard);
        let mut expecting: Vec<_> = heard
            .filter_map(
                |Heard {
                     trigger, verdict, ..
                 }| {
                    let KeeperEvent::ComputeFulfilled { condition, .. } = trigger.event else {
                        return None;
                    };
                    let expectation = verdict.expectation.clone()?;
                    Some((condition, expectation, verdict))
                },
            )
            .collect();
        let mut taken = Vec::new();
        if expecting.is_empty() {
            return Ok(taken);
        }
        let conditions: Vec<_> = expecting.iter().map(|(condition, ..)| *condition).collect();
        let recorded = self.list_opinions(&conditions).await?;
        for (condition, expectation, verdict) in &mut expecting {
            let known = recorded.get(&(*condition, expectation.block.hash));
            let last = known.filter(|(_, opinion)| expectation.is_answered_by(opinion));
            let mut number = known.map_or(1, |(taken_as, _)| taken_as + 1);
            if let Some((taken_as, opinion)) = last {
                let mut weighed = verdict.clone();
                weigh(&mut weighed, opinion);
                number = match &weighed.dispute {
                    None => *taken_as,
                    Some(_) => self.number_of(*condition).await?,
                };
                if number <= *taken_as {
                    **verdict = weighed;
                    continue;
                }
            } else if !is_asked_for(expectation, horizon) {
                continue;
            }
            if let Some(opinion) = self.take(expectation).await {
                taken.push(Taken {
                    key: OpinionKey {
                        condition: *condition,
                        block: expectation.block,
                        number,
                    },
                    answers: serde_json::to_value(&opinion).map_err(unreadable())?,
                });
                weigh(verdict, &opinion);
            } else if let Some((_, opinion)) = last {
                weigh(verdict, opinion);
            }
        }
        Ok(taken)
    }

    /// Records what was taken, and parks the jobs whose verdicts are disputed, in the transaction that wrote their verdicts.
    pub(super) async fn record_opinions(
        &self,
        transaction: &mut Transaction,
        taken: &[Taken],
        hearings: &[Hearing],
    ) -> Result<(), Error> {
        for Taken { key, answers } in taken {
            opinions::record(transaction, self.deployment_id, key, answers).await?;
        }
        for Heard {
            trigger, verdict, ..
        } in hearings.iter().flat_map(|hearing| &hearing.heard)
        {
            let (KeeperEvent::ComputeFulfilled { condition, .. }, Some(dispute)) =
                (&trigger.event, &verdict.dispute)
            else {
                continue;
            };
            let job = self.name_of(*condition);
            if parked::park_job(transaction, self.deployment_id, &job, dispute).await? {
                tracing::error!(%job, dispute, "{job} is parked: events and contracts disagree; replay it once it is known who is right");
            }
        }
        Ok(())
    }

    /// What the contracts answer now; `None` when that cannot be had.
    async fn take(&self, expectation: &Expectation) -> Option<Opinion> {
        match self.ask_all(expectation).await {
            Ok(opinion) => Some(opinion),
            Err(error) => {
                let block = expectation.block;
                tracing::debug!(%block, error = %Chain(&error), "no second opinion can be had on this block's state");
                None
            }
        }
    }

    async fn ask_all(
        &self,
        expectation: &Expectation,
    ) -> Result<Opinion, keeper::facts::Error<C::Error>> {
        let facts = keeper::Facts::new(&self.calls, &self.deployment.contracts);
        let at = expectation.block;
        let agreement = facts.agreement(expectation.agreement, at).await?;
        let mut conditions = Vec::new();
        for expected in &expectation.conditions {
            let id = expected.condition;
            let found = facts.condition(id, at).await?;
            conditions.extend(found.map(|its| ConditionOpinion {
                condition: id,
                type_ref: its.type_ref,
                state: its.state,
                time_lock: its.time_lock,
                time_out: its.time_out,
            }));
        }
        Ok(Opinion {
            asked: expectation
                .conditions
                .iter()
                .map(|its| its.condition)
                .collect(),
            agreement: agreement.map(AgreementFact::from),
            conditions,
            owner: facts.did_owner(expectation.did, at).await?,
        })
    }

    async fn list_opinions(&self, conditions: &[ConditionId]) -> Result<Recorded, Error> {
        let mut connection = self.ledger.acquire().await?;
        let rows = opinions::list(&mut connection, self.deployment_id, conditions).await?;
        let mut last = Recorded::new();
        for (key, answers) in rows {
            let opinion = serde_json::from_value(answers).map_err(unreadable())?;
            last.insert((key.condition, key.block.hash), (key.number, opinion));
        }
        Ok(last)
    }

    async fn number_of(&self, condition: ConditionId) -> Result<i32, Error> {
        let mut connection = self.ledger.acquire().await?;
        let job = self.name_of(condition);
        Ok(opinions::next_number(&mut connection, self.deployment_id, &job).await?)
    }

    fn name_of(&self, condition: ConditionId) -> JobName {
        let contract = self.deployment.contracts.compute_execution_condition;
        JobName::derive(self.deployment.chain_id, contract, condition.0)
    }
}

/// The last recorded opinion on each condition and block, and the how-manieth it is.
type Recorded = BTreeMap<(ConditionId, B256), (i32, Opinion)>;

const fn is_asked_for(expectation: &Expectation, horizon: Horizon) -> bool {
    match horizon.irreversible {
        Some(irreversible) => expectation.block.number.saturating_add(ASKED_BACK) >= irreversible,
        None => true,
    }
}

fn unreadable() -> impl FnOnce(serde_json::Error) -> ledger::Error {
    ledger::Error::unreadable("second_opinions")
}
