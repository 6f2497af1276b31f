use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;

use super::Judge;
use crate::admission::{self, Recorded};
use crate::ids::{AgreementId, ConditionId, Did};
use crate::keeper::{self, ContractCalls, KeeperEvent, Subject};
use crate::ledger::judging::{self, Logged};
use crate::ledger::upgrades::{self, Upgrade};
use crate::ledger::{self, cursors, parked, subjects};
use crate::scheduler::Error;
use crate::workflows;

/// Logs that are described before whatever else the task does has its turn: some tenths of a millisecond.
const TURN: usize = 64;

/// What each log is about, by the log's id.
type About = BTreeMap<i64, BTreeSet<Subject>>;

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
    fn new(events: Vec<Recorded>, about: Vec<(i64, Subject)>) -> Self {
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

    /// The ids of its events, where they are one range that holds nothing else; otherwise none.
    pub(super) fn logs(&self) -> RangeInclusive<i64> {
        let ids = self.events.iter().map(|recorded| recorded.log);
        match (ids.clone().min(), ids.max()) {
            (Some(first), Some(last)) if is_dense(first, last, self.events.len()) => first..=last,
            _ => judging::NO_LOGS,
        }
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
    /// committed before the cursor moves, and making it again changes nothing. So nobody waits for that commit to be on disk: a
    /// cursor that is there after a crash was written behind it, and one that is not has it made again.
    pub(super) async fn take_in(&self, logs: &[Logged]) -> Result<Intake, Error> {
        if logs.is_empty() {
            return Ok(Intake::default());
        }
        let (events, unreadable) = self.decode(logs);
        let mut about = subjects_of(&events);
        let conditions: Vec<_> = conditions(&about).collect();
        let mut described = Vec::with_capacity(logs.len());
        for some in logs.chunks(TURN) {
            let say = |logged: &Logged| keeper::describe(&self.deployment, &logged.log);
            described.extend(some.iter().map(|logged| (logged.id, say(logged))));
            // The batch before is being written by the same task, and the database waits for what that has to send.
            tokio::task::yield_now().await;
        }

        let mut transaction = self.ledger.begin().await?;
        cursors::need_not_be_durable(&mut transaction).await?;
        let id = self.deployment_id;
        let known = subjects::list_agreements_of(&mut transaction, id, &conditions).await?;
        link_conditions(&mut about, &known);
        let about: Vec<_> = about
            .into_iter()
            .flat_map(|(log, subjects)| subjects.into_iter().map(move |subject| (log, subject)))
            .collect();
        subjects::record(&mut transaction, id, &about).await?;
        subjects::describe(&mut transaction, &described).await?;
        for upgrade in upgrades_among(&events) {
            let listed = &self.deployment.implementations;
            upgrades::record(&mut transaction, id, &upgrade, listed).await?;
        }
        for (log, reason) in unreadable {
            parked::park_log(&mut transaction, id, log, &reason).await?;
        }
        ledger::commit(transaction).await?;
        Ok(Intake::new(events, about))
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

/// Whether so many different ids fill the range between the first and the last.
fn is_dense(first: i64, last: i64, count: usize) -> bool {
    let between = last
        .checked_sub(first)
        .and_then(|span| usize::try_from(span).ok());
    between.and_then(|span| span.checked_add(1)) == Some(count)
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
fn subjects_of(events: &[Recorded]) -> About {
    let mut found: About = events
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
}

/// The conditions that any of the logs is about.
fn conditions(about: &About) -> impl Iterator<Item = ConditionId> {
    about
        .values()
        .flatten()
        .filter_map(|subject| match subject {
            Subject::Condition(condition) => Some(*condition),
            _ => None,
        })
}

/// Gives condition logs the agreements that other logs of the same condition are about, among these or as `known` from before: an
/// abort names only the condition.
fn link_conditions(about: &mut About, known: &[(ConditionId, AgreementId)]) {
    let mut agreements: HashMap<ConditionId, BTreeSet<AgreementId>> = HashMap::new();
    for (condition, agreement) in known {
        agreements.entry(*condition).or_default().insert(*agreement);
    }
    for subjects in about.values() {
        let named = subjects.iter().filter_map(|subject| match subject {
            Subject::Agreement(agreement) => Some(*agreement),
            _ => None,
        });
        let named: Vec<_> = named.collect();
        for subject in subjects {
            if let Subject::Condition(condition) = subject {
                agreements.entry(*condition).or_default().extend(&named);
            }
        }
    }
    for subjects in about.values_mut() {
        let linked: Vec<_> = subjects
            .iter()
            .filter_map(|subject| match subject {
                Subject::Condition(condition) => agreements.get(condition),
                _ => None,
            })
            .flatten()
            .map(|agreement| Subject::Agreement(*agreement))
            .collect();
        subjects.extend(linked);
    }
}

/// Events come in order, so those of one transaction stand together. An agreement's conditions are made in its own.
fn in_one_transaction(one: &Recorded, next: &Recorded) -> bool {
    (one.block, one.transaction) == (next.block, next.transaction)
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;

    use super::*;

    fn agreement(byte: u8) -> Subject {
        Subject::Agreement(AgreementId(B256::repeat_byte(byte)))
    }

    fn condition(byte: u8) -> Subject {
        Subject::Condition(ConditionId(B256::repeat_byte(byte)))
    }

    #[test]
    fn a_log_is_about_every_agreement_of_its_condition() {
        let mut about = About::from([
            (1, BTreeSet::from([agreement(0xa), condition(1)])),
            (2, BTreeSet::from([condition(1)])),
            (3, BTreeSet::from([agreement(0xb), condition(1)])),
            (4, BTreeSet::from([condition(2)])),
            (5, BTreeSet::from([condition(3)])),
            (6, BTreeSet::from([agreement(0xa)])),
        ]);
        let before = |byte, of| {
            let ids = (B256::repeat_byte(byte), B256::repeat_byte(of));
            (ConditionId(ids.0), AgreementId(ids.1))
        };
        link_conditions(&mut about, &[before(2, 0xc), before(9, 0xd)]);
        let of_the_first = BTreeSet::from([agreement(0xa), agreement(0xb), condition(1)]);
        let expected = About::from([
            (1, of_the_first.clone()),
            (2, of_the_first.clone()),
            (3, of_the_first),
            (4, BTreeSet::from([agreement(0xc), condition(2)])),
            (5, BTreeSet::from([condition(3)])),
            (6, BTreeSet::from([agreement(0xa)])),
        ]);
        assert_eq!(about, expected);
    }

    #[test]
    fn ids_are_one_range_only_without_a_gap() {
        assert!(is_dense(7, 7, 1));
        assert!(is_dense(-1, 3, 5));
        assert!(!is_dense(1, 3, 2));
        assert!(!is_dense(i64::MIN, i64::MAX, 2));
    }
}
