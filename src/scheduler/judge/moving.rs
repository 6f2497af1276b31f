use std::collections::HashSet;

use super::ruling::{Ruling, next, terms};
use super::writing::{Before, Finding, WORKER};
use super::{Docket, Judge};
use crate::ids::JobId;
use crate::jobs::Reason;
use crate::keeper::ContractCalls;
use crate::ledger::jobs::Anchor;
use crate::ledger::standings::Standing;
use crate::ledger::verdicts::Basis;
use crate::ledger::{Transaction, jobs, status, verdicts};
use crate::scheduler::Error;

impl<C: ContractCalls> Judge<C> {
    /// A job that is there: nothing is locked or written unless something would become another.
    pub(super) async fn rule_again(
        &self,
        transaction: &mut Transaction,
        row: &jobs::Recorded,
        finding: &Finding<'_>,
        before: &Before,
        basis: &Basis,
    ) -> Result<(), Error> {
        let (ruling, anchor, terms) = (
            finding.ruling(row),
            finding.anchor(),
            terms(finding.verdict),
        );
        let last = before.verdicts.get(&row.job);
        let says_the_same = ruling.is(last) && last.is_some_and(|last| last.rules == ruling.rules);
        let stands = before.jobs.get(&row.job);
        let stays = stands.is_some_and(|standing| {
            standing.canonical
                && standing.anchor == anchor
                && standing.terms == terms
                && next(&standing.status, &ruling, last).is_none()
        });
        if says_the_same && stays {
            return Ok(());
        }
        self.apply(transaction, row.job, Some(&anchor), &ruling, basis)
            .await?;
        Ok(jobs::note_terms(transaction, row.job, &terms).await?)
    }

    /// Jobs whose event is on no canonical block: marked, and withdrawn once the fork can no longer return. Answers when to look
    /// again.
    pub(super) async fn rule_on_orphans(
        &self,
        transaction: &mut Transaction,
        docket: &Docket,
        findings: &[Finding<'_>],
        before: &Before,
        basis: &Basis,
    ) -> Result<Vec<Standing>, Error> {
        let anchored: HashSet<_> = findings.iter().map(|finding| finding.new.key).collect();
        let settled = docket
            .seen
            .irreversible
            .map(|number| number.min(docket.to.number));
        let mut waiting = Vec::new();
        for standing in before.jobs.values() {
            if anchored.contains(&standing.key) {
                continue;
            }
            jobs::orphan(transaction, standing.job).await?;
            if settled.is_some_and(|settled| settled >= standing.anchor.block.number) {
                let ruling = Ruling::by_one_rule("withdrawn", Reason::EventWithdrawn, "event");
                self.apply(transaction, standing.job, None, &ruling, basis)
                    .await?;
            } else {
                waiting.push(standing.clone());
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
        ruling: &Ruling,
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
        let is_the_same =
            ruling.is(last.as_ref()) && last.is_some_and(|last| last.rules == ruling.rules);
        if is_the_same {
            return Ok(());
        }
        let words = (ruling.word, ruling.reason);
        Ok(verdicts::append(transaction, job, words, &ruling.rules, basis).await?)
    }
}
