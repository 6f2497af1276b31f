//! Decides what an admitted job runs, from what the consumer registered, the asset's DDO, the publisher's catalog and its policy.
//!
//! The order of the sources is fixed (`sources.rs`) and whatever is found first counts, even when it is then refused: a consumer
//! who asked for something that is not allowed must not get something else instead, which would be paid for all the same.
//!
//! Deciding does nothing: what it lacks it names ([`Want`]), one thing at a time, and it is asked again once that was found. So the
//! same question with the same findings always has the same answer: after a crash, on another replica, or years later under
//! another catalog.

mod algorithm;
mod sources;

use alloy::primitives::Address;

use crate::admission::{Position, Recorded};
use crate::ids::{AgreementId, Did};
use crate::jobs::Reason;
use crate::workflows::catalog::Catalog;
use crate::workflows::spec::JobSpec;
use crate::workflows::want::{Found, Want};

/// An admitted job whose workflow is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Resolution<'a> {
    /// The agreement that owes it.
    pub agreement: AgreementId,
    /// Its asset.
    pub did: Did,
    /// Who may choose the workflow.
    pub consumer: Address,
    /// Where the agreement was created.
    pub agreement_created: Position,
    /// What the registry said later does not count: the place of the condition's event, or of the payment's when that came later.
    pub decided_at: Position,
    /// The registry's canonical events about the DID that is the agreement's id, and about every DID with a value that names the
    /// agreement ([`named_agreement`](super::named_agreement)). In any order.
    pub registrations: &'a [Recorded],
    /// The publisher's catalog as it is now.
    pub catalog: &'a Catalog,
}

/// The answer of [`resolve`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// This runs.
    Frozen(Box<Frozen>),
    /// Nothing runs.
    Refused(Refusal),
    /// It cannot be said before this was looked for: note what was found and ask again.
    Wants(Want),
}

/// What a job runs, decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// The specification to freeze.
    pub spec: JobSpec,
    /// Who named the workflow.
    pub source: Source,
    /// The document that named the workflow, exactly as it was had; absent when the catalog did.
    pub document: Option<Vec<u8>>,
    /// The logs of the registrations that it rests on.
    pub registrations: Vec<i64>,
}

/// Who named a workflow, in the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The consumer, on chain.
    Consumer,
    /// The asset itself is a workflow.
    Asset,
    /// The asset's compute service.
    Service,
    /// The publisher's catalog.
    Catalog,
}

impl Source {
    /// The word that the ledger and the API use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Asset => "asset",
            Self::Service => "service",
            Self::Catalog => "catalog",
        }
    }
}

/// Why a job is not run, though it is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The stable reason.
    pub reason: Reason,
    /// What exactly is wrong, in our words; a stranger's never stand in it.
    pub sentence: String,
    /// The log of the registration that was at fault, if one was.
    pub registration: Option<i64>,
}

impl Refusal {
    pub(super) fn new(reason: Reason, sentence: &str) -> Self {
        Self {
            reason,
            sentence: sentence.to_owned(),
            registration: None,
        }
    }

    pub(super) fn of(reason: Reason) -> Self {
        Self::new(reason, reason.sentence())
    }

    fn invalid(sentence: &str) -> Self {
        Self::new(Reason::DocumentInvalid, sentence)
    }

    /// The same refusal, on the strength of that registration unless it has one already.
    fn resting_on(self, log: i64) -> Self {
        Self {
            registration: self.registration.or(Some(log)),
            ..self
        }
    }
}

/// Why deciding stops before something is frozen.
#[derive(Debug)]
enum Stop {
    Refused(Refusal),
    Wants(Want),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Stop {
    fn resting_on(self, log: i64) -> Self {
        match self {
            Self::Refused(refusal) => Self::Refused(refusal.resting_on(log)),
            Self::Wants(want) => Self::Wants(want),
        }
    }
}

/// Decides what a job runs, in a fixed order: what the consumer registered on chain; the asset's DDO when it is a workflow; the
/// algorithm that the DDO's compute service names; the catalog's default. Whatever the source, the publisher's policy has the last
/// word. Nothing is guessed.
///
/// It does no I/O: what it needs and `found` does not hold is the answer [`Conclusion::Wants`]. It ends after a bounded number of
/// wants: at most two registries' entries, three documents, one file and one image.
pub fn resolve(question: &Resolution<'_>, found: &Found) -> Conclusion {
    match sources::decide(question, found) {
        Ok(frozen) => Conclusion::Frozen(Box::new(frozen)),
        Err(Stop::Refused(refusal)) => Conclusion::Refused(refusal),
        Err(Stop::Wants(want)) => Conclusion::Wants(want),
    }
}

#[cfg(test)]
mod tests;
