//! The worker that finds out whether recorded history is whole, and mends it.
//!
//! A pruned or still indexing node answers old ranges with nothing and no error, and nothing in such an answer gives it away. So
//! history counts as verified only when two readings are the same (the second by another operator, where there is one) and, at
//! the end, the contracts' own counters agree. Work starts from verified blocks only.
//!
//! An operator that is alone reads twice itself, which finds what was left out once and not what is left out each time: so the ends of
//! its second readings are proven by receipts, and once it was caught everything it read is (`proving.rs`).
//!
//! It is a worker of its own, with a cursor of its own, so that it never holds the follower up: it only looks at what is committed
//! and asks providers by itself. Any number may run at once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::compare;
use super::error::Error;
use super::following::Following;
use super::rereading::LATER;
use super::settle::{self, Found, Wrong};
use crate::chain::{Provider, RawLog};
use crate::ids::{BlockRef, DeploymentId};
use crate::keeper;
use crate::ledger::blocks::Proof;
use crate::ledger::judging::{self, Logged};
use crate::ledger::repairs::FoundBy;
use crate::ledger::verification::{self, Standing};
use crate::ledger::{self, Ledger, blocks, cursors, providers, readings};
use crate::worker::{Chain, Progress, Worker};

/// Width of a second reading, in blocks: what most providers take. It adapts to what they refuse and to what blocks hold.
const FIRST_WIDTH: u64 = 1_000;
/// Widest second reading.
const WIDEST: u64 = 10_000;
/// Logs in one reading above which the next is narrower: what bounds the memory.
const FULL: usize = 5_000;
/// A gap so short is proven block by block by receipts: that needs neither another provider nor another time, and is stronger.
const SHORT: u64 = 16;
/// Differing blocks that are settled in one step.
const SETTLED_AT_ONCE: usize = 64;
/// Blocks of doubted history that are proven in one step: where no filter can be believed, each is settled.
const PROVEN_AT_ONCE: u64 = 64;
/// How often the ledger's list of providers is brought up to date.
const ROUND: Duration = Duration::from_secs(15);

/// Verifies the history of one deployment.
#[derive(Debug)]
pub struct Verifier {
    pub(super) ledger: Ledger,
    pub(super) providers: Vec<Provider>,
    pub(super) following: Following,
    pub(super) deployment: DeploymentId,
    pub(super) keeper: Option<keeper::Deployment>,
    pub(super) width: u64,
    /// Counts failed readings: whose turn it is among the providers that may be asked.
    turn: usize,
    /// How much later a single operator is asked again about a block that can still change.
    pub(super) later: Duration,
    last_round: Option<Instant>,
}

impl Worker for Verifier {
    type Error = Error;
    const NAME: &'static str = "verifier";

    /// Reads one range a second time, or compares the counters. Whatever it had read is read again if it is dropped.
    async fn tick(&mut self) -> Result<Progress, Error> {
        self.note_providers().await?;
        let done = self.step().await;
        if let Err(error) = &done {
            self.turn = self.turn.wrapping_add(1);
            if !matches!(error, Error::Ledger(_)) {
                let reason = Chain(error).to_string();
                let mut connection = self.ledger.acquire().await?;
                verification::hold(&mut connection, self.deployment, &reason).await?;
            }
        }
        done
    }
}

impl Verifier {
    /// A verifier of a deployment that was opened; `keeper` says which contracts count. At least one provider.
    pub const fn new(
        ledger: Ledger,
        providers: Vec<Provider>,
        following: Following,
        deployment: DeploymentId,
        keeper: Option<keeper::Deployment>,
    ) -> Self {
        Self {
            ledger,
            providers,
            following,
            deployment,
            keeper,
            width: FIRST_WIDTH,
            turn: 0,
            later: LATER,
            last_round: None,
        }
    }

    /// The same verifier, which has a single operator read what can still change again after so long.
    #[must_use]
    pub const fn asking_again_after(mut self, later: Duration) -> Self {
        self.later = later;
        self
    }

    /// Whether all providers are of one operator, so that there is no second witness.
    pub(super) fn is_alone(&self) -> bool {
        let mut operators = self.providers.iter().map(Provider::operator);
        let first = operators.next();
        operators.all(|operator| Some(operator) == first)
    }

    async fn step(&mut self) -> Result<Progress, Error> {
        let standing = self.standing().await?;
        let (Some(irreversible), Some(history)) = (standing.irreversible, standing.history())
        else {
            return Ok(Progress::Idle);
        };
        // An older program than the follower looks at fewer addresses.
        if standing.halted || standing.filter_fingerprint != self.following.filter_fingerprint() {
            return Ok(Progress::Idle);
        }
        if standing.reread < history {
            return self.read_again(&standing, irreversible, history).await;
        }
        if standing.recorded.number < irreversible.number {
            return Ok(Progress::Idle);
        }
        let is_verified = standing.verified >= irreversible.number;
        if let Some(keeper) = self.keeper.clone() {
            let checked = self
                .check_counters(&keeper, &standing, irreversible, is_verified)
                .await?;
            if checked == Progress::More {
                return Ok(Progress::More);
            }
        }
        if is_verified {
            return self.read_window_again(&standing).await;
        }
        self.conclude(&standing, irreversible).await
    }

    pub(super) async fn standing(&self) -> Result<Standing, Error> {
        let mut connection = self.ledger.acquire().await?;
        Ok(verification::get(&mut connection, self.deployment).await?)
    }

    /// Whether another verifier, or a rollback, went on from where this step began.
    pub(super) async fn has_moved(&self, standing: &Standing) -> Result<bool, Error> {
        let now = self.standing().await?;
        let place = |its: &Standing| (its.epoch, its.reread, its.verified);
        Ok(place(&now) != place(standing))
    }

    /// Everything up to the irreversible block is there: work may start on it.
    async fn conclude(
        &self,
        standing: &Standing,
        irreversible: BlockRef,
    ) -> Result<Progress, Error> {
        let mut transaction = self.ledger.begin().await?;
        let (id, to) = (self.deployment, irreversible.number);
        let reached = verification::advance_verified(&mut transaction, id, standing, to).await?;
        if let Some(reached) = reached {
            cursors::tell_recorded(&mut transaction, id).await?;
            ledger::commit(transaction).await?;
            tracing::debug!(verified = reached, "verified up to block {reached}");
        }
        Ok(Progress::More)
    }

    /// Takes the second reading one step on.
    async fn read_again(
        &mut self,
        standing: &Standing,
        irreversible: BlockRef,
        history: u64,
    ) -> Result<Progress, Error> {
        let (id, from) = (self.deployment, standing.reread + 1);
        let mut connection = self.ledger.acquire().await?;
        let doubted = standing.proving_to.filter(|to| *to >= from);
        let range = (standing.reread, history.min(doubted.unwrap_or(history)));
        let proven =
            verification::proven_after(&mut connection, id, range, doubted.is_some()).await?;
        drop(connection);
        if proven > standing.reread {
            return self.note_read(standing, (from, proven), None).await;
        }
        if let Some(doubted) = doubted {
            let to = doubted.min(history).min(standing.reread + PROVEN_AT_ONCE);
            return self.prove_all(standing, irreversible, (from, to)).await;
        }
        if history - standing.reread <= SHORT {
            return self.prove(standing, irreversible, (from, history)).await;
        }
        // One operator alone is asked again later: once everything was read, so that one which was still indexing has had that time.
        if self.is_alone() && standing.recorded.number < irreversible.number {
            return Ok(Progress::Idle);
        }
        let to = history.min(standing.reread.saturating_add(self.width));
        let to = self.same_readers(from, to).await?;
        let provider = self.choose((from, to)).await?;
        self.same_chain(&provider, irreversible).await?;
        let addresses = &self.following.addresses;
        let read = match provider.logs_in_range(addresses, from, to).await {
            Ok(read) => read,
            Err(error) if error.asks_for_less() && to > from => {
                self.width = ((to - from) / 2).max(1);
                return Ok(Progress::More);
            }
            Err(error) => return Err(error.into()),
        };
        let recorded = self.recorded((from, to)).await?;
        self.width = match read.logs.len() {
            logs if logs > FULL => (self.width / 2).max(1),
            _ => (self.width + self.width / 4 + 1).min(WIDEST),
        };
        let differing = compare::differing_blocks(&recorded, &read.logs);
        if differing.is_empty() {
            if let Some(wrong) = self.wrong_at_the_end(to, &recorded).await? {
                return self.doubt(standing, history, &[wrong]).await;
            }
            return self
                .note_read(standing, (from, to), Some((&provider, Proof::TwoReads)))
                .await;
        }
        let numbers = differing.into_iter().take(SETTLED_AT_ONCE);
        let wrong = self
            .find_wrong(numbers, &recorded, Some(&read.logs))
            .await?
            .wrong;
        match wrong.as_slice() {
            // Another verifier mended or read the range meanwhile: the rows are newer than what this reading was for.
            [] if self.has_moved(standing).await? => Ok(Progress::More),
            wrong if self.is_alone() => self.doubt(standing, history, wrong).await,
            [] => Err(Error::Omits {
                provider: provider.name().to_owned(),
                from,
                to,
            }),
            wrong => self.mend(standing, wrong, FoundBy::SecondReading).await,
        }
    }

    /// Settles what the blocks hold, and answers those whose rows are wrong, and how the weakest of all was proven. A block whose rows
    /// are right shows that the reading was not: nothing can be concluded from it, so the rest is left.
    pub(super) async fn find_wrong(
        &self,
        numbers: impl IntoIterator<Item = u64>,
        recorded: &[Logged],
        reading: Option<&[RawLog]>,
    ) -> Result<Found, Error> {
        let (mut wrong, mut proof) = (Vec::new(), Proof::Root);
        for number in numbers {
            let rows: Vec<Logged> = recorded
                .iter()
                .filter(|logged| logged.log.block.number == number)
                .cloned()
                .collect();
            let addresses = &self.following.addresses;
            let settled = settle::settle(&self.providers, addresses, number, &rows).await?;
            self.same_block(settled.header.at).await?;
            if settled.proof != Proof::Root {
                proof = settled.proof;
            }
            let difference = compare::difference(&rows, &settled.logs);
            if difference.is_none() && reading.is_some() {
                break;
            }
            if !difference.is_none() {
                wrong.push(Wrong {
                    settled,
                    difference,
                });
            }
        }
        Ok(Found { wrong, proof })
    }

    /// Reads a range with every provider that answers and settles the blocks at which any of them differs from the rows. A refusal
    /// that asks for less is answered as one, whoever refused.
    pub(super) async fn find_wrong_in(&self, (from, to): (u64, u64)) -> Result<Vec<Wrong>, Error> {
        let recorded = self.recorded((from, to)).await?;
        let addresses = &self.following.addresses;
        let mut differing = BTreeSet::new();
        let (mut answered, mut failure) = (false, Error::NoProvider);
        for provider in &self.providers {
            match provider.logs_in_range(addresses, from, to).await {
                Ok(read) => {
                    answered = true;
                    differing.extend(compare::differing_blocks(&recorded, &read.logs));
                }
                Err(error) if error.asks_for_less() && to > from => return Err(error.into()),
                Err(error) => failure = error.into(),
            }
        }
        if !answered {
            return Err(failure);
        }
        Ok(self.find_wrong(differing, &recorded, None).await?.wrong)
    }

    pub(super) async fn mend(
        &self,
        standing: &Standing,
        wrong: &[Wrong],
        found_by: FoundBy,
    ) -> Result<Progress, Error> {
        self.mend_once(standing, wrong, found_by).await?;
        Ok(Progress::More)
    }

    /// Whether it was mended; not if a rollback or another repair came first.
    pub(super) async fn mend_once(
        &self,
        standing: &Standing,
        wrong: &[Wrong],
        found_by: FoundBy,
    ) -> Result<bool, Error> {
        self.mend_doubting(standing, wrong, (found_by, None)).await
    }

    /// The same, and from now on the readings of some blocks are not believed.
    pub(super) async fn mend_doubting(
        &self,
        standing: &Standing,
        wrong: &[Wrong],
        found: (FoundBy, Option<(u64, u64)>),
    ) -> Result<bool, Error> {
        settle::mend(&self.ledger, self.deployment, standing, wrong, found).await
    }

    pub(super) async fn note_read(
        &self,
        standing: &Standing,
        (from, to): (u64, u64),
        by: Option<(&Provider, Proof)>,
    ) -> Result<Progress, Error> {
        let mut transaction = self.ledger.begin().await?;
        let id = self.deployment;
        if verification::advance_reread(&mut transaction, id, standing, to).await? {
            if let Some((provider, proof)) = by {
                blocks::prove(&mut transaction, id, (from, to), proof).await?;
                readings::record(&mut transaction, id, (from, to), provider.name()).await?;
            }
            ledger::commit(transaction).await?;
        }
        Ok(Progress::More)
    }

    /// A range cut where its readers change. Of a longer one everybody may have read some part, and whoever is asked then would
    /// confirm his own reading of that part.
    async fn same_readers(&self, from: u64, to: u64) -> Result<u64, Error> {
        let mut connection = self.ledger.acquire().await?;
        let until = readings::same_readers_until(&mut connection, self.deployment, from).await?;
        Ok(until.map_or(to, |until| until.clamp(from, to)))
    }

    /// Whoever's operator has not read the range yet, in turn; anybody where every operator has.
    pub(super) async fn choose(&self, range: (u64, u64)) -> Result<Provider, Error> {
        let mut connection = self.ledger.acquire().await?;
        let before = readings::list_providers(&mut connection, self.deployment, range).await?;
        let mut fresh: Vec<&Provider> = self.providers.iter().collect();
        fresh.retain(|provider| !self.read_by(&before, provider.operator()));
        if fresh.is_empty() {
            fresh = self.providers.iter().collect();
        }
        let chosen = fresh.get(self.turn % fresh.len().max(1)).copied();
        chosen.cloned().ok_or(Error::NoProvider)
    }

    /// Whether one of the named providers is of that operator.
    fn read_by(&self, names: &[String], operator: &str) -> bool {
        let of_operator = |provider: &&Provider| provider.operator() == operator;
        let mut ours = self.providers.iter().filter(of_operator);
        ours.any(|provider| names.iter().any(|name| name == provider.name()))
    }

    /// The rows of a range, which the width keeps few.
    pub(super) async fn recorded(&self, (from, to): (u64, u64)) -> Result<Vec<Logged>, Error> {
        let mut connection = self.ledger.acquire().await?;
        let after = from.saturating_sub(1);
        let rows =
            judging::list_recorded(&mut connection, self.deployment, after, to, i64::MAX).await?;
        Ok(rows)
    }

    /// Makes sure that a provider is on our chain: hashes chain, so one height above the range suffices.
    pub(super) async fn same_chain(
        &self,
        provider: &Provider,
        irreversible: BlockRef,
    ) -> Result<(), Error> {
        match provider.header_at(irreversible.number).await? {
            Some(header) if header.at == irreversible => Ok(()),
            _ => Err(Error::Torn {
                provider: provider.name().to_owned(),
                number: irreversible.number,
            }),
        }
    }

    /// A block that a repair is about must be the one that is recorded, if any is.
    async fn same_block(&self, at: BlockRef) -> Result<(), Error> {
        let mut connection = self.ledger.acquire().await?;
        let ours = blocks::find_hash(&mut connection, self.deployment, at.number).await?;
        match ours {
            Some(hash) if hash != at.hash => Err(Error::Disputed { number: at.number }),
            _ => Ok(()),
        }
    }

    /// Writes down now and then what every provider says of its head.
    async fn note_providers(&mut self) -> Result<(), Error> {
        if self.last_round.is_some_and(|last| last.elapsed() < ROUND) {
            return Ok(());
        }
        self.last_round = Some(Instant::now());
        for provider in &self.providers {
            let head = provider.head().await;
            let mut connection = self.ledger.acquire().await?;
            let (id, name) = (self.deployment, provider.name());
            match head {
                Ok(head) => providers::note_head(&mut connection, id, name, head.at).await?,
                Err(error) => {
                    let failure = Chain(&error).to_string();
                    providers::note_failure(&mut connection, id, name, &failure).await?;
                }
            }
        }
        Ok(())
    }
}
