//! Whether enough operators of providers name the same block before work may start on it.
//!
//! Hashes chain, so one height speaks for every height below, and only the horizon for acting is held back: recording goes on.

use alloy::primitives::B256;

use super::error::Error;
use super::worker::Follower;
use crate::chain::Provider;
use crate::ids::{BlockRef, DeploymentId};
use crate::ledger::cursors::Horizons;
use crate::ledger::{blocks, disagreements};

/// What the providers say of a height.
#[derive(Debug, Default)]
struct Votes {
    /// Operators with a provider that names our block, each once: two providers of one operator are one witness.
    for_it: Vec<String>,
    /// Providers that name another block there.
    against: Vec<(String, B256)>,
    /// The newest heights of operators whose providers have none there yet.
    behind: Vec<(String, u64)>,
}

impl Follower {
    /// The same follower, which lets work start only on blocks that providers of so many operators name.
    #[must_use]
    pub const fn requiring(mut self, quorum: usize) -> Self {
        self.quorum = quorum;
        self
    }

    /// The horizons with the one for acting no further than a quorum goes; `None` there leaves what is stored. `to` is the recorded
    /// block once they are written down.
    pub(super) async fn within_quorum(
        &mut self,
        deployment: DeploymentId,
        horizons: Horizons,
        to: BlockRef,
    ) -> Result<Horizons, Error> {
        self.held = false;
        let Some(act) = horizons.act.filter(|_| self.quorum > 1) else {
            return Ok(horizons);
        };
        let held = Horizons {
            act: None,
            ..horizons
        };
        let Some(block) = self.ours(deployment, act, &horizons, to).await? else {
            return Ok(held);
        };
        if self.agreed == Some(block) {
            return Ok(horizons);
        }
        self.held = true;
        let votes = self.ask(deployment, block).await?;
        if votes.for_it.len() >= self.quorum {
            self.agreed = Some(block);
            self.held = false;
            return Ok(horizons);
        }
        // Somebody is always a block behind: what enough of them have already is agreed on meanwhile.
        let Some(number) = votes.reached(act, self.quorum) else {
            return Ok(held);
        };
        let Some(lower) = self.ours(deployment, number, &horizons, to).await? else {
            return Ok(held);
        };
        let is_newer = self.agreed.is_none_or(|agreed| agreed.number < number);
        if is_newer && self.ask(deployment, lower).await?.for_it.len() >= self.quorum {
            self.agreed = Some(lower);
            return Ok(Horizons {
                act: Some(number),
                ..horizons
            });
        }
        Ok(held)
    }

    /// Our block at a height.
    async fn ours(
        &self,
        deployment: DeploymentId,
        number: u64,
        horizons: &Horizons,
        to: BlockRef,
    ) -> Result<Option<BlockRef>, Error> {
        let mut known = horizons.irreversible.into_iter().chain([to]);
        if let Some(block) = known.find(|block| block.number == number) {
            return Ok(Some(block));
        }
        let mut connection = self.ledger.acquire().await?;
        let hash = blocks::find_hash(&mut connection, deployment, number).await?;
        Ok(hash.map(|hash| BlockRef { number, hash }))
    }

    /// Asks every provider for its block at a height, and writes down who names another one.
    async fn ask(&self, deployment: DeploymentId, block: BlockRef) -> Result<Votes, Error> {
        let asked = self
            .providers
            .list()
            .iter()
            .map(|provider| vote(provider, block));
        let mut votes = Votes::default();
        for (provider, vote) in futures::future::join_all(asked).await {
            match vote {
                Vote::For => votes.add(provider.operator()),
                Vote::Against(hash) => votes.against.push((provider.name().to_owned(), hash)),
                Vote::Behind(head) => votes.behind.push((provider.operator().to_owned(), head)),
                Vote::Silent => {}
            }
        }
        for (provider, named) in &votes.against {
            let mut connection = self.ledger.acquire().await?;
            let is_new =
                disagreements::record(&mut connection, deployment, block, provider, *named).await?;
            if is_new {
                tracing::warn!(
                    deployment = deployment.0,
                    provider,
                    block = block.number,
                    "provider {provider} names {named:#x} where block {block} is recorded"
                );
            }
        }
        Ok(votes)
    }
}

enum Vote {
    For,
    Against(B256),
    Behind(u64),
    /// It does not answer: that says nothing.
    Silent,
}

async fn vote(provider: &Provider, block: BlockRef) -> (&Provider, Vote) {
    let vote = match provider.header_at(block.number).await {
        Ok(Some(header)) if header.at == block => Vote::For,
        Ok(Some(header)) => Vote::Against(header.at.hash),
        Ok(None) => match provider.head().await {
            Ok(head) => Vote::Behind(head.at.number),
            Err(_) => Vote::Silent,
        },
        Err(_) => Vote::Silent,
    };
    (provider, vote)
}

impl Votes {
    fn add(&mut self, operator: &str) {
        if !self.for_it.iter().any(|known| known == operator) {
            self.for_it.push(operator.to_owned());
        }
    }

    /// The highest height below `act` that providers of `quorum` operators have reached, if those behind make up for what lacks.
    fn reached(&self, act: u64, quorum: usize) -> Option<u64> {
        let mut behind: Vec<(u64, &str)> = self
            .behind
            .iter()
            .filter(|(operator, _)| !self.for_it.contains(operator))
            .map(|(operator, head)| (*head, operator.as_str()))
            .collect();
        behind.sort_unstable_by(|one, other| other.cmp(one));
        let mut seen: Vec<&str> = Vec::new();
        behind.retain(|(_, operator)| {
            let is_first = !seen.contains(operator);
            seen.push(operator);
            is_first
        });
        let lacking = quorum.checked_sub(self.for_it.len())?.checked_sub(1)?;
        let (head, _) = behind.get(lacking)?;
        (*head < act).then_some(*head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn votes(for_it: &[&str], behind: &[(&str, u64)]) -> Votes {
        let mut votes = Votes::default();
        for_it.iter().for_each(|operator| votes.add(operator));
        let behind = behind
            .iter()
            .map(|(operator, head)| ((*operator).to_owned(), *head));
        votes.behind = behind.collect();
        votes
    }

    #[test]
    fn a_quorum_reaches_as_far_as_its_slowest_needed_witness() {
        let one_behind = votes(&["a"], &[("b", 98), ("c", 95)]);
        assert_eq!(one_behind.reached(100, 2), Some(98));
        assert_eq!(one_behind.reached(100, 3), Some(95));
        assert_eq!(one_behind.reached(100, 4), None);
        assert_eq!(votes(&["a", "a"], &[]).for_it.len(), 1);
        let same_operator = votes(&["a"], &[("a", 99), ("b", 97), ("b", 96)]);
        assert_eq!(same_operator.reached(100, 2), Some(97));
        assert_eq!(same_operator.reached(100, 3), None);
    }
}
