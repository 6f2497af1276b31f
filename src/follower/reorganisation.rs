//! When the chain changes its mind: rollback to the fork, a new beginning, or a halt.

use std::collections::BTreeMap;

use alloy::primitives::B256;

use super::error::Error;
use super::identity::{self, Opened};
use super::plan::{self, Known};
use super::read;
use super::worker::Follower;
use crate::chain::Provider;
use crate::ids::{BlockRef, DeploymentId};
use crate::ledger::cursors::Position;
use crate::ledger::{self, blocks, cursors, deployments, disagreements, logs};
use crate::meters;
use crate::worker::Progress;

impl Follower {
    /// Rolls back to the highest block that the provider has as well.
    pub(super) async fn find_fork(
        &mut self,
        provider: &Provider,
        position: Position,
        known: Known,
    ) -> Result<Progress, Error> {
        // Another chain under the same id would look like a reorganisation too.
        let opened = self.compared_with(provider).await?;
        // Below the block before the start nothing is ours, though the irreversible block may be known there: a fork that deep is
        // a new beginning, not a place to go back to.
        let mut window = known.window;
        let window = window.split_off(&(self.following.first_block() - 1));
        let theirs = read::down_the_window(provider, &window).await?;
        if let Some(fork) = plan::fork(&window, &theirs) {
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
            Some((replaced, by)) => self.halt(provider, position, replaced, by).await,
            None => {
                self.start_over(provider, &opened, &position, (&window, &theirs))
                    .await
            }
        }
    }

    /// Not even the block before the start is ours any more. It was not irreversible, so this is a reorganisation like any
    /// other, unless something was owed already. The provider has to say so twice: one damaged answer neither begins anew nor ends
    /// the process.
    async fn start_over(
        &mut self,
        provider: &Provider,
        opened: &Opened,
        position: &Position,
        (window, theirs): (&BTreeMap<u64, B256>, &[BlockRef]),
    ) -> Result<Progress, Error> {
        let first = self.following.first_block();
        let torn = || Error::Torn {
            provider: provider.name().to_owned(),
            number: first,
        };
        // The start block was just compared, and is the one that can never be another.
        if opened.start_fixed {
            return Err(torn());
        }
        let lowest = *theirs.last().ok_or_else(torn)?;
        let before = identity::header(provider, &self.following, first - 1).await?;
        let start = identity::header(provider, &self.following, first).await?;
        let is_ours = window.get(&before.at.number) == Some(&before.at.hash);
        let said_otherwise = lowest.number == before.at.number && lowest != before.at;
        if is_ours || said_otherwise || start.parent != before.at.hash {
            return Err(torn());
        }
        let mut connection = self.ledger.acquire().await?;
        if deployments::has_jobs(&mut connection, opened.id).await? {
            return Err(Error::StartReplaced { start: first });
        }
        drop(connection);
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
        meters::reorganised(position.recorded.number - to.number);
        tracing::info!(
            blocks,
            logs,
            depth = position.recorded.number - to.number,
            "rolled back from {} to {to}: {logs} logs are orphaned",
            position.recorded
        );
        Ok(Progress::More)
    }

    /// Halts, if the provider says once more that it has another block there: one damaged answer is no reason to stop everything. When
    /// a provider of another operator still has the block that may never go away, that is a disagreement, and nothing stops either.
    pub(super) async fn halt(
        &mut self,
        provider: &Provider,
        position: Position,
        replaced: BlockRef,
        by: BlockRef,
    ) -> Result<Progress, Error> {
        let opened = self.compared_with(provider).await?;
        let again = provider.header_at(by.number).await?;
        if again.is_none_or(|header| header.at != by) {
            return Err(Error::Torn {
                provider: provider.name().to_owned(),
                number: by.number,
            });
        }
        if let Some(other) = self.still_has(provider, replaced).await {
            let (name, mut connection) = (provider.name(), self.ledger.acquire().await?);
            let is_new =
                disagreements::record(&mut connection, opened.id, replaced, name, by.hash).await?;
            if is_new {
                tracing::error!(
                    deployment = opened.id.0,
                    provider = name,
                    "provider {name} names {:#x} where block {replaced} can never change, and {other} still has that: it is passed over",
                    by.hash
                );
            }
            provider.shun();
            return Ok(Progress::Idle);
        }
        let reason = format!(
            "block {replaced}, which may never go away, was replaced by {:#x} on provider {}",
            by.hash,
            provider.name()
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

    /// The name of a provider of another operator that has that block, if there is one.
    async fn still_has(&self, provider: &Provider, block: BlockRef) -> Option<String> {
        let others = self.providers.list().iter();
        for other in others.filter(|other| other.operator() != provider.operator()) {
            let named = other.header_at(block.number).await;
            if named.is_ok_and(|header| header.is_some_and(|header| header.at == block)) {
                return Some(other.name().to_owned());
            }
        }
        None
    }
}
