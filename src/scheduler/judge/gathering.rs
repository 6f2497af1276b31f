use std::collections::{BTreeSet, HashMap};

use alloy::primitives::{Address, B256};
use serde::de::DeserializeOwned;

use super::intake::Intake;
use super::{Docket, Judge};
use crate::admission::{AgreementFact, ConditionFact, Facts, Recorded};
use crate::ids::{AgreementId, ConditionId, Did};
use crate::keeper::{ContractCalls, KeeperEvent};
use crate::ledger::facts::FactKind;
use crate::ledger::judging::Logged;
use crate::ledger::{self, Connection};
use crate::ledger::{facts, judging, subjects};
use crate::scheduler::Error;

/// What verdicts on an agreement rest on, as far as the ledger has it.
#[derive(Debug)]
pub(super) struct Matter {
    pub(super) agreement: AgreementId,
    /// Its canonical compute events.
    pub(super) triggers: Vec<Recorded>,
    /// Every canonical event about it, its conditions and the assets that its compute events name.
    pub(super) events: Vec<Recorded>,
    pub(super) facts: Facts,
}

/// Events by what they are about.
struct Found {
    events: Vec<Recorded>,
    places: HashMap<B256, Vec<usize>>,
}

impl Found {
    fn about(&self, subject: B256) -> impl Iterator<Item = &Recorded> {
        let places = self.places.get(&subject).into_iter().flatten();
        places.filter_map(|place| self.events.get(*place))
    }
}

impl<C: ContractCalls> Judge<C> {
    /// Gathers what agreements are to be judged on, for all of them at once: what the tick takes in is in memory, what came before
    /// is read from the ledger. Events after the tick's end do not count.
    pub(super) async fn gather(
        &self,
        agreements: BTreeSet<AgreementId>,
        intake: &Intake,
        docket: &Docket,
    ) -> Result<Vec<Matter>, Error> {
        if agreements.is_empty() {
            return Ok(Vec::new());
        }
        let mut connection = self.ledger.acquire().await?;
        let wanted: Vec<B256> = agreements.iter().map(|agreement| agreement.0).collect();
        let older = self
            .found_before(
                &mut connection,
                docket,
                (subjects::AGREEMENT, &wanted),
                intake,
            )
            .await?;
        let mut matters: Vec<_> = agreements
            .into_iter()
            .map(|agreement| {
                let (old, new) = (older.about(agreement.0), intake.about_agreement(agreement));
                Matter::new(agreement, old.chain(new).cloned().collect())
            })
            .collect();
        let assets: BTreeSet<B256> = matters.iter().flat_map(Matter::assets).collect();
        let assets: Vec<B256> = assets.into_iter().collect();
        let older = self
            .found_before(&mut connection, docket, (subjects::DID, &assets), intake)
            .await?;
        for matter in &mut matters {
            let assets: BTreeSet<B256> = matter.assets().collect();
            for asset in assets {
                let (old, new) = (older.about(asset), intake.about_asset(Did(asset)));
                matter.events.extend(old.chain(new).cloned());
            }
        }
        self.add_facts(&mut connection, &mut matters, &assets)
            .await?;
        Ok(matters)
    }

    /// Recorded events about subjects in blocks that are judged already; the intake's are not.
    async fn found_before(
        &self,
        connection: &mut Connection,
        docket: &Docket,
        about: (&'static str, &[B256]),
        intake: &Intake,
    ) -> Result<Found, Error> {
        let (id, up_to) = (self.deployment_id, docket.seen.judged.number);
        let known = intake.logs();
        let logs = judging::list_about_others(connection, id, about, up_to, &known).await?;
        let mut found = Found {
            events: Vec::with_capacity(logs.len()),
            places: HashMap::new(),
        };
        for (subject, logged) in &logs {
            let (events, _) = self.decode(std::iter::once::<&Logged>(logged));
            for event in events {
                let places = found.places.entry(*subject).or_default();
                places.push(found.events.len());
                found.events.push(event);
            }
        }
        Ok(found)
    }

    /// Gives each matter the stored facts about it.
    async fn add_facts(
        &self,
        connection: &mut Connection,
        matters: &mut [Matter],
        assets: &[B256],
    ) -> Result<(), Error> {
        let agreements: Vec<B256> = matters.iter().map(|matter| matter.agreement.0).collect();
        let conditions: Vec<B256> = matters.iter().flat_map(Matter::conditions).collect();
        let agreements: HashMap<B256, AgreementFact> = self
            .stored(connection, FactKind::Agreement, &agreements)
            .await?;
        let conditions: HashMap<B256, ConditionFact> = self
            .stored(connection, FactKind::Condition, &conditions)
            .await?;
        let owners: HashMap<B256, Address> =
            self.stored(connection, FactKind::DidOwner, assets).await?;
        for matter in matters {
            let agreement = agreements.get(&matter.agreement.0);
            let conditions: Vec<_> = matter
                .conditions()
                .filter_map(|id| Some((ConditionId(id), conditions.get(&id)?.clone())))
                .collect();
            let owners: Vec<_> = matter
                .assets()
                .filter_map(|did| Some((Did(did), *owners.get(&did)?)))
                .collect();
            let facts = &mut matter.facts;
            facts
                .agreements
                .extend(agreement.map(|fact| (matter.agreement, Some(fact.clone()))));
            facts.conditions.extend(conditions);
            facts.owners.extend(owners);
        }
        Ok(())
    }

    async fn stored<T: DeserializeOwned>(
        &self,
        connection: &mut Connection,
        kind: FactKind,
        subjects: &[B256],
    ) -> Result<HashMap<B256, T>, Error> {
        let rows = facts::list(connection, self.deployment_id, kind, subjects).await?;
        let read = rows
            .into_iter()
            .map(|(subject, value)| Ok((subject, serde_json::from_value(value)?)))
            .collect::<Result<_, serde_json::Error>>()
            .map_err(ledger::Error::unreadable("facts"))?;
        Ok(read)
    }
}

impl Matter {
    fn new(agreement: AgreementId, events: Vec<Recorded>) -> Self {
        let triggers = events
            .iter()
            .filter(|recorded| {
                matches!(recorded.event, KeeperEvent::ComputeFulfilled { agreement: named, .. } if named == agreement)
            })
            .cloned()
            .collect();
        Self {
            agreement,
            triggers,
            events,
            facts: Facts::default(),
        }
    }

    /// The assets that its compute events name.
    fn assets(&self) -> impl Iterator<Item = B256> {
        self.triggers
            .iter()
            .filter_map(|trigger| match trigger.event {
                KeeperEvent::ComputeFulfilled { did, .. } => Some(did.0),
                _ => None,
            })
    }

    /// Its conditions, as events name them.
    fn conditions(&self) -> impl Iterator<Item = B256> {
        self.events
            .iter()
            .filter_map(|recorded| match recorded.event {
                KeeperEvent::ConditionCreated { condition, .. }
                | KeeperEvent::ComputeFulfilled { condition, .. } => Some(condition.0),
                _ => None,
            })
    }
}
