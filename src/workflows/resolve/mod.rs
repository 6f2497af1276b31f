//! Decides what an admitted job runs, from what the consumer registered, the publisher's catalog and its policy.
//!
//! The order of the sources is fixed and whatever is found first counts, even when it is then refused: a consumer who asked for
//! something that is not allowed must not get something else instead, which would be paid for all the same.

use alloy::primitives::Address;

use crate::admission::{Position, Recorded};
use crate::ids::{AgreementId, Did};
use crate::jobs::Reason;
use crate::workflows::catalog::{Asset, Catalog};
use crate::workflows::data_url::Value;
use crate::workflows::document::Document;
use crate::workflows::policy;
use crate::workflows::registration::{Choice, choice};
use crate::workflows::spec::JobSpec;

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
    /// The registry's canonical events about the DID that is the agreement's id, and about every DID with a document that names
    /// the agreement. In any order.
    pub registrations: &'a [Recorded],
    /// The publisher's catalog as it is now.
    pub catalog: &'a Catalog,
}

/// What a job runs, decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// The specification to freeze.
    pub spec: JobSpec,
    /// Who named the workflow.
    pub source: Source,
    /// The document exactly as it was registered; absent when the catalog named the workflow.
    pub document: Option<Vec<u8>>,
    /// The log of the registration that held it.
    pub registration: Option<i64>,
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
}

/// Decides what a job runs, in a fixed order: what the consumer registered on chain, else the catalog's default. Whatever the
/// source, the publisher's policy has the last word. Nothing is guessed.
///
/// OEP-12 knows two more sources between them, a workflow or an algorithm named by the asset's own DDO. Those need documents
/// fetched by URL, which this version does not do.
///
/// # Errors
/// [`Refusal`] with a stable reason.
pub fn resolve(question: &Resolution<'_>) -> Result<Frozen, Refusal> {
    let asset = question
        .catalog
        .find(question.did)
        .ok_or_else(|| Refusal::of(Reason::NotOurAsset))?;
    if !asset.enabled {
        return Err(Refusal::of(Reason::AssetDisabled));
    }
    match choice(question) {
        Choice::Taken => Err(Refusal::of(Reason::WorkflowDidTaken)),
        Choice::Value { log, value } => {
            consumers(question, asset, value, log).map_err(|refusal| Refusal {
                registration: Some(log),
                ..refusal
            })
        }
        Choice::Nothing => {
            let document = asset
                .workflow
                .as_ref()
                .ok_or_else(|| Refusal::of(Reason::NoAlgorithm))?;
            Ok(Frozen {
                spec: freeze(question, asset, document, Source::Catalog)?,
                source: Source::Catalog,
                document: None,
                registration: None,
            })
        }
    }
}

fn consumers(
    question: &Resolution<'_>,
    asset: &Asset,
    value: &[u8],
    log: i64,
) -> Result<Frozen, Refusal> {
    let invalid = |sentence: &str| Refusal::new(Reason::DocumentInvalid, sentence);
    let body = match Value::read(value) {
        Value::Inline(body) => body,
        Value::Elsewhere => {
            return Err(invalid(
                "The registered value is not an inline document (data:application/json,…); this version reads no other.",
            ));
        }
        Value::Malformed(problem) => {
            let sentence = format!("The registered data: URL cannot be read: {problem}.");
            return Err(invalid(&sentence));
        }
    };
    let document = Document::parse(&body).map_err(|error| invalid(&error.to_string()))?;
    if document
        .agreement
        .is_some_and(|named| named != question.agreement)
    {
        return Err(invalid("The document names another agreement."));
    }
    Ok(Frozen {
        spec: freeze(question, asset, &document, Source::Consumer)?,
        source: Source::Consumer,
        document: Some(body),
        registration: Some(log),
    })
}

fn freeze(
    question: &Resolution<'_>,
    asset: &Asset,
    document: &Document,
    source: Source,
) -> Result<JobSpec, Refusal> {
    policy::inputs(document, question.did)?;
    let algorithm = policy::algorithm(document, asset, source)?;
    let resources = policy::resources(&document.requirements, &asset.ceilings)?;
    let release = policy::release(&asset.release, algorithm.vetted);
    Ok(JobSpec {
        version: 1,
        agreement: question.agreement,
        did: question.did,
        consumer: question.consumer,
        algorithm,
        inputs: asset.files.clone(),
        resources,
        allow_network: asset.allow_network_access,
        release,
    })
}

#[cfg(test)]
mod tests;
