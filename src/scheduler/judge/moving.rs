use std::collections::HashSet;

use super::ruling::{Ruling, next, terms};
use super::writing::{Before, Finding, WORKER};
use super::{BEHIND, Docket, Judge};
use crate::ids::{AgreementId, BlockRef, JobId};
use crate::jobs::Reason;
use crate::keeper::ContractCalls;
use crate::ledger::jobs::Anchor;
use crate::ledger::judge_queue::Due;
use crate::ledger::status::Locked;
use crate::ledger::verdicts::Basis;
use crate::ledger::{Transaction, footings, jobs, status, verdicts};
use crate::scheduler::Error;

impl<C: ContractCalls> Judge<C> {
    /// A job that is there: nothing is locked or written unless something would become another.
    pub(super) async fn rule_again(
        &self,
        transaction: &mut Transaction,
        row: &jobs::Recorded,
        finding: &Finding<'_>,
        before: &Before,
        judged: BlockRef,
    ) -> Result<(), Error> {
        let (ruling, anchor, terms) = (
            finding.ruling(row),
            finding.anchor(),
            terms(finding.verdict),
        );
        let last = before.verdicts.get(&row.job);
        let stands = before.jobs.get(&row.job);
        let stays = stands.is_some_and(|standing| {
            standing.canonical
                && standing.anchor == anchor
                && standing.terms == terms
                && next(&standing.status, &ruling, last).is_none()
        });
        if stays && ruling.repeats(last) {
            return Ok(());
        }
        let basis = finding.basis(judged);
        self.apply(transaction, row.job, Some(&anchor), &ruling, &basis)
            .await?;
        Ok(jobs::note_terms(transaction, row.job, &terms).await?)
    }

    /// Jobs whose event is on no canonical block: marked, and withdrawn once the fork can no longer return and no later block is left
    /// to look in. Answers when to look again at the agreements of the others.
    pub(super) async fn rule_on_orphans(
        &self,
        transaction: &mut Transaction,
        docket: &Docket,
        findings: &[Finding<'_>],
        before: &Before,
        basis: &Basis,
    ) -> Result<Vec<(AgreementId, Due)>, Error> {
        let anchored: HashSet<_> = findings.iter().map(|finding| finding.new.key).collect();
        let mut waiting = Vec::new();
        for standing in before.jobs.values() {
            if anchored.contains(&standing.key) {
                continue;
            }
            jobs::orphan(transaction, standing.job).await?;
            match again_for_orphan(docket, standing.anchor.block.number) {
                None => {
                    let ruling = Ruling::by_one_rule("withdrawn", Reason::EventWithdrawn, "event");
                    self.apply(transaction, standing.job, None, &ruling, basis)
                        .await?;
                }
                Some(due) => waiting.push((standing.agreement, due)),
            }
        }
        Ok(waiting)
    }

    /// Moves a job that is there, under its lock, and says why if that is new.
    async fn apply(
        &self,
        transaction: &mut Transaction,
        job: JobId,
        anchor: Option<&Anchor>,
        ruling: &Ruling<'_>,
        basis: &Basis,
    ) -> Result<(), Error> {
        let mut locked = status::lock(transaction, job).await?;
        if let Some(anchor) = anchor {
            jobs::anchor(transaction, job, anchor).await?;
        }
        let last = verdicts::find_last_judged(transaction, job).await?;
        if let Some(status) = next(&locked.status, ruling, last.as_ref()) {
            status::advance(transaction, &mut locked, status, WORKER).await?;
        }
        if ruling.word == "withdrawn" && locked.status.phase.is_live() {
            withdraw(transaction, &locked).await?;
        }
        if ruling.repeats(last.as_ref()) {
            return Ok(());
        }
        let words = (ruling.word, ruling.reason);
        Ok(verdicts::append(transaction, job, words, &ruling.value(), basis).await?)
    }
}

/// When to look again for an event that stood at a height and is nowhere on the chain as it is judged; `None` when it is gone for
/// good. A running job that is ended for it is not begun again, so every block that is known of must have been looked in.
fn again_for_orphan(docket: &Docket, height: u64) -> Option<Due> {
    let (judged, recorded) = (docket.to, docket.seen.recorded);
    match docket.seen.irreversible {
        Some(irreversible) if irreversible.min(judged.number) >= height => {
            let is_behind = judged != recorded || irreversible > judged.number;
            is_behind.then_some(Due::After(BEHIND))
        }
        _ => Some(Due::Block(height)),
    }
}

/// Marks the attempt of a job that was handed to an engine.
async fn withdraw(transaction: &mut Transaction, locked: &Locked) -> Result<(), Error> {
    let attempt = locked.status.attempt;
    if footings::withdraw(transaction, locked.job, attempt).await? {
        tracing::warn!(
            job = %locked.name,
            attempt,
            "the event of {} is gone from the chain for good while it runs: it is ended",
            locked.name
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;

    use super::super::late::Late;
    use super::*;
    use crate::ledger::judging::Horizons;

    fn docket(irreversible: Option<u64>, judged: u64, recorded: u64) -> Docket {
        let block = |number| BlockRef {
            number,
            hash: B256::ZERO,
        };
        Docket {
            seen: Horizons {
                epoch: 1,
                recorded: block(recorded),
                judged: block(judged),
                irreversible,
                start: 0,
                act_from: None,
                decoder: 1,
            },
            to: block(judged),
            logs: Vec::new(),
            taken_in: None,
            late: Late::default(),
            due: Vec::new(),
        }
    }

    #[test]
    fn an_event_is_gone_only_when_every_known_block_was_looked_in() {
        let wait = Some(Due::After(BEHIND));
        let until = Some(Due::Block(100));
        for (irreversible, judged, recorded, again) in [
            (None, 110, 110, until),
            (Some(99), 110, 110, until),
            (Some(100), 110, 110, None),
            (Some(100), 99, 110, until),
            // it may have come back in a block that is recorded, or irreversible, and not judged yet
            (Some(100), 105, 110, wait),
            (Some(120), 110, 110, wait),
        ] {
            let docket = docket(irreversible, judged, recorded);
            let said = again_for_orphan(&docket, 100);
            assert_eq!(said, again, "{irreversible:?} {judged} {recorded}");
        }
    }
}
