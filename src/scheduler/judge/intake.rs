use std::collections::{BTreeMap, BTreeSet};

use super::Judge;
use crate::admission::{self, Recorded};
use crate::ids::AgreementId;
use crate::keeper::{self, ContractCalls, KeeperEvent, Subject};
use crate::ledger::judging::Logged;
use crate::ledger::{self, parked, subjects};
use crate::scheduler::Error;
use crate::workflows;

/// The agreements that a batch of logs is about.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// All of them.
    pub(super) agreements: BTreeSet<AgreementId>,
    /// Those with a compute condition's event among the logs.
    pub(super) fulfilled: BTreeSet<AgreementId>,
}

impl Touched {
    /// Adds what other logs are about.
    pub(super) fn extend(&mut self, others: Self) {
        self.agreements.extend(others.agreements);
        self.fulfilled.extend(others.fulfilled);
    }
}

impl<C: ContractCalls> Judge<C> {
    /// Records what the logs are about and say, and parks those that cannot be read. All of it is derived from the logs: it is
    /// committed before the cursor moves, and making it again changes nothing.
    pub(super) async fn take_in(&self, logs: &[Logged]) -> Result<Touched, Error> {
        if logs.is_empty() {
            return Ok(Touched::default());
        }
        let (events, unreadable) = self.decode(logs);
        let found = subjects_of(&events);
        let described: Vec<_> = logs
            .iter()
            .map(|logged| (logged.id, keeper::describe(&self.deployment, &logged.log)))
            .collect();
        let ids: Vec<_> = logs.iter().map(|logged| logged.id).collect();

        let mut transaction = self.ledger.begin().await?;
        subjects::record(&mut transaction, self.deployment_id, &found).await?;
        subjects::describe(&mut transaction, &described).await?;
        let linked = subjects::link_conditions(&mut transaction, self.deployment_id, &ids).await?;
        for (log, reason) in unreadable {
            parked::park_log(&mut transaction, self.deployment_id, log, &reason).await?;
        }
        ledger::commit(transaction).await?;

        let named = found.iter().filter_map(|(_, subject)| match subject {
            Subject::Agreement(agreement) => Some(*agreement),
            Subject::Condition(_) | Subject::Did(_) => None,
        });
        let fulfilled = events.iter().filter_map(|recorded| match recorded.event {
            KeeperEvent::ComputeFulfilled { agreement, .. } => Some(agreement),
            _ => None,
        });
        Ok(Touched {
            agreements: named.chain(linked.into_iter().map(AgreementId)).collect(),
            fulfilled: fulfilled.collect(),
        })
    }

    /// The logs as events, and why others could not be read.
    pub(super) fn decode(&self, logs: &[Logged]) -> (Vec<Recorded>, Vec<(i64, String)>) {
        let mut events = Vec::new();
        let mut unreadable = Vec::new();
        for Logged { id, log } in logs {
            match keeper::decode(&self.deployment, log) {
                Ok(Some(event)) => events.push(Recorded {
                    log: *id,
                    block: log.block,
                    transaction: log.transaction_hash,
                    transaction_index: log.transaction_index,
                    log_index: log.log_index,
                    event,
                }),
                Ok(None) => {}
                Err(error) => unreadable.push((*id, error.to_string())),
            }
        }
        (events, unreadable)
    }
}

/// What each event is about. Beyond what it names itself: the conditions of a new agreement are about that agreement, and so is
/// a workflow document that names one.
fn subjects_of(events: &[Recorded]) -> Vec<(i64, Subject)> {
    let mut found: BTreeMap<i64, BTreeSet<Subject>> = events
        .iter()
        .map(|recorded| {
            (
                recorded.log,
                recorded.event.subjects().into_iter().collect(),
            )
        })
        .collect();
    for recorded in events {
        match &recorded.event {
            KeeperEvent::AgreementCreated { agreement, .. }
            | KeeperEvent::TemplateAgreementCreated { agreement, .. } => {
                for log in admission::conditions_made_with(events, recorded) {
                    let subject = Subject::Agreement(*agreement);
                    found.entry(log).or_default().insert(subject);
                }
            }
            KeeperEvent::DidRegistered { value, .. } => {
                if let Some(agreement) = workflows::named_agreement(value) {
                    let subject = Subject::Agreement(agreement);
                    found.entry(recorded.log).or_default().insert(subject);
                }
            }
            _ => {}
        }
    }
    found
        .into_iter()
        .flat_map(|(log, subjects)| subjects.into_iter().map(move |subject| (log, subject)))
        .collect()
}
