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
    ledger: Ledger,
    provider: Provider,
    following: Following,
    /// The deployment, as long as the provider has not failed since it was compared with the chain.
    opened: Option<Opened>,
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

    async fn opened(&mut self) -> Result<Opened, Error> {
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

    /// Commits what was read, unless the chain moved meanwhile (`None`) or another follower was faster.
    async fn apply(
        &mut self,
        opened: &Opened,
        position: Position,
        mut known: Known,
        seen: &Seen,
        read: Option<Batch>,
    ) -> Result<Progress, Error> {
        let Some(batch) = read else {
            return Ok(Progress::Idle);
        };
        known.recorded = batch.to;
        known.window.insert(batch.to.number, batch.to.hash);
        let horizons = plan::horizons(&known, seen, self.following.act_at);
        self.begin_acting(opened, &horizons).await?;
        let committed = match self
            .commit(opened.id, &position, &horizons, &batch, false)
            .await
        {
            Err(Error::Ledger(error)) if logs::is_duplicate(&error) => {
                tracing::info!(
                    to = batch.to.number,
                    met_again = logs::ranges_met_again() + 1,
                    "some logs up to block {} are recorded already",
                    batch.to
                );
                self.commit(opened.id, &position, &horizons, &batch, true)
                    .await
            }
            committed => committed,
        }?;
        if !committed {
            return Ok(Progress::Idle);
        }
        tracing::debug!(
            recorded = batch.to.number,
            logs = batch.logs.len(),
            "recorded up to block {}",
            batch.to
        );
        Ok(Progress::More)
    }

    /// One transaction: cursor first, then blocks and logs. `over`: some rows are there already.
    async fn commit(
        &self,
        deployment: DeploymentId,
        position: &Position,
        horizons: &Horizons,
        batch: &Batch,
        over: bool,
    ) -> Result<bool, Error> {
        let mut transaction = self.ledger.begin().await?;
        if batch.history {
            cursors::need_not_be_durable(&mut transaction).await?;
        }
        let moved = cursors::advance_recorded(
            &mut transaction,
            deployment,
            position,
            batch.to,
            batch.proven,
            horizons,
        )
        .await?;
        if !moved {
            return Ok(false);
        }
        let revived = blocks::record(&mut transaction, deployment, &batch.blocks).await?;
        if !revived.is_empty() {
            let count = logs::revive(&mut transaction, deployment, &revived).await?;
            tracing::info!(
                blocks = revived.len(),
                logs = count,
                "the chain returned to orphaned blocks, up to {}",
                batch.to
            );
        }
        if over || !revived.is_empty() {
            logs::record_over(&mut transaction, deployment, &batch.logs).await?;
        } else {
            logs::record(&mut transaction, deployment, &batch.logs).await?;
        }
        cursors::tell_recorded(&mut transaction, deployment).await?;
        ledger::commit(transaction).await?;
        Ok(true)
    }

    /// Rolls back to the highest block that the provider has as well.
    async fn find_fork(&mut self, position: Position, known: Known) -> Result<Progress, Error> {
        // Another chain under the same id would look like a reorganisation too.
        self.opened = None;
        let opened = self.opened().await?;
        let theirs = read::down_the_window(&self.provider, &known.window).await?;
        if let Some(fork) = plan::fork(&known.window, &theirs) {
            if fork == known.recorded {
                return Ok(Progress::More);
            }
            return self
                .roll_back(opened.id, &position, fork, fork.number + 1)
                .await;
        }
        let by_irreversible = known.irreversible.and_then(|ours| {
            let theirs = theirs.iter().find(|block| block.number == ours.number)?;
            Some((ours, *theirs))
        });
        match by_irreversible {
            Some((replaced, by)) => self.halt(position, replaced, by).await,
            None => self.start_over(&opened, &position, &theirs).await,
        }
    }

    /// Not even the block before the start is ours any more. It was not irreversible, so this is a reorganisation like any
    /// other, unless something was owed already.
    async fn start_over(
        &mut self,
        opened: &Opened,
        position: &Position,
        theirs: &[BlockRef],
    ) -> Result<Progress, Error> {
        let first = self.following.first_block();
        let Some(lowest) = theirs.last() else {
            return Err(Error::Torn {
                provider: self.provider.name().to_owned(),
                number: first,
            });
        };
        let mut connection = self.ledger.acquire().await?;
        if opened.start_fixed || deployments::has_jobs(&mut connection, opened.id).await? {
            return Err(Error::StartReplaced { start: first });
        }
        drop(connection);
        let before = identity::header(&self.provider, &self.following, first - 1).await?;
        let start = identity::header(&self.provider, &self.following, first).await?;
        if before.at.number > lowest.number || start.parent != before.at.hash {
            return Ok(Progress::Idle);
        }
        let mut transaction = self.ledger.begin().await?;
        if cursors::roll_back(&mut transaction, opened.id, position, before.at).await? {
            blocks::orphan_from(&mut transaction, opened.id, first - 1).await?;
            logs::orphan_from(&mut transaction, opened.id, first - 1).await?;
            let base = identity::base(&before);
            blocks::record(&mut transaction, opened.id, &[base]).await?;
            deployments::set_start_hash(&mut transaction, opened.id, start.at.hash, false).await?;
            cursors::tell_recorded(&mut transaction, opened.id).await?;
            ledger::commit(transaction).await?;
            tracing::warn!(
                deployment = opened.id.0,
                "the chain was replaced from before the start block on: following begins anew at {}",
                start.at
            );
        }
        Ok(Progress::More)
    }

    async fn roll_back(
        &self,
        deployment: DeploymentId,
        position: &Position,
        to: BlockRef,
        orphaned_from: u64,
    ) -> Result<Progress, Error> {
        let mut transaction = self.ledger.begin().await?;
        if !cursors::roll_back(&mut transaction, deployment, position, to).await? {
            return Ok(Progress::More);
        }
        let blocks = blocks::orphan_from(&mut transaction, deployment, orphaned_from).await?;
        let logs = logs::orphan_from(&mut transaction, deployment, orphaned_from).await?;
        cursors::tell_recorded(&mut transaction, deployment).await?;
        ledger::commit(transaction).await?;
        tracing::info!(
            blocks,
            logs,
            depth = position.recorded.number - to.number,
            "rolled back from {} to {to}: {logs} logs are orphaned",
            position.recorded
        );
        Ok(Progress::More)
    }

    async fn halt(
        &mut self,
        position: Position,
        replaced: BlockRef,
        by: BlockRef,
    ) -> Result<Progress, Error> {
        self.opened = None;
        let opened = self.opened().await?;
        let reason = format!(
            "block {replaced}, which may never go away, was replaced by {:#x} on provider {}",
            by.hash,
            self.provider.name()
        );
        let mut connection = self.ledger.acquire().await?;
        if cursors::halt(&mut connection, opened.id, &position, &reason).await? {
            tracing::error!(
                deployment = opened.id.0,
                reason,
                "deployment {} halts until an operator releases it",
                opened.id
            );
        }
        Ok(Progress::Idle)
    }

    /// Where nothing was configured, work is owed from the first irreversible block on that is seen. Set before the cursor
    /// tells of that block, so that no crash can lie between.
    async fn begin_acting(&mut self, opened: &Opened, horizons: &Horizons) -> Result<(), Error> {
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
