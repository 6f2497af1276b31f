use super::error::Error;
use super::following::{ActAt, Following, IrreversibleAt};
use super::identity::{self, Opened};
use super::plan::{self, Known, Seen, Step};
use super::read::{self, Batch};
use crate::chain::{Header, Provider, Tag};
use crate::ids::{BlockRef, DeploymentId};
use crate::ledger::cursors::{Cursor, Horizons, Position};
use crate::ledger::{self, Ledger, blocks, cursors, deployments, logs};
use crate::worker::{Progress, Worker};

/// Follows one deployment on one provider. Any number may run at once: of two that move the cursor from the same place, one
/// does, and the other looks again.
#[derive(Debug)]
pub struct Follower {
    pub(super) ledger: Ledger,
    pub(super) provider: Provider,
    pub(super) following: Following,
    /// The deployment, as long as the provider has not failed since it was compared with the chain.
    pub(super) opened: Option<Opened>,
    width: u64,
}

impl Worker for Follower {
    type Error = Error;
    const NAME: &'static str = "follower";

    /// Takes one step: a range, a block, a rollback or a halt. Whatever it had read is read again if it is dropped.
    async fn tick(&mut self) -> Result<Progress, Error> {
        let progress = self.step().await;
        if matches!(&progress, Err(Error::Chain(_))) {
            // The next answer may come from another node: it has to show first that it is on the same chain.
            self.opened = None;
        }
        progress
    }
}

impl Follower {
    /// A follower that has asked nothing yet. Its first tick compares chain and ledger as [`super::open`] does.
    pub fn new(ledger: Ledger, provider: Provider, following: Following) -> Self {
        Self {
            ledger,
            provider,
            following,
            opened: None,
            width: plan::FIRST_WIDTH,
        }
    }

    /// Compares chain and ledger, and answers the deployment's id: what the other workers need.
    ///
    /// # Errors
    /// As [`super::open`].
    pub async fn open(&mut self) -> Result<DeploymentId, Error> {
        Ok(self.opened().await?.id)
    }

    /// The deployment, once it was opened and while the provider is believed to be on its chain.
    pub fn deployment(&self) -> Option<DeploymentId> {
        self.opened.map(|opened| opened.id)
    }

    pub(super) async fn opened(&mut self) -> Result<Opened, Error> {
        if let Some(opened) = self.opened {
            return Ok(opened);
        }
        let opened = identity::compare(&self.ledger, &self.provider, &self.following).await?;
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
        let seen = self.look(&opened, &known).await?;
        let step = plan::next(&known, &seen, self.width);
        tracing::trace!(deployment = opened.id.0, ?step, "next step decided");
        match step {
            Step::Rest => self.rest(&opened, &cursor, &known, &seen).await,
            Step::ReadRange { from, to } => {
                self.read_range(&opened, cursor.position, known, seen, (from, to))
                    .await
            }
            Step::ReadBlock { .. } => {
                let recorded = known.recorded;
                let read =
                    read::window_block(&self.provider, &self.following.addresses, recorded).await?;
                self.apply(&opened, cursor.position, known, &seen, read)
                    .await
            }
            Step::FindFork => self.find_fork(cursor.position, known).await,
            Step::Halt { replaced, by } => self.halt(cursor.position, replaced, by).await,
            Step::Behind { irreversible } => Err(Error::Behind {
                provider: self.provider.name().to_owned(),
                head: seen.head.number,
                irreversible,
            }),
            Step::Torn { number } => Err(Error::Torn {
                provider: self.provider.name().to_owned(),
                number,
            }),
        }
    }

    async fn known(&self, deployment: DeploymentId) -> Result<(Cursor, Known), Error> {
        let mut connection = self.ledger.acquire().await?;
        let cursor = cursors::get(&mut connection, deployment).await?;
        let recorded = cursor.position.recorded;
        let irreversible = cursor.irreversible;
        let lowest = irreversible.map_or(0, |block| block.number);
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

    async fn look(&self, opened: &Opened, known: &Known) -> Result<Seen, Error> {
        let act_at = self.following.act_at;
        let by_tag = opened.irreversible_at == IrreversibleAt::Finalized;
        let finalized = by_tag || act_at == ActAt::Finalized;
        let look = self
            .provider
            .look(known.recorded.number, finalized, act_at == ActAt::Safe)
            .await?;
        let finalized = look.finalized.and_then(Tag::block);
        let irreversible = match opened.irreversible_at {
            IrreversibleAt::Finalized => finalized.clone(),
            IrreversibleAt::Depth(depth) => self.at_depth(depth, &look.head, known).await?,
        };
        let act = match act_at {
            ActAt::Finalized => finalized,
            ActAt::Safe => look.safe.and_then(Tag::block),
            ActAt::Latest | ActAt::Depth(_) => None,
        };
        let at = |header: Header| header.at;
        Ok(Seen {
            head: look.head.at,
            at_recorded: look.at.map(at),
            irreversible: irreversible.map(at),
            act: act.map(at),
        })
    }

    /// The block so many below the head, if it lies above the irreversible one that is known. The genesis block counts as deep.
    async fn at_depth(
        &self,
        depth: u64,
        head: &Header,
        known: &Known,
    ) -> Result<Option<Header>, Error> {
        let number = head.at.number.saturating_sub(depth);
        if known
            .irreversible
            .is_some_and(|block| number <= block.number)
        {
            return Ok(None);
        }
        Ok(self.provider.header_at(number).await?)
    }

    /// Nothing to read: writes down the horizons if they moved.
    async fn rest(
        &mut self,
        opened: &Opened,
        cursor: &Cursor,
        known: &Known,
        seen: &Seen,
    ) -> Result<Progress, Error> {
        let horizons = plan::horizons(known, seen, self.following.act_at);
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
        self.fix_start(opened, &horizons).await?;
        Ok(Progress::Idle)
    }

    async fn read_range(
        &mut self,
        opened: &Opened,
        position: Position,
        known: Known,
        seen: Seen,
        (from, to): (u64, u64),
    ) -> Result<Progress, Error> {
        let horizons = plan::horizons(&known, &seen, self.following.act_at);
        let Some(irreversible) = horizons.irreversible else {
            return Ok(Progress::Idle);
        };
        let addresses = &self.following.addresses;
        let read = read::range(&self.provider, addresses, known.recorded, to, irreversible).await;
        let asked = to - from + 1;
        let read = match read {
            Ok(read) => read,
            Err(Error::Chain(error)) if error.asks_for_less() => {
                let Some(narrower) = plan::width_after_refusal(asked) else {
                    return Err(error.into());
                };
                tracing::debug!(asked, narrower, %error, "a range of {asked} blocks was refused");
                self.width = narrower;
                return Ok(Progress::More);
            }
            Err(error) => return Err(error),
        };
        // A range cut short by the irreversible block says nothing about the width.
        if let Some(batch) = &read
            && asked == self.width
        {
            self.width = plan::width_after(self.width, batch.logs.len());
        }
        self.apply(opened, position, known, &seen, read).await
    }

    /// Where nothing was configured, work is owed from the first irreversible block on that is seen. Set before the cursor
    /// tells of that block, so that no crash can lie between.
    pub(super) async fn begin_acting(&mut self, opened: &Opened, horizons: &Horizons) -> Result<(), Error> {
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
    async fn fix_start(&mut self, opened: &Opened, horizons: &Horizons) -> Result<(), Error> {
        let first = self.following.first_block();
        let reached = horizons
            .irreversible
            .is_some_and(|block| block.number >= first);
        if opened.start_fixed || !reached {
            return Ok(());
        }
        if let Some(start) = self.provider.header_at(first).await? {
            let mut connection = self.ledger.acquire().await?;
            deployments::set_start_hash(&mut connection, opened.id, start.at.hash, true).await?;
            // Read anew: the row may hold the hash that another follower fixed.
            self.opened = None;
        }
        Ok(())
    }
}
