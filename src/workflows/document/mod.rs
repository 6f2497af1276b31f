//! Reads a workflow document, whoever wrote it: OEP-12's shape in, what decides a run out.
//!
//! It is strict about what could be understood in two ways (repeated keys, a tag that stands twice and differs, an algorithm with
//! two names) and lenient about what says nothing here: real documents carry members of their authors' own. Its errors never
//! repeat the document's words, since they are shown to people who are not parties.

mod raw;

use raw::{RawCompute, RawDocument, RawRequirements, RawStage};
pub(super) use raw::{RawContainer, RawTransformation};

use crate::ids::{AgreementId, Did};
use crate::workflows::code::Code;
use crate::workflows::image::ImageReference;
use crate::workflows::json;
use crate::workflows::quantity::Quantity;

/// Largest document that is read, in bytes.
pub const LARGEST_DOCUMENT: usize = 512 * 1024;

/// A workflow document (OEP-12) as far as it decides what runs.
///
/// Members that OEP-12 has and this service has no use for (`output`, `stageType`, …) are not looked at. Nothing here is
/// checked against any policy yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The agreement that the document says it is for.
    pub agreement: Option<AgreementId>,
    /// The assets its one stage reads, as named; empty when it names none.
    pub inputs: Vec<Did>,
    /// What runs.
    pub transformation: Transformation,
    /// What it asks for.
    pub requirements: Requirements,
}

/// What a stage runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transformation {
    /// An algorithm that has a DID of its own.
    Named(Did),
    /// Code and container, given by the document itself.
    Given(GivenAlgorithm),
}

/// An algorithm that the document itself brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenAlgorithm {
    /// The code; absent when the image holds it.
    pub code: Option<Code>,
    /// The container's image.
    pub image: ImageReference,
    /// Command line in which `$ALGO` is the code's path.
    pub entrypoint: String,
}

/// What a document asks for; what it leaves out is the publisher's to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    /// Cores.
    pub cpu: Option<Quantity>,
    /// Bytes of memory.
    pub memory: Option<Quantity>,
    /// Bytes of disk.
    pub disk: Option<Quantity>,
    /// Graphics processors.
    pub gpu: Option<Quantity>,
    /// Seconds (`maxExecutionSeconds`, OEP-12's `maxExecutionTime` or `maxtime`).
    pub max_execution_seconds: Option<u32>,
    /// Whether it asks for the network.
    pub network: bool,
}

impl Document {
    /// A document that says no more than what runs.
    pub(super) fn of(transformation: Transformation) -> Self {
        Self {
            agreement: None,
            inputs: Vec::new(),
            transformation,
            requirements: Requirements::default(),
        }
    }

    /// Reads a document: `{"main": …}`, or a whole DDO with a metadata service whose `attributes.main` is that.
    ///
    /// # Errors
    /// [`BadDocument`]. Its sentence is ours: a stranger's words never stand in it.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadDocument> {
        if bytes.len() > LARGEST_DOCUMENT {
            return Err(BadDocument::TooLarge);
        }
        json::check(bytes).map_err(BadDocument::not_json)?;
        let raw: RawDocument = serde_json::from_slice(bytes).map_err(BadDocument::wrong_form)?;
        let (main, agreement) = raw.main()?;
        if main.kind != "workflow" {
            return Err(BadDocument::Lacks("a main.type that is \"workflow\""));
        }
        let [stage]: [RawStage; 1] = main
            .workflow
            .ok_or(BadDocument::Lacks("main.workflow"))?
            .stages
            .try_into()
            .map_err(|_| BadDocument::Lacks("exactly one stage"))?;
        Ok(Self {
            agreement,
            transformation: stage
                .transformation
                .ok_or(BadDocument::Lacks("a transformation"))?
                .read()?,
            requirements: requirements(stage.requirements, stage.compute)?,
            inputs: stage.input.into_iter().map(|input| input.id).collect(),
        })
    }
}

fn requirements(asked: RawRequirements, compute: RawCompute) -> Result<Requirements, BadDocument> {
    let limits = [
        asked.max_execution_seconds,
        asked.max_execution_time,
        asked.maxtime,
        compute.maxtime,
    ];
    let mut named = limits.into_iter().flatten();
    let max_execution_seconds = named.next();
    if named.any(|other| Some(other) != max_execution_seconds) {
        return Err(BadDocument::Contradicts("the time it may run"));
    }
    if max_execution_seconds == Some(0) {
        return Err(BadDocument::Lacks("a time to run of at least a second"));
    }
    let some = [&asked.cpu, &asked.memory, &asked.disk];
    if some.into_iter().flatten().any(Quantity::is_zero) {
        return Err(BadDocument::Lacks("requirements above zero"));
    }
    Ok(Requirements {
        cpu: asked.cpu,
        memory: asked.memory,
        disk: asked.disk,
        gpu: asked.gpu,
        max_execution_seconds,
        network: asked.allow_network_access,
    })
}

/// Why a document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDocument {
    /// It is too large.
    #[error("The document is larger than 512 KiB.")]
    TooLarge,
    /// It is not JSON that everybody reads alike.
    #[error("The document is not JSON without repeated keys: see line {line}, column {column}.")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// It is JSON of another form.
    #[error("The document is not a workflow: see line {line}, column {column}.")]
    WrongForm {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// Something is missing.
    #[error("The document lacks {0}.")]
    Lacks(&'static str),
    /// It says one thing twice, differently.
    #[error("The document contradicts itself about {0}.")]
    Contradicts(&'static str),
    /// Something in it is malformed.
    #[error("The document's {0} is malformed.")]
    Malformed(&'static str),
}

impl BadDocument {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the shape that map_err takes"
    )]
    pub(super) fn not_json(error: serde_json::Error) -> Self {
        Self::NotJson {
            line: error.line(),
            column: error.column(),
        }
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "the shape that map_err takes"
    )]
    pub(super) fn wrong_form(error: serde_json::Error) -> Self {
        Self::WrongForm {
            line: error.line(),
            column: error.column(),
        }
    }
}

#[cfg(test)]
mod tests;
