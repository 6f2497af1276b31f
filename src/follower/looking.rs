//! When to look at the chain, and what a look shows.

use std::time::Duration;

use tokio::time::Instant;

use super::error::Error;
use super::following::{ActAt, IrreversibleAt};
use super::identity::Opened;
use super::plan::{Known, Seen};
use super::worker::Follower;
use crate::chain::{Header, Look, LookAt, Provider, Tag};
use crate::ids::BlockRef;
use crate::ledger::cursors::{Cursor, Position};

/// How long the newest block alone is asked for while it stays the recorded one. Then everything is looked at again, and by
/// another provider if there is one: finality moves without a block, and a provider that is stuck looks like a chain that rests.
const FULL_LOOK: Duration = Duration::from_secs(10);
/// How long nothing is asked at all while blocks are announced: announcements have gaps, so a look must come by itself.
const ANNOUNCED_LOOK: Duration = Duration::from_secs(3);
/// Blocks that a look brings along at most, where they are believed to be there.
const AHEAD: u64 = 16;

/// The chain had nothing more than the ledger.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    position: Position,
    since: Instant,
    asked: Instant,
}

/// What is believed to be new before a look at the chain.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hint {
    /// Blocks after the recorded one.
    blocks: u64,
    /// Whether the first of them may hold logs of ours.
    logs: bool,
}

impl Follower {
    /// The chain was seen to have nothing more than the ledger at this position.
    pub(super) fn rested(&mut self, head: BlockRef, position: Position) {
        let now = Instant::now();
        self.rest = (head == position.recorded).then_some(Rest {
            position,
            since: now,
            asked: now,
        });
    }

    /// Asks, as cheaply as can be, whether there is anything new: `None` if not.
    pub(super) async fn glimpse(&mut self, cursor: &Cursor) -> Result<Option<Hint>, Error> {
        let recorded = cursor.position.recorded;
        let announced = self.providers.announced().map(|block| {
            let blocks = block.number.saturating_sub(recorded.number);
            let logs = blocks != 1 || !block.excludes(&self.following.addresses);
            Hint { blocks, logs }
        });
        let hint = announced.filter(|hint| (1..=AHEAD).contains(&hint.blocks));
        let now = Instant::now();
        let Some(rest) = &mut self.rest else {
            return Ok(Some(hint.unwrap_or_default()));
        };
        if hint.is_some() || rest.position != cursor.position || now - rest.since > FULL_LOOK {
            return Ok(Some(hint.unwrap_or_default()));
        }
        if self.providers.is_listening() && now - rest.asked < ANNOUNCED_LOOK {
            return Ok(None);
        }
        rest.asked = now;
        let head = self.providers.head().await?;
        if head.at == recorded {
            return Ok(None);
        }
        let blocks = head.at.number.saturating_sub(recorded.number).min(AHEAD);
        let logs = blocks != 1 || !head.excludes(&self.following.addresses);
        Ok(Some(Hint { blocks, logs }))
    }

    /// Looks at the tip, at the recorded height and at what comes after it, in one batch.
    pub(super) async fn look(
        &mut self,
        opened: &Opened,
        known: &Known,
        hint: Hint,
    ) -> Result<(Look, Provider), Error> {
        let act_at = self.following.act_at;
        let by_tag = opened.irreversible_at == IrreversibleAt::Finalized;
        let wanted = LookAt {
            recorded: known.recorded.number,
            finalized: by_tag || act_at == ActAt::Finalized,
            safe: act_at == ActAt::Safe,
            ahead: hint.blocks,
            receipts: hint.logs,
        };
        // After a long rest somebody else is asked.
        let last = self.rest.take().and(self.looked_with.as_ref());
        let question = move |provider: Provider| async move { provider.look(&wanted).await };
        let (look, provider) = self.providers.ask_after(last, question).await?;
        self.providers.weigh(&provider);
        self.looked_with = Some(provider.clone());
        Ok((look, provider))
    }

    /// What a look shows, by the rules of the deployment.
    pub(super) async fn seen(
        &self,
        provider: &Provider,
        opened: &Opened,
        known: &Known,
        look: &Look,
    ) -> Result<Seen, Error> {
        let finalized = look.finalized.and_then(Tag::block);
        let irreversible = match opened.irreversible_at {
            IrreversibleAt::Finalized => finalized,
            IrreversibleAt::Depth(depth) => at_depth(provider, depth, &look.head, known).await?,
        };
        let act = match self.following.act_at {
            ActAt::Finalized => finalized,
            ActAt::Safe => look.safe.and_then(Tag::block),
            ActAt::Latest | ActAt::Depth(_) => None,
        };
        Ok(Seen {
            head: look.head.at,
            at_recorded: look.at.as_ref().map(|header| header.at),
            irreversible,
            act,
        })
    }
}

/// The block so many below the head, if it lies above the irreversible one that is known. The genesis block counts as deep.
async fn at_depth(
    provider: &Provider,
    depth: u64,
    head: &Header,
    known: &Known,
) -> Result<Option<BlockRef>, Error> {
    let number = head.at.number.saturating_sub(depth);
    if known
        .irreversible
        .is_some_and(|block| number <= block.number)
    {
        return Ok(None);
    }
    // A block of ours, which the provider has just agreed with at our height.
    if let Some(hash) = known.window.get(&number) {
        return Ok(Some(BlockRef {
            number,
            hash: *hash,
        }));
    }
    let header = provider.header_at(number).await?;
    Ok(header.map(|header| header.at))
}
