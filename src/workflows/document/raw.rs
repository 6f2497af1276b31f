//! Documents as they are written: names and shapes only, and what is said in two places at once.

use serde::Deserialize;

use super::{BadDocument, GivenAlgorithm, Transformation};
use crate::ids::{AgreementId, Did};
use crate::workflows::code::Code;
use crate::workflows::image::{ImageReference, is_digest, is_tag};
use crate::workflows::quantity::Quantity;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::workflows) struct RawDocument {
    pub(super) main: Option<RawMain>,
    pub(super) agreement_id: Option<AgreementId>,
    #[serde(default)]
    pub(super) service: Vec<RawService>,
}

impl RawDocument {
    pub(super) fn main(self) -> Result<(RawMain, Option<AgreementId>), BadDocument> {
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
pub(in crate::workflows) struct RawService {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    /// Only the metadata service's are looked at; those of others may have any form.
    pub(super) attributes: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::workflows) struct RawAttributes {
    pub(super) main: RawMain,
    pub(super) agreement_id: Option<AgreementId>,
}

#[derive(Deserialize)]
pub(in crate::workflows) struct RawMain {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    pub(super) workflow: Option<RawWorkflow>,
}

#[derive(Deserialize)]
pub(in crate::workflows) struct RawWorkflow {
    #[serde(default)]
    pub(super) stages: Vec<RawStage>,
}

#[derive(Deserialize)]
pub(in crate::workflows) struct RawStage {
    #[serde(default)]
    pub(super) input: Vec<RawInput>,
    pub(super) transformation: Option<RawTransformation>,
    #[serde(default)]
    pub(super) requirements: RawRequirements,
    #[serde(default)]
    pub(super) compute: RawCompute,
}

#[derive(Deserialize)]
pub(in crate::workflows) struct RawInput {
    pub(super) id: Did,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(in crate::workflows) struct RawRequirements {
    pub(super) cpu: Option<Quantity>,
    pub(super) memory: Option<Quantity>,
    pub(super) disk: Option<Quantity>,
    pub(super) gpu: Option<Quantity>,
    pub(super) max_execution_seconds: Option<u32>,
    pub(super) max_execution_time: Option<u32>,
    pub(super) maxtime: Option<u32>,
    #[serde(default)]
    pub(super) allow_network_access: bool,
}

#[derive(Deserialize, Default)]
pub(in crate::workflows) struct RawCompute {
    pub(super) maxtime: Option<u32>,
}

#[derive(Clone, Debug, Deserialize)]
pub(in crate::workflows) struct RawTransformation {
    pub(super) id: Option<Did>,
    pub(super) rawcode: Option<String>,
    pub(super) container: Option<RawContainer>,
}

impl RawTransformation {
    pub(in crate::workflows) fn read(self) -> Result<Transformation, BadDocument> {
        match (self.id, self.container) {
            // A name beside code would claim for the code what only the named algorithm is.
            (Some(_), Some(_)) => Err(BadDocument::Contradicts("its algorithm")),
            (Some(_), None) if self.rawcode.is_some() => {
                Err(BadDocument::Contradicts("its algorithm"))
            }
            (Some(did), None) => Ok(Transformation::Named(did)),
            (None, Some(container)) => Ok(Transformation::Given(
                container.read(self.rawcode.map(|code| Code::new(code.into_bytes())))?,
            )),
            (None, None) => Err(BadDocument::Lacks("an algorithm's id, or its container")),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(in crate::workflows) struct RawContainer {
    pub(super) image: String,
    pub(super) tag: Option<String>,
    pub(super) checksum: Option<String>,
    pub(super) entrypoint: String,
}

impl RawContainer {
    pub(in crate::workflows) fn read(
        self,
        code: Option<Code>,
    ) -> Result<GivenAlgorithm, BadDocument> {
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
