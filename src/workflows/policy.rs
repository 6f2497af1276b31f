use super::catalog::{Asset, Ceilings, ReleasePolicy};
use super::document::{Document, GivenAlgorithm, Requirements, Transformation};
use super::quantity::Quantity;
use super::resolve::{Refusal, Source};
use super::spec::{AlgorithmSpec, Release, ReleaseRule, Resources};
use crate::ids::Did;
use crate::jobs::Reason;

/// Largest code of an algorithm, in bytes: it travels in the per-job Secret, which Kubernetes limits to 1 MiB.
const LARGEST_CODE: usize = 512 * 1024;

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

/// The algorithm that the document asks for, if the publisher lets it run on this asset.
pub(super) fn algorithm(
    document: &Document,
    asset: &Asset,
    source: Source,
) -> Result<AlgorithmSpec, Refusal> {
    let given = match &document.transformation {
        Transformation::Given(given) => given,
        Transformation::Named(did) => return Err(named(*did, asset)),
    };
    let vetted = source == Source::Catalog;
    if !vetted {
        may_bring_code(asset)?;
    }
    if given
        .code
        .as_ref()
        .is_some_and(|code| code.len() > LARGEST_CODE)
    {
        return Err(Refusal::of(Reason::AlgorithmTooLarge));
    }
    let digest = image(given, asset)?;
    Ok(AlgorithmSpec {
        did: None,
        image: given.image.name.clone(),
        tag: given.image.tag.clone(),
        digest,
        entrypoint: given.entrypoint.clone(),
        code: given.code.clone(),
        vetted,
    })
}

/// An algorithm with a DID of its own: what that DID stands for is not fetched in this version.
fn named(did: Did, asset: &Asset) -> Refusal {
    if !asset.trusted_algorithms.is_empty() && !asset.trusted_algorithms.contains(&did) {
        return Refusal::of(Reason::AlgorithmNotTrusted);
    }
    Refusal::new(
        Reason::DocumentInvalid,
        "The workflow names its algorithm by a DID; this version only reads algorithms that stand in the workflow itself.",
    )
}

/// A container with an entrypoint is a stranger's code just as raw code is: the entrypoint alone can hold a program.
fn may_bring_code(asset: &Asset) -> Result<(), Refusal> {
    if !asset.allow_raw_algorithm {
        return Err(Refusal::of(Reason::RawAlgorithmNotAllowed));
    }
    if !asset.trusted_algorithms.is_empty() {
        return Err(Refusal::new(
            Reason::AlgorithmNotTrusted,
            "The publisher trusts named algorithms only, and raw code has no name.",
        ));
    }
    Ok(())
}

fn image(given: &GivenAlgorithm, asset: &Asset) -> Result<String, Refusal> {
    let name = &given.image.name;
    if !asset.images.iter().any(|rule| rule.allows(name)) {
        return Err(Refusal::new(
            Reason::ImageNotAllowed,
            &format!("The publisher does not allow the image {name}."),
        ));
    }
    given
        .image
        .digest
        .clone()
        .ok_or_else(|| Refusal::of(Reason::DigestMissing))
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
        review: false,
        result_bytes: policy.result_bytes,
        result_files: policy.result_files,
        log_bytes: policy.log_bytes,
    }
}
