use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Judge;
use crate::admission::{self, Recorded};
use crate::ids::{AgreementId, Did};
use crate::keeper::{self, ContractCalls, KeeperEvent, Subject};
use crate::ledger::judging::Logged;
use crate::ledger::upgrades::{self, Upgrade};
use crate::ledger::{self, parked, subjects};
use crate::scheduler::Error;
use crate::workflows;

/// What a batch of logs says, and about what.
#[derive(Debug, Default)]
pub(super) struct Intake {
    /// Its events, in order.
    events: Vec<Recorded>,
    /// Which of them are about an agreement, in order.
    agreements: BTreeMap<AgreementId, Vec<usize>>,
    /// Which of them are about an asset, in order.
    assets: HashMap<Did, Vec<usize>>,
    /// Agreements with a compute condition's event among them.
    pub(super) fulfilled: BTreeSet<AgreementId>,
}

impl Intake {
    fn new(events: Vec<Recorded>, about: impl Iterator<Item = (i64, Subject)>) -> Self {
        let places: HashMap<i64, usize> = events
            .iter()
            .enumerate()
            .map(|(place, recorded)| (recorded.log, place))
            .collect();
        let fulfilled = events.iter().filter_map(|recorded| match recorded.event {
            KeeperEvent::ComputeFulfilled { agreement, .. } => Some(agreement),
            _ => None,
        });
        let mut intake = Self {
            fulfilled: fulfilled.collect(),
            events,
            ..Self::default()
        };
        for (log, subject) in about {
            let Some(place) = places.get(&log) else {
                continue;
            };
            match subject {
                Subject::Agreement(agreement) => {
                    intake.agreements.entry(agreement).or_default().push(*place);
                }
                Subject::Did(did) => intake.assets.entry(did).or_default().push(*place),
                Subject::Condition(_) => {}
            }
        }
        let lists = intake.agreements.values_mut();
        for places in lists.chain(intake.assets.values_mut()) {
            places.sort_unstable();
            places.dedup();
        }
        intake
    }

    /// The agreements that any of the events is about.
    pub(super) fn agreements(&self) -> impl Iterator<Item = AgreementId> + '_ {
        self.agreements.keys().copied()
    }

    /// The events about an agreement, in order.
    pub(super) fn about_agreement(
        &self,
        agreement: AgreementId,
    ) -> impl Iterator<Item = &Recorded> {
        self.at(self.agreements.get(&agreement))
    }

    /// The events about an asset, in order.
    pub(super) fn about_asset(&self, did: Did) -> impl Iterator<Item = &Recorded> {
        self.at(self.assets.get(&did))
    }

    fn at(&self, places: Option<&Vec<usize>>) -> impl Iterator<Item = &Recorded> {
        let places = places.into_iter().flatten();
        places.filter_map(|place| self.events.get(*place))
    }
}

impl<C: ContractCalls> Judge<C> {
    /// Records what the logs are about and say, and parks those that cannot be read. All of it is derived from the logs: it is
    /// committed before the cursor moves, and making it again changes nothing.
    pub(super) async fn take_in(&self, logs: &[Logged]) -> Result<Intake, Error> {
        if logs.is_empty() {
            return Ok(Intake::default());
        }
        let (events, unreadable) = self.decode(logs);
        let found = subjects_of(&events);
        let described: Vec<_> = logs
            .iter()
            .map(|logged| (logged.id, keeper::describe(&self.deployment, &logged.log)))
            .collect();
        let ids: Vec<_> = found
            .iter()
            .filter(|(_, subject)| matches!(subject, Subject::Condition(_)))
            .map(|(log, _)| *log)
            .collect();

        let mut transaction = self.ledger.begin().await?;
        subjects::record(&mut transaction, self.deployment_id, &found).await?;
        subjects::describe(&mut transaction, &described).await?;
        let linked = subjects::link_conditions(&mut transaction, self.deployment_id, &ids).await?;
        for upgrade in upgrades_among(&events) {
            let listed = &self.deployment.implementations;
            upgrades::record(&mut transaction, self.deployment_id, &upgrade, listed).await?;
        }
        for (log, reason) in unreadable {
            parked::park_log(&mut transaction, self.deployment_id, log, &reason).await?;
        }
        ledger::commit(transaction).await?;

        let linked = linked
            .into_iter()
            .map(|(agreement, log)| (log, Subject::Agreement(agreement)));
        Ok(Intake::new(events, found.into_iter().chain(linked)))
    }

    /// The logs as events, and why others could not be read.
    pub(super) fn decode<'a>(
        &self,
        logs: impl IntoIterator<Item = &'a Logged>,
    ) -> (Vec<Recorded>, Vec<(i64, String)>) {
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

fn upgrades_among(events: &[Recorded]) -> impl Iterator<Item = Upgrade> {
    events.iter().filter_map(|recorded| match recorded.event {
        KeeperEvent::Upgraded {
            proxy,
            implementation,
        } => Some(Upgrade {
            log: recorded.log,
            proxy,
            implementation,
            block_number: recorded.block.number,
            log_index: recorded.log_index,
        }),
        _ => None,
    })
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
    for transaction in events.chunk_by(in_one_transaction) {
        for recorded in transaction {
            match &recorded.event {
                KeeperEvent::AgreementCreated { agreement, .. }
                | KeeperEvent::TemplateAgreementCreated { agreement, .. } => {
                    for log in admission::conditions_made_with(transaction, recorded) {
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
    }
    found
        .into_iter()
        .flat_map(|(log, subjects)| subjects.into_iter().map(move |subject| (log, subject)))
        .collect()
}

/// Events come in order, so those of one transaction stand together. An agreement's conditions are made in its own.
fn in_one_transaction(one: &Recorded, next: &Recorded) -> bool {
    (one.block, one.transaction) == (next.block, next.transaction)
}
