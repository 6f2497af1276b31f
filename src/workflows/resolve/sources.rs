//! Who names the workflow, in their order.

use alloy::primitives::B256;

use super::algorithm::{self, Asked};
use super::{Frozen, Refusal, Resolution, Source, Stop};
use crate::admission::Recorded;
use crate::ids::Did;
use crate::jobs::Reason;
use crate::workflows::data_url::Value;
use crate::workflows::ddo::Ddo;
use crate::workflows::document::{BadDocument, Document};
use crate::workflows::policy;
use crate::workflows::registration::{Choice, Registered, choice, value_of};
use crate::workflows::spec::JobSpec;
use crate::workflows::want::{Checksum, Finding, Found, Subject, Want};

pub(super) fn decide(question: &Resolution<'_>, found: &Found) -> Result<Frozen, Stop> {
    let asset = question
        .catalog
        .find(question.did)
        .ok_or_else(|| Refusal::of(Reason::NotOurAsset))?;
    if !asset.enabled {
        return Err(Refusal::of(Reason::AssetDisabled).into());
    }
    let asked = Asked {
        question,
        found,
        asset,
    };
    match choice(question) {
        Choice::Taken => Err(Refusal::of(Reason::WorkflowDidTaken).into()),
        Choice::Value(said) => consumers(&asked, &said).map_err(|stop| stop.resting_on(said.log)),
        Choice::Nothing => publishers(&asked),
    }
}

/// What the consumer registered.
fn consumers(asked: &Asked<'_>, said: &Registered<'_>) -> Result<Frozen, Stop> {
    let body = match Value::read(said.value) {
        Value::Inline(body) => body,
        Value::Address(address) => {
            let want = Want::Bytes {
                of: Subject::Workflow,
                addresses: vec![address.url],
                expected: Some(Checksum::Keccak256(said.checksum)),
                trusted: false,
            };
            bytes(asked.found, want)?.to_vec()
        }
        Value::Elsewhere => {
            return Err(Refusal::invalid(
                "The registered value is neither an inline document (data:application/json,…) nor the address of one (https://… or ipfs://…).",
            )
            .into());
        }
        Value::Malformed(problem) => {
            let sentence = format!("The registered data: URL cannot be read: {problem}.");
            return Err(Refusal::invalid(&sentence).into());
        }
    };
    let document = Document::parse(&body).map_err(|error| Refusal::invalid(&error.to_string()))?;
    let agreement = asked.question.agreement;
    let is_own = said.did.0 == agreement.0;
    if document
        .agreement
        .map_or(!is_own, |named| named != agreement)
    {
        let sentence = if document.agreement.is_some() {
            "The document names another agreement."
        } else {
            "The document is registered under another DID than the agreement's id and names no agreement (agreementId)."
        };
        return Err(Refusal::invalid(sentence).into());
    }
    let (spec, mut registrations) = freeze(asked, &document, Source::Consumer)?;
    registrations.insert(0, said.log);
    Ok(Frozen {
        spec,
        source: Source::Consumer,
        document: Some(body),
        registrations,
    })
}

/// What the publisher named: in the asset's DDO, or else in the catalog.
fn publishers(asked: &Asked<'_>) -> Result<Frozen, Stop> {
    if let Some(had) = asset_ddo(asked)? {
        let frozen = by_ddo(asked, &had).map_err(|stop| stop.resting_on(had.log))?;
        if let Some(frozen) = frozen {
            return Ok(frozen);
        }
    }
    let document = asked
        .asset
        .workflow
        .as_ref()
        .ok_or_else(|| Refusal::of(Reason::NoAlgorithm))?;
    let (spec, registrations) = freeze(asked, document, Source::Catalog)?;
    Ok(Frozen {
        spec,
        source: Source::Catalog,
        document: None,
        registrations,
    })
}

/// A DDO as it was had.
struct Had {
    body: Vec<u8>,
    log: i64,
    ddo: Ddo,
}

/// The asset's DDO, where it counts: when it stands in the registry itself, when it lies at an origin that the publisher trusts,
/// or when the catalog names no workflow and the registry has its checksum. A publisher whose catalog names the workflow does not
/// need a DDO, and jobs must not wait for one that may be long gone.
fn asset_ddo(asked: &Asked<'_>) -> Result<Option<Had>, Stop> {
    let did = asked.question.did;
    let events = registrations(asked.found, did)?;
    let Some(said) = value_of(asked.question, did, events) else {
        return Ok(None);
    };
    let body = match Value::read(said.value) {
        // Assets may hold anything there; what is no DDO names nothing.
        Value::Inline(body) => {
            let ddo = Ddo::parse(&body).ok().filter(|ddo| is_of(ddo, did, false));
            let log = said.log;
            return Ok(ddo.map(|ddo| Had { body, log, ddo }));
        }
        Value::Address(address) => {
            let trusted = asked.question.catalog.trusts_origin_of(&address.url);
            let is_needed = asked.asset.workflow.is_none() && said.checksum != B256::ZERO;
            if !trusted && !is_needed {
                return Ok(None);
            }
            let want = Want::Bytes {
                of: Subject::Asset,
                addresses: vec![address.url],
                expected: (!trusted).then_some(Checksum::Keccak256(said.checksum)),
                trusted,
            };
            bytes(asked.found, want).map_err(|stop| stop.resting_on(said.log))?
        }
        Value::Elsewhere | Value::Malformed(_) => return Ok(None),
    };
    let ddo = ddo_of(body, did, Subject::Asset).map_err(|refusal| refusal.resting_on(said.log))?;
    Ok(Some(Had {
        body: body.to_vec(),
        log: said.log,
        ddo,
    }))
}

fn by_ddo(asked: &Asked<'_>, had: &Had) -> Result<Option<Frozen>, Stop> {
    let invalid = |error: BadDocument| Refusal::invalid(&error.to_string());
    let (document, source) = if had.ddo.is_workflow() {
        let document = Document::parse(&had.body).map_err(invalid)?;
        (document, Source::Asset)
    } else {
        match had.ddo.service_choice().map_err(invalid)? {
            Some(transformation) => (Document::of(transformation), Source::Service),
            None => return Ok(None),
        }
    };
    let (spec, mut registrations) = freeze(asked, &document, source)?;
    registrations.insert(0, had.log);
    Ok(Some(Frozen {
        spec,
        source,
        document: Some(had.body.clone()),
        registrations,
    }))
}

/// The specification, and the logs of further registrations that it rests on.
fn freeze(
    asked: &Asked<'_>,
    document: &Document,
    source: Source,
) -> Result<(JobSpec, Vec<i64>), Stop> {
    let Asked {
        question, asset, ..
    } = asked;
    policy::inputs(document, question.did)?;
    policy::network(document, asset)?;
    let resources = policy::resources(&document.requirements, &asset.ceilings)?;
    let (algorithm, registration) = algorithm::decide(asked, &document.transformation, source)?;
    let spec = JobSpec {
        version: 1,
        agreement: question.agreement,
        did: question.did,
        consumer: question.consumer,
        release: policy::release(&asset.release, algorithm.vetted),
        filter: asset.filter.clone(),
        algorithm,
        inputs: asset.files.clone(),
        resources,
        allow_network: asset.allow_network_access,
    };
    Ok((spec, registration.into_iter().collect()))
}

/// The registry's events about a DID.
pub(super) fn registrations(found: &Found, did: Did) -> Result<&[Recorded], Stop> {
    found
        .registrations(did)
        .ok_or(Stop::Wants(Want::Registrations { did }))
}

/// The bytes that were wanted.
pub(super) fn bytes(found: &Found, want: Want) -> Result<&[u8], Stop> {
    let of = match &want {
        Want::Bytes { of, .. } => *of,
        Want::Registrations { .. } | Want::Image { .. } => Subject::Workflow,
    };
    match found.get(&want) {
        Some(Finding::Bytes(body)) => Ok(body),
        Some(Finding::Wrong(sentence)) => Err(Refusal::invalid(sentence).into()),
        Some(Finding::TooLarge) => {
            let (words, limit) = (of.words(), of.limit() / 1024);
            let sentence = format!("The {words} is larger than {limit} KiB.");
            Err(Refusal::new(of.too_large(), &sentence).into())
        }
        Some(Finding::Unavailable) => {
            let sentence = format!("The {} could not be had in time.", of.words());
            Err(Refusal::new(Reason::DocumentUnavailable, &sentence).into())
        }
        Some(Finding::Image(_) | Finding::Unknown) | None => Err(Stop::Wants(want)),
    }
}

/// A fetched DDO, if it is of that DID.
pub(super) fn ddo_of(body: &[u8], did: Did, of: Subject) -> Result<Ddo, Refusal> {
    let words = of.words();
    let ddo = Ddo::parse(body)
        .map_err(|error| Refusal::invalid(&format!("The {words} cannot be read: {error}")))?;
    if !is_of(&ddo, did, true) {
        return Err(Refusal::invalid(&format!(
            "The {words} does not have the id {did}."
        )));
    }
    Ok(ddo)
}

/// A DDO that was fetched says whose it is; one in the registry stands under its DID already.
fn is_of(ddo: &Ddo, did: Did, must_say: bool) -> bool {
    ddo.id.map_or(!must_say, |id| id == did)
}
