//! What the publisher lets run, and with how much: each rule answers for itself, and `resolve/` asks them in its order. Silence in the
//! catalog is a refusal.

use crate::ids::Did;
use crate::jobs::Reason;
use crate::workflows::catalog::{Asset, Ceilings, ReleasePolicy};
use crate::workflows::code::LARGEST_CODE;
use crate::workflows::document::{Document, GivenAlgorithm, Requirements};
use crate::workflows::image::ImageReference;
use crate::workflows::quantity::Quantity;
use crate::workflows::resolve::{Refusal, Source};
use crate::workflows::spec::{Release, ReleaseRule, Resources};
use crate::workflows::trust::Made;
use crate::workflows::want::ImageFacts;

/// Where the algorithm's pod has mounts of its own. A container runtime makes a volume, outside of every accounting, for each
/// place that an image declares as one and that is not exactly a mount.
const MOUNTS: [&str; 7] = [
    "/data/inputs",
    "/data/transformations",
    "/data/ddos",
    "/data/outputs",
    "/data/logs",
    "/data/record",
    "/tmp",
];

/// The document reads nothing but the agreement's asset.
pub(super) fn inputs(document: &Document, did: Did) -> Result<(), Refusal> {
    if document.inputs.iter().all(|input| *input == did) && document.inputs.len() <= 1 {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::ForeignInput,
        "The only input allowed is the asset that the agreement is about.",
    ))
}

/// The network is the publisher's to give, and a job that needs it must not run without it at the consumer's cost.
pub(super) fn network(document: &Document, asset: &Asset) -> Result<(), Refusal> {
    if document.requirements.network && !asset.allow_network_access {
        return Err(Refusal::of(Reason::NetworkNotAllowed));
    }
    Ok(())
}

/// Whether an algorithm with a DID may run, as far as its DID alone decides.
pub(super) fn may_be_named(did: Did, asset: &Asset, source: Source) -> Result<(), Refusal> {
    let trusted = &asset.trusted_algorithms;
    let named = trusted.iter().any(|entry| entry.did == Some(did));
    // Where anybody may bring code of their own, a published algorithm is no greater danger; elsewhere silence is no trust.
    let open = trusted.is_empty() && asset.allow_raw_algorithm;
    if source == Source::Catalog || named || open {
        return Ok(());
    }
    Err(Refusal::of(Reason::AlgorithmNotTrusted))
}

/// Whether code without a name may run, as far as its being raw decides. A container with an entrypoint is a stranger's code just
/// as raw code is: the entrypoint alone can hold a program.
pub(super) fn may_be_raw(asset: &Asset, source: Source) -> Result<(), Refusal> {
    if source != Source::Catalog && !asset.allow_raw_algorithm {
        return Err(Refusal::of(Reason::RawAlgorithmNotAllowed));
    }
    let by_hash = |asset: &Asset| asset.trusted_algorithms.iter().any(|it| it.did.is_none());
    if source != Source::Catalog && !asset.trusted_algorithms.is_empty() && !by_hash(asset) {
        return Err(Refusal::new(
            Reason::AlgorithmNotTrusted,
            "The publisher trusts named algorithms only, and raw code has no name.",
        ));
    }
    Ok(())
}

/// Whether an algorithm, known whole, is one that the publisher trusts. Answers whether it was vetted.
pub(super) fn is_vetted(made: &Made<'_>, asset: &Asset, source: Source) -> Result<bool, Refusal> {
    if source == Source::Catalog {
        return Ok(true);
    }
    if asset.trusted_algorithms.is_empty() {
        return Ok(false);
    }
    if asset.trusted_algorithms.iter().any(|entry| entry.is(made)) {
        return Ok(true);
    }
    let sentence = if made.did.is_some() {
        "The algorithm's file, image or command line is not the one that the publisher trusts."
    } else {
        "The code with its image and command line is not one that the publisher trusts."
    };
    Err(Refusal::new(Reason::AlgorithmNotTrusted, sentence))
}

/// The code is small enough to travel, and the image's name is allowed.
pub(super) fn container(given: &GivenAlgorithm, asset: &Asset) -> Result<(), Refusal> {
    let size = given.code.as_ref().map_or(0, |code| code.as_bytes().len());
    if size > LARGEST_CODE {
        return Err(Refusal::of(Reason::AlgorithmTooLarge));
    }
    let ImageReference { name, tag, digest } = &given.image;
    if !asset.images.iter().any(|rule| rule.allows(name)) {
        return Err(Refusal::new(
            Reason::ImageNotAllowed,
            &format!("The publisher does not allow the image {name}."),
        ));
    }
    if tag.is_none() && digest.is_none() {
        return Err(Refusal::of(Reason::DigestMissing));
    }
    Ok(())
}

/// The image writes nowhere but where it is accounted for.
pub(super) fn volumes(image: &ImageReference, facts: &ImageFacts) -> Result<(), Refusal> {
    let outside = |volume: &String| !MOUNTS.contains(&volume.trim_end_matches('/'));
    if facts.volumes.iter().any(outside) {
        return Err(Refusal::new(
            Reason::ImageNotAllowed,
            &format!(
                "The image {} declares a volume outside of {}.",
                image.name,
                MOUNTS.join(", ")
            ),
        ));
    }
    Ok(())
}

/// What the job gets: what it asks for, or the ceilings where it asks for nothing.
pub(super) fn resources(asked: &Requirements, ceilings: &Ceilings) -> Result<Resources, Refusal> {
    let exceeded = |what: &str, most: &dyn std::fmt::Display| {
        Refusal::new(
            Reason::ResourcesExceeded,
            &format!("The workflow asks for more {what} than the publisher's ceiling of {most}."),
        )
    };
    let within = |what: &str, asked: &Option<Quantity>, ceiling: &Quantity| match asked {
        Some(asked) if asked > ceiling => Err(exceeded(what, ceiling)),
        Some(asked) => Ok(asked.as_str().to_owned()),
        None => Ok(ceiling.as_str().to_owned()),
    };
    if asked.gpu.as_ref().is_some_and(|gpu| !gpu.is_zero()) {
        return Err(exceeded("graphics processors", &0));
    }
    let most = ceilings.max_execution_seconds;
    let seconds = asked.max_execution_seconds.unwrap_or(most);
    if seconds > most {
        return Err(exceeded("seconds", &most));
    }
    Ok(Resources {
        cpu: within("processor", &asked.cpu, &ceilings.cpu)?,
        memory: within("memory", &asked.memory, &ceilings.memory)?,
        disk: within("disk", &asked.disk, &ceilings.disk)?,
        max_execution_seconds: seconds,
    })
}

/// What may come out of this algorithm. A log can hold the input, so by default only vetted algorithms' logs leave.
pub(super) fn release(policy: &ReleasePolicy, vetted: bool) -> ReleaseRule {
    let by_trust = if vetted { Release::Raw } else { Release::None };
    ReleaseRule {
        results: policy.results,
        logs: policy.logs.unwrap_or(by_trust),
        review: policy.review,
        result_bytes: policy.result_bytes,
        result_files: policy.result_files,
        log_bytes: policy.log_bytes,
    }
}

#[cfg(test)]
mod tests;
