use super::error::Error;
use super::following::Following;
use super::identity::{self, Opened};
use super::looking::Rest;
use super::plan::{self, Known, Seen, Step};
use super::stretch::Stretch;
use super::window::Looked;
use crate::chain::{self, Provider, Providers};
use crate::ids::{BlockRef, DeploymentId};
use crate::ledger::cursors::{Cursor, Horizons};
use crate::ledger::{self, Ledger, blocks, cursors, deployments};
use crate::worker::{Progress, Worker};

/// Follows one deployment on the providers of one chain. Any number may run at once: of two that move the cursor from the same place, one
/// does, and the other looks again.
#[derive(Debug)]
pub struct Follower {
    pub(super) ledger: Ledger,
    pub(super) providers: Providers,
    pub(super) following: Following,
    /// The deployment, once ledger and chain were compared. From then on every provider is compared with that chain.
    pub(super) opened: Option<Opened>,
    /// Ranges under way.
    pub(super) history: Option<Stretch>,
    /// The provider of the last look.
    pub(super) looked_with: Option<Provider>,
    /// When the chain was last seen to have nothing more than the ledger.
    pub(super) rest: Option<Rest>,
    /// Whether a block may be parked that was read since.
    pub(super) has_parked: bool,
    /// Operators of providers that must name a block before work starts on it.
    pub(super) quorum: usize,
    /// The last block that they named.
    pub(super) agreed: Option<BlockRef>,
    /// Whether work waits for more of them: whoever lags or disagrees may come round without a new block.
    pub(super) held: bool,
}

/// How far down the follower looks for a common block when none is known to be irreversible: after an operator released a halt.
const DEEPEST: u64 = 100_000;

impl Worker for Follower {
    type Error = Error;
    const NAME: &'static str = "follower";

    /// Takes one step: a range, a block, a rollback or a halt. Whatever it had read is read again if it is dropped.
    async fn tick(&mut self) -> Result<Progress, Error> {
        let progress = self.step().await;
        if matches!(
            &progress,
            Err(Error::Chain(chain::Error::OtherChain { .. }))
        ) {
            // No provider is on our chain any more: compared with the ledger, it comes out what it is.
            self.opened = None;
        }
        progress
    }
}

impl Follower {
    /// A follower that has asked nothing yet. Its first tick compares chain and ledger as [`super::open`] does.
    pub fn new(ledger: Ledger, providers: impl Into<Providers>, following: Following) -> Self {
        Self {
            ledger,
            providers: providers.into(),
            following,
            opened: None,
            history: None,
            looked_with: None,
            rest: None,
            has_parked: true,
            quorum: 1,
            agreed: None,
            held: false,
        }
    }

    /// Compares chain and ledger, and answers the deployment's id: what the other workers need.
    ///
    /// # Errors
    /// As [`super::open`].
    pub async fn open(&mut self) -> Result<DeploymentId, Error> {
        Ok(self.opened().await?.id)
    }

    /// The deployment, once it was opened and while a provider is believed to be on its chain.
    pub fn deployment(&self) -> Option<DeploymentId> {
        self.opened.map(|opened| opened.id)
    }

    pub(super) async fn opened(&mut self) -> Result<Opened, Error> {
        if let Some(opened) = self.opened {
            return Ok(opened);
        }
        let opened = identity::compare_any(&self.ledger, &self.providers, &self.following).await?;
        self.opened = Some(opened);
        Ok(opened)
    }

    /// Compares a provider's chain with the ledger once more: another chain under the same id would look like a reorganisation.
    pub(super) async fn compared_with(&mut self, provider: &Provider) -> Result<Opened, Error> {
        self.opened = None;
        let opened = identity::compare_twice(&self.ledger, provider, &self.following).await?;
        self.opened = Some(opened);
        Ok(opened)
    }

    async fn step(&mut self) -> Result<Progress, Error> {
        let opened = self.opened().await?;
        let (cursor, known) = self.known(opened.id).await?;
        if cursor.halt.is_some() {
            return Ok(Progress::Idle);
        }
        if cursor.position.filter_fingerprint != self.following.filter_fingerprint() {
            return Err(Error::OtherFilter {
                recorded: cursor.filter_version,
                ours: self.following.filter_version,
            });
        }
        if let Some(progress) = self.go_on_in_history(&opened, &cursor, &known).await? {
            return Ok(progress);
        }
        let Some(hint) = self.glimpse(&cursor).await? else {
            return Ok(Progress::Idle);
        };
        let (look, provider) = self.look(&opened, &known, hint).await?;
        let seen = self.seen(&provider, &opened, &known, &look).await?;
        let step = plan::next(&known, &seen);
        tracing::trace!(deployment = opened.id.0, ?step, "next step decided");
        match step {
            Step::Rest => {
                self.rest(&provider, &opened, &cursor, (&known, &seen))
                    .await
            }
            Step::ReadHistory { to } => {
                self.begin_history(cursor.position, seen, to);
                self.go_on_in_history(&opened, &cursor, &known)
                    .await
                    .map(|progress| progress.unwrap_or(Progress::Idle))
            }
            Step::ReadWindow { to } => {
                let looked = Looked {
                    provider,
                    seen,
                    ahead: look.ahead,
                };
                self.read_window(&opened, cursor.position, known, looked, to)
                    .await
            }
            Step::FindFork => self.find_fork(&provider, cursor.position, known).await,
            Step::Halt { replaced, by } => {
                self.halt(&provider, cursor.position, replaced, by).await
            }
            Step::Behind { irreversible } => {
                // Another one may know better.
                provider.shun();
                Err(Error::Behind {
                    provider: provider.name().to_owned(),
                    head: seen.head.number,
                    irreversible,
                })
            }
            Step::Torn { number } => Err(Error::Torn {
                provider: provider.name().to_owned(),
                number,
            }),
        }
    }

    async fn known(&self, deployment: DeploymentId) -> Result<(Cursor, Known), Error> {
        let mut connection = self.ledger.acquire().await?;
        let cursor = cursors::get(&mut connection, deployment).await?;
        let recorded = cursor.position.recorded;
        let irreversible = cursor.irreversible;
        let deepest = recorded.number.saturating_sub(DEEPEST);
        let lowest = irreversible.map_or(deepest, |block| block.number);
        let mut window = blocks::list_hashes_from(&mut connection, deployment, lowest).await?;
        // Another follower may have recorded more between the two statements.
        window.retain(|number, _| *number <= recorded.number);
        let borders = irreversible.filter(|block| block.number <= recorded.number);
        for block in borders.into_iter().chain([recorded]) {
            window.insert(block.number, block.hash);
        }
        let known = Known {
            recorded,
            irreversible,
            window,
        };
        Ok((cursor, known))
    }

    /// Nothing to read: writes down the horizons if they moved.
    async fn rest(
        &mut self,
        provider: &Provider,
        opened: &Opened,
        cursor: &Cursor,
        (known, seen): (&Known, &Seen),
    ) -> Result<Progress, Error> {
        let horizons = plan::horizons(known, seen, self.following.act_at);
        let recorded = cursor.position.recorded;
        let mut horizons = self.within_quorum(opened.id, horizons, recorded).await?;
        horizons.act = horizons.act.or(cursor.act);
        let stored = Horizons {
            head: cursor.head.unwrap_or(seen.head),
            irreversible: cursor.irreversible,
            act: cursor.act,
        };
        if cursor.head.is_none() || horizons != stored {
            self.begin_acting(opened, &horizons).await?;
            let mut transaction = self.ledger.begin().await?;
            cursors::set_horizons(&mut transaction, opened.id, &cursor.position, &horizons).await?;
            cursors::tell_recorded(&mut transaction, opened.id).await?;
            ledger::commit(transaction).await?;
        }
        self.fix_start(provider, opened, &horizons).await?;
        if seen.head.number < known.recorded.number
            && self.providers.other_than(provider).await.is_some()
        {
            // It lags behind what another has shown.
            provider.shun();
            return Ok(Progress::More);
        }
        if !self.held {
            self.rested(seen.head, cursor.position);
        }
        Ok(Progress::Idle)
    }

    /// Where nothing was configured, work is owed from the first irreversible block on that is seen. Set before the cursor
    /// tells of that block, so that no crash can lie between.
    pub(super) async fn begin_acting(
        &mut self,
        opened: &Opened,
        horizons: &Horizons,
    ) -> Result<(), Error> {
        let Some(irreversible) = horizons.irreversible else {
            return Ok(());
        };
        if !opened.acting {
            let mut connection = self.ledger.acquire().await?;
            deployments::begin_acting_from(&mut connection, opened.id, irreversible.number).await?;
            self.opened = Some(Opened {
                acting: true,
                ..*opened
            });
        }
        Ok(())
    }

    /// Once the start block is irreversible its hash is part of the deployment's identity.
    pub(super) async fn fix_start(
        &mut self,
        provider: &Provider,
        opened: &Opened,
        horizons: &Horizons,
    ) -> Result<(), Error> {
        let first = self.following.first_block();
        let reached = horizons
            .irreversible
            .is_some_and(|block| block.number >= first);
        if opened.start_fixed || !reached {
            return Ok(());
        }
        if let Some(start) = provider.header_at(first).await? {
            let mut connection = self.ledger.acquire().await?;
            deployments::set_start_hash(&mut connection, opened.id, start.at.hash, true).await?;
            // Read anew: the row may hold the hash that another follower fixed.
            self.opened = None;
        }
        Ok(())
    }
}
