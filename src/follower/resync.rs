//! Reading history again because an operator asks for it.

use super::error::Error;
use super::settle::Wrong;
use super::verifier::Verifier;
use crate::ledger::repairs::{FoundBy, Repair};

/// What one step of a resync found.
#[derive(Clone, Debug)]
pub struct Resynced {
    /// First block of the step.
    pub from: u64,
    /// Last block of the step.
    pub to: u64,
    /// Blocks whose rows were wrong; mended, unless it was a dry run.
    pub repairs: Vec<Repair>,
}

impl Verifier {
    /// Reads the next blocks of history from `from` on with every provider, compares them with the rows, and mends what is wrong
    /// unless `dry_run`. `None` once the end of history is reached: blocks above the irreversible one are proven one by one when
    /// they are recorded. Rows are added or become tombstones; no cursor goes back.
    ///
    /// # Errors
    /// Transient, when no provider answers, when what they say cannot be settled, or when the ledger is away.
    pub async fn resync(&mut self, from: u64, dry_run: bool) -> Result<Option<Resynced>, Error> {
        let from = from.max(self.following.first_block());
        let mut repairs = Vec::new();
        loop {
            let standing = self.standing().await?;
            let history = standing.history().filter(|history| *history >= from);
            let (Some(history), Some(irreversible)) = (history, standing.irreversible) else {
                return Ok(None);
            };
            if standing.halted {
                return Err(Error::Halted);
            }
            for provider in &self.providers {
                self.same_chain(provider, irreversible).await?;
            }
            let to = history.min(from.saturating_add(self.width - 1));
            let wrong = match self.find_wrong_in((from, to)).await {
                Ok(wrong) => wrong,
                Err(Error::Chain(error)) if error.asks_for_less() && to > from => {
                    self.width = ((to - from) / 2).max(1);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let found = wrong
                .iter()
                .map(|wrong: &Wrong| wrong.repair(FoundBy::Resync));
            if wrong.is_empty() || dry_run {
                repairs.extend(found);
                return Ok(Some(Resynced { from, to, repairs }));
            }
            if self.mend_once(&standing, &wrong, FoundBy::Resync).await? {
                repairs.extend(found);
            }
        }
    }
}
