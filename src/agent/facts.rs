use std::collections::BTreeSet;

use alloy::primitives::Address;
use alloy::signers::Signer;

use super::view::View;
use super::{Agent, Error};
use crate::admission::{
    AgreementFact, ConditionFact, Decision, Facts, Missing, Offer, Question, Recorded, Verdict,
    judge,
};
use crate::ids::AgreementId;
use crate::keeper::{self, ContractCalls};
use crate::preflight::Supposition;

impl<C: ContractCalls, S: Signer + Send + Sync> Agent<C, S> {
    /// Judges a sale as if its compute condition were fulfilled, asking the node for what the events lack. A fact that cannot be
    /// had leaves the verdict undecided. Nothing that is read here is stored: the judge asks again for the job, and stores.
    pub(super) async fn judge_supposed(
        &self,
        agreement: AgreementId,
        events: &[Recorded],
        supposition: &Supposition,
        (offer, view): (&Offer, &View),
    ) -> Result<Verdict, Error> {
        let mut all = events.to_vec();
        all.extend([supposition.update.clone(), supposition.trigger.clone()]);
        let mut facts = Facts::default();
        let mut asked = BTreeSet::new();
        loop {
            let verdict = judge(&Question {
                keeper: &self.deployment,
                trigger: &supposition.trigger,
                events: &all,
                facts: &facts,
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
                let read = self.ask(missing, view, &mut facts).await;
                read.map_err(|source| Error::Fact {
                    agreement,
                    source: Box::new(source),
                })?;
            }
        }
    }

    /// Asks at the judged block: a node that lags behind answers with an error there, and not with the past.
    async fn ask(
        &self,
        missing: Missing,
        view: &View,
        known: &mut Facts,
    ) -> Result<(), keeper::facts::Error<C::Error>> {
        let facts = keeper::Facts::new(&self.calls, &self.deployment.contracts);
        let at = Some(view.judged.number);
        match missing {
            Missing::Agreement(id) => {
                let found = facts.agreement(id, at).await?;
                let fact = found.map(|its| AgreementFact {
                    did: its.did,
                    template: its.template_id,
                    made: u64::try_from(its.block_number_updated).ok(),
                    conditions: its.conditions,
                });
                known.agreements.insert(id, fact);
            }
            Missing::Condition(id) => {
                if let Some(its) = facts.condition(id, at).await? {
                    let fact = ConditionFact {
                        type_ref: its.type_ref,
                        time_lock: its.time_lock,
                        time_out: its.time_out,
                    };
                    known.conditions.insert(id, fact);
                }
            }
            Missing::Owner(did) => {
                let owner: Option<Address> = facts.did_owner(did, at).await?;
                known.owners.extend(owner.map(|owner| (did, owner)));
            }
            Missing::ActFrom => {}
        }
        Ok(())
    }
}
