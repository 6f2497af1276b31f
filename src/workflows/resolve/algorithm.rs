//! The algorithm of a workflow: given by the document, or named by a DID whose DDO and file are had first; then its image.

use alloy::primitives::B256;

use super::sources::{bytes, ddo_of, registrations};
use super::{Refusal, Resolution, Source, Stop};
use crate::ids::Did;
use crate::jobs::Reason;
use crate::workflows::catalog::Asset;
use crate::workflows::code::Code;
use crate::workflows::data_url::Value;
use crate::workflows::ddo::AlgorithmFile;
use crate::workflows::document::{BadDocument, GivenAlgorithm, Transformation};
use crate::workflows::image::ImageReference;
use crate::workflows::policy;
use crate::workflows::registration::value_of;
use crate::workflows::spec::AlgorithmSpec;
use crate::workflows::trust::Made;
use crate::workflows::want::{Checksum, Finding, Found, Subject, Want};

/// Where a metadata service of Ocean's (Aquarius) keeps DDOs, below its origin.
const AQUARIUS: &str = "/api/v1/aquarius/assets/ddo/";

/// A question with all that answers it.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) question: &'a Resolution<'a>,
    pub(super) found: &'a Found,
    pub(super) asset: &'a Asset,
}

/// What runs, if the publisher lets it, and the log of the algorithm's registration when it has a DID in the registry.
///
/// Everything that can be refused without looking further is, before anything is fetched.
pub(super) fn decide(
    asked: &Asked<'_>,
    transformation: &Transformation,
    source: Source,
) -> Result<(AlgorithmSpec, Option<i64>), Stop> {
    let (did, given, registration) = match transformation {
        Transformation::Given(given) => {
            policy::may_be_raw(asked.asset, source)?;
            policy::container(given, asked.asset)?;
            (None, given.clone(), None)
        }
        Transformation::Named(did) => {
            policy::may_be_named(*did, asked.asset, source)?;
            let (given, log) = named(asked, *did)?;
            (Some(*did), given, log)
        }
    };
    let digest = digest(asked, &given.image, source)?;
    let asked_for = given.image.digest.as_deref();
    let digests: Vec<&str> = asked_for.into_iter().chain([digest.as_str()]).collect();
    let made = Made {
        did,
        code: given.code.as_ref(),
        digests: &digests,
        entrypoint: &given.entrypoint,
    };
    let vetted = policy::is_vetted(&made, asked.asset, source)?;
    let spec = AlgorithmSpec {
        did,
        image: given.image.name,
        tag: given.image.tag,
        digest,
        entrypoint: given.entrypoint,
        code: given.code,
        vetted,
    };
    Ok((spec, registration))
}

/// An algorithm with a DID of its own: its DDO, then its file.
fn named(asked: &Asked<'_>, did: Did) -> Result<(GivenAlgorithm, Option<i64>), Stop> {
    let (body, log) = algorithm_ddo(asked, did)?;
    let resting = |stop: Stop| match log {
        Some(log) => stop.resting_on(log),
        None => stop,
    };
    let read = || {
        let invalid = |error: BadDocument| {
            Refusal::invalid(&format!("The algorithm's DDO cannot be used: {error}"))
        };
        let ddo = ddo_of(&body, did, Subject::Algorithm)?;
        let algorithm = ddo.algorithm().map_err(invalid)?;
        policy::container(&algorithm.given, asked.asset)?;
        let mut given = algorithm.given;
        if let Some(file) = algorithm.file {
            given.code = Some(code(asked, did, file)?);
        }
        Ok(given)
    };
    Ok((read().map_err(resting)?, log))
}

/// The algorithm's DDO: what its owner registered, else what a metadata service of the publisher's trust has.
fn algorithm_ddo(asked: &Asked<'_>, did: Did) -> Result<(Vec<u8>, Option<i64>), Stop> {
    let events = registrations(asked.found, did)?;
    let catalog = asked.question.catalog;
    let said = value_of(asked.question, did, events);
    let want = |addresses, expected: Option<Checksum>| Want::Bytes {
        of: Subject::Algorithm,
        addresses,
        trusted: expected.is_none(),
        expected,
    };
    if let Some(said) = said {
        match Value::read(said.value) {
            Value::Inline(body) => return Ok((body, Some(said.log))),
            Value::Address(address) => {
                let trusted = catalog.trusts_origin_of(&address.url);
                if trusted || said.checksum != B256::ZERO {
                    let checksum = Checksum::Keccak256(said.checksum);
                    let want = want(vec![address.url], (!trusted).then_some(checksum));
                    let body =
                        bytes(asked.found, want).map_err(|stop| stop.resting_on(said.log))?;
                    return Ok((body.to_vec(), Some(said.log)));
                }
            }
            Value::Elsewhere | Value::Malformed(_) => {}
        }
    }
    let addresses: Vec<_> = catalog
        .document_origins()
        .map(|origin| format!("{origin}{AQUARIUS}{did}"))
        .collect();
    if addresses.is_empty() {
        return Err(Refusal::new(
            Reason::DocumentUnavailable,
            "The algorithm's DDO is nowhere to be had: the followed registry has neither it nor an address with a checksum, and the publisher names no metadata service.",
        )
        .into());
    }
    let body = bytes(asked.found, want(addresses, None))?;
    Ok((body.to_vec(), said.map(|said| said.log)))
}

/// The algorithm's file. Its bytes are bound by the DDO, or else by the publisher's own word about this algorithm.
fn code(asked: &Asked<'_>, did: Did, file: AlgorithmFile) -> Result<Code, Stop> {
    let mut trusted = asked.asset.trusted_algorithms.iter();
    let pinned = trusted.find_map(|entry| entry.file.filter(|_| entry.did == Some(did)));
    let expected = file.checksum.or_else(|| pinned.map(Checksum::Sha256)).ok_or_else(|| {
        Refusal::invalid(
            "The algorithm's file has no SHA-256 or Keccak-256 checksum in its DDO, and the publisher gives none.",
        )
    })?;
    let want = Want::Bytes {
        of: Subject::Code,
        addresses: vec![file.url],
        expected: Some(expected),
        trusted: false,
    };
    Ok(Code::new(bytes(asked.found, want)?.to_vec()))
}

/// The digest that runs. A tag means what the registry says now, once; an image that is pinned runs as it is pinned, but for an
/// index, which stands for one image on each platform.
fn digest(asked: &Asked<'_>, image: &ImageReference, source: Source) -> Result<String, Stop> {
    if let (Source::Catalog, Some(digest)) = (source, &image.digest) {
        return Ok(digest.clone());
    }
    let want = Want::Image {
        name: image.name.clone(),
        tag: image.tag.clone(),
        digest: image.digest.clone(),
    };
    match (asked.found.get(&want), &image.digest) {
        (Some(Finding::Image(facts)), _) => {
            policy::volumes(image, facts)?;
            Ok(facts.digest.clone())
        }
        (Some(Finding::Unknown), Some(digest)) => Ok(digest.clone()),
        (Some(Finding::Wrong(sentence)), _) => {
            Err(Refusal::new(Reason::DigestMissing, sentence).into())
        }
        (Some(Finding::Unavailable), _) => Err(Refusal::new(
            Reason::DocumentUnavailable,
            "The registry could not be asked in time for the digest of the image's tag.",
        )
        .into()),
        (Some(Finding::Bytes(_) | Finding::TooLarge | Finding::Unknown) | None, _) => {
            Err(Stop::Wants(want))
        }
    }
}
