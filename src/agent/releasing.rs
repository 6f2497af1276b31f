//! May this escrow pay?

use alloy::primitives::Address;
use alloy::signers::Signer;

use super::hearing::{ABORTED, FULFILLED, fact};
use super::ruling::{Ruling, code};
use super::view::View;
use super::{Agent, Error};
use crate::jobs::{Outcome, Reason};
use crate::keeper::{self, ContractCalls};
use crate::ledger::agent::acts::Act;
use crate::ledger::agent::discovery::{self, EndedJob};
use crate::ledger::policies;
use crate::preflight::Sale;
use crate::workflows::Catalog;

/// Whose fault an end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The algorithm's, which the consumer chose.
    Consumer,
    /// The publisher's: data, cluster, store, an operator.
    Publisher,
}

impl<C: ContractCalls, S: Signer + Send + Sync> Agent<C, S> {
    /// Decides about the escrow of a job that ended.
    pub(super) async fn hear_release(
        &self,
        act: &Act,
        view: &View,
        catalog: &Catalog,
    ) -> Result<Ruling, Error> {
        let Some(job) = act.job else {
            return Ok(Ruling::wait(
                code::UNDECIDED,
                "No job is recorded for the agreement.",
            ));
        };
        let ended = discovery::get_ended(&mut *self.ledger.acquire().await?, job).await?;
        match ended.outcome {
            Some(Outcome::Succeeded) => {}
            None => {
                return Ok(Ruling::wait(
                    code::UNDECIDED,
                    "The job is being tried again.",
                ));
            }
            Some(outcome) => return Ok(not_released(outcome, ended.reason)),
        }
        if !ended.is_canonical {
            return Ok(Ruling::wait(
                code::ORPHANED,
                "The event that the job is owed for is on no canonical block.",
            ));
        }
        let events = self.events_of(act.agreement, view).await?;
        let Ok(sale) = Sale::read(&self.deployment.contracts, &events, act.agreement) else {
            return Ok(Ruling::wait(
                code::TERMS_UNKNOWN,
                "The agreement's events are not on the chain any more.",
            ));
        };
        let facts = keeper::Facts::new(&self.calls, &self.deployment.contracts);
        let escrow = facts.condition(sale.escrow, None).await;
        match escrow
            .map_err(fact(act.agreement))?
            .map(|escrow| escrow.state)
        {
            Some(FULFILLED) => return Ok(Ruling::DoneByOther),
            Some(ABORTED) => {
                let detail = "The escrow's condition was aborted, though the job succeeded.";
                return Ok(Ruling::fail(code::ABORTED, detail));
            }
            Some(_) => {}
            None => {
                return Ok(Ruling::wait(
                    code::UNDECIDED,
                    "The node does not know the escrow's condition yet.",
                ));
            }
        }
        let payee = self.payee(&sale, &ended, catalog).await?;
        let (Some(paid), Some(payee)) = (sale.paid, payee) else {
            return Ok(Ruling::wait(
                code::TERMS_UNKNOWN,
                "Whom the escrow pays cannot be recomputed: it is nobody whom the catalog names or named.",
            ));
        };
        Ok(Ruling::Act {
            call: self.purchase(&sale, payee, paid.amount).release(),
            judgement: None,
        })
    }

    /// Whom the escrow pays, if it is somebody whom the catalog names, or named when it admitted the job, or the asset's owner then:
    /// a catalog that changed after the purchase takes no payment away.
    pub(super) async fn payee(
        &self,
        sale: &Sale,
        ended: &EndedJob,
        catalog: &Catalog,
    ) -> Result<Option<Address>, Error> {
        let contracts = &self.deployment.contracts;
        let now = sale.payee(contracts, &candidates(catalog, ended));
        let (None, Some(sha256)) = (now, ended.policy.filter(|its| *its != catalog.sha256)) else {
            return Ok(now);
        };
        let body = policies::find(&mut *self.ledger.acquire().await?, sha256).await?;
        let then = body.and_then(|body| Catalog::parse(&body).ok());
        Ok(then.and_then(|then| sale.payee(contracts, &candidates(&then, ended))))
    }
}

fn candidates(catalog: &Catalog, ended: &EndedJob) -> Vec<Address> {
    let mut candidates = catalog.payees.clone().unwrap_or_default();
    candidates.extend(ended.provider);
    candidates
}

/// The escrow is left alone. When it was the publisher's fault, that is somebody's to look at now: the condition is fulfilled,
/// so the contracts give no refund, and only the publisher can pay back.
fn not_released(outcome: Outcome, reason: Option<Reason>) -> Ruling {
    let why = reason.map_or("", Reason::sentence);
    let detail = match fault(outcome, reason) {
        Fault::Publisher => format!(
            "The job ended as {outcome} by no fault of the consumer's: {why} The escrow is not released; try the job again, or \
             pay the consumer back."
        ),
        Fault::Consumer => format!(
            "The job ended as {outcome}: {why} The escrow is released after success only; whether it is due now is the publisher's \
             decision."
        ),
    };
    Ruling::Decline {
        reason: reason.map_or_else(|| outcome.to_string(), |reason| reason.to_string()),
        detail,
        judgement: None,
    }
}

/// Whether a declined release needs somebody's attention.
pub(super) fn alarms(reason: &str) -> bool {
    let known = reason.parse::<Reason>().ok();
    fault(Outcome::Failed, known) == Fault::Publisher
}

fn fault(outcome: Outcome, reason: Option<Reason>) -> Fault {
    let consumers = matches!(
        reason,
        Some(
            Reason::AlgorithmFailed
                | Reason::NoShell
                | Reason::TimeExceeded
                | Reason::MemoryExceeded
                | Reason::DiskExceeded
        )
    );
    if consumers && matches!(outcome, Outcome::Failed | Outcome::TimedOut) {
        Fault::Consumer
    } else {
        Fault::Publisher
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_algorithm_did_is_the_consumers_fault() {
        for reason in [Reason::AlgorithmFailed, Reason::MemoryExceeded] {
            assert_eq!(fault(Outcome::Failed, Some(reason)), Fault::Consumer);
            assert!(!alarms(reason.as_str()));
        }
        for reason in [
            Reason::DataProvisioningFailed,
            Reason::ImageUnavailable,
            Reason::PublishingFailed,
            Reason::Evicted,
        ] {
            assert_eq!(fault(Outcome::Failed, Some(reason)), Fault::Publisher);
            assert!(alarms(reason.as_str()));
        }
        let stopped = fault(Outcome::Stopped, Some(Reason::StoppedByOperator));
        assert_eq!(stopped, Fault::Publisher);
        assert_eq!(
            fault(Outcome::Lost, Some(Reason::PodMissing)),
            Fault::Publisher
        );
    }
}
