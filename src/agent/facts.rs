use std::collections::BTreeSet;

use alloy::signers::Signer;

use super::view::View;
use super::{Agent, Error};
use crate::admission::{Decision, Facts, Offer, Question, Recorded, Verdict, judge};
use crate::facts;
use crate::ids::AgreementId;
use crate::keeper::ContractCalls;
use crate::preflight::Supposition;

impl<C: ContractCalls, S: Signer + Send + Sync> Agent<C, S> {
    /// Judges a sale as if its compute condition were fulfilled, asking the node for what the events lack, at the judged block. A
    /// fact that cannot be had leaves the verdict undecided. Nothing that is read here is stored: the judge asks again for the
    /// job, and stores.
    pub(super) async fn judge_supposed(
        &self,
        agreement: AgreementId,
        events: &[Recorded],
        supposition: &Supposition,
        (offer, view): (&Offer, &View),
    ) -> Result<Verdict, Error> {
        let mut all = events.to_vec();
        all.extend([supposition.update.clone(), supposition.trigger.clone()]);
        let mut known = Facts::default();
        let mut asked = BTreeSet::new();
        loop {
            let verdict = judge(&Question {
                keeper: &self.deployment,
                trigger: &supposition.trigger,
                events: &all,
                facts: &known,
                offer,
                horizon: view.horizon(supposition.position().block),
            });
            let Decision::Undecided { missing } = &verdict.decision else {
                return Ok(verdict);
            };
            let unasked: Vec<_> = missing
                .iter()
                .filter(|missing| asked.insert(**missing))
                .copied()
                .collect();
            if unasked.is_empty() {
                return Ok(verdict);
            }
            for missing in unasked {
                let contracts = (&self.calls, &self.deployment.contracts);
                let found = facts::ask(contracts, missing, view.judged.number).await;
                let found = found.map_err(|source| Error::Fact {
                    agreement,
                    source: Box::new(source),
                })?;
                found.into_iter().for_each(|fact| fact.put(&mut known));
            }
        }
    }
}
