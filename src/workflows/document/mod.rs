//! Reads a workflow document, whoever wrote it: OEP-12's shape in, what decides a run out.
//!
//! It is strict about what could be understood in two ways (repeated keys, a tag that stands twice and differs, an algorithm with
//! two names) and lenient about what says nothing here: real documents carry members of their authors' own. Its errors never
//! repeat the document's words, since they are shown to people who are not parties.

use serde::Deserialize;

use crate::ids::{AgreementId, Did};
use crate::workflows::image::{ImageReference, is_digest, is_tag};
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
    pub code: Option<String>,
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
}

impl Document {
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
    fn not_json(error: serde_json::Error) -> Self {
        Self::NotJson {
            line: error.line(),
            column: error.column(),
        }
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "the shape that map_err takes"
    )]
    fn wrong_form(error: serde_json::Error) -> Self {
        Self::WrongForm {
            line: error.line(),
            column: error.column(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDocument {
    main: Option<RawMain>,
    agreement_id: Option<AgreementId>,
    #[serde(default)]
    service: Vec<RawService>,
}

impl RawDocument {
    fn main(self) -> Result<(RawMain, Option<AgreementId>), BadDocument> {
        if let Some(main) = self.main {
            return Ok((main, self.agreement_id));
        }
        let attributes = self
            .service
            .into_iter()
            .find(|service| service.kind == "metadata")
            .and_then(|service| service.attributes)
            .ok_or(BadDocument::Lacks("main, and a metadata service"))?;
        let attributes: RawAttributes =
            serde_json::from_value(attributes).map_err(BadDocument::wrong_form)?;
        if let (Some(one), Some(other)) = (self.agreement_id, attributes.agreement_id)
            && one != other
        {
            return Err(BadDocument::Contradicts("its agreement"));
        }
        Ok((
            attributes.main,
            self.agreement_id.or(attributes.agreement_id),
        ))
    }
}

#[derive(Deserialize)]
struct RawService {
    #[serde(rename = "type", default)]
    kind: String,
    /// Only the metadata service's are looked at; those of others may have any form.
    attributes: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawAttributes {
    main: RawMain,
    agreement_id: Option<AgreementId>,
}

#[derive(Deserialize)]
struct RawMain {
    #[serde(rename = "type", default)]
    kind: String,
    workflow: Option<RawWorkflow>,
}

#[derive(Deserialize)]
struct RawWorkflow {
    #[serde(default)]
    stages: Vec<RawStage>,
}

#[derive(Deserialize)]
struct RawStage {
    #[serde(default)]
    input: Vec<RawInput>,
    transformation: Option<RawTransformation>,
    #[serde(default)]
    requirements: RawRequirements,
    #[serde(default)]
    compute: RawCompute,
}

#[derive(Deserialize)]
struct RawInput {
    id: Did,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct RawRequirements {
    cpu: Option<Quantity>,
    memory: Option<Quantity>,
    disk: Option<Quantity>,
    gpu: Option<Quantity>,
    max_execution_seconds: Option<u32>,
    max_execution_time: Option<u32>,
    maxtime: Option<u32>,
}

#[derive(Deserialize, Default)]
struct RawCompute {
    maxtime: Option<u32>,
}

#[derive(Deserialize)]
struct RawTransformation {
    id: Option<Did>,
    rawcode: Option<String>,
    container: Option<RawContainer>,
}

impl RawTransformation {
    fn read(self) -> Result<Transformation, BadDocument> {
        match (self.id, self.container) {
            // A name beside code would claim for the code what only the named algorithm is.
            (Some(_), Some(_)) => Err(BadDocument::Contradicts("its algorithm")),
            (Some(_), None) if self.rawcode.is_some() => {
                Err(BadDocument::Contradicts("its algorithm"))
            }
            (Some(did), None) => Ok(Transformation::Named(did)),
            (None, Some(container)) => Ok(Transformation::Given(container.read(self.rawcode)?)),
            (None, None) => Err(BadDocument::Lacks("an algorithm's id, or its container")),
        }
    }
}

#[derive(Deserialize)]
struct RawContainer {
    image: String,
    tag: Option<String>,
    checksum: Option<String>,
    entrypoint: String,
}

impl RawContainer {
    fn read(self, code: Option<String>) -> Result<GivenAlgorithm, BadDocument> {
        let mut image: ImageReference = self
            .image
            .parse()
            .map_err(|_| BadDocument::Malformed("image"))?;
        image.tag = agree(image.tag, self.tag, is_tag, "tag")?;
        image.digest = agree(image.digest, self.checksum, is_digest, "checksum")?;
        if self.entrypoint.trim().is_empty() || self.entrypoint.contains('\0') {
            return Err(BadDocument::Malformed("entrypoint"));
        }
        Ok(GivenAlgorithm {
            code,
            image,
            entrypoint: self.entrypoint,
        })
    }
}

/// What the image's own text and the member beside it say together. An empty member says nothing.
fn agree(
    within: Option<String>,
    beside: Option<String>,
    valid: fn(&str) -> bool,
    what: &'static str,
) -> Result<Option<String>, BadDocument> {
    let beside = beside.filter(|text| !text.is_empty());
    if beside.as_deref().is_some_and(|text| !valid(text)) {
        return Err(BadDocument::Malformed(what));
    }
    match (within, beside) {
        (Some(within), Some(beside)) if within != beside => Err(BadDocument::Contradicts(what)),
        (within, beside) => Ok(beside.or(within)),
    }
}

#[cfg(test)]
mod tests;
