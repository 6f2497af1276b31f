//! Reads a DDO (OEP-7) as far as it decides what runs: whether it is a workflow, what an algorithm (OEP-8) is made of, and which
//! algorithm a compute service (OEP-12) names.
//!
//! A DDO's `proof` is not looked at: its standard leaves open over which bytes the signature goes. What binds a DDO is the
//! checksum that its owner registered on chain, or the publisher's trust in where it was had.

use serde::Deserialize;

use super::code::Code;
use super::document::{
    BadDocument, GivenAlgorithm, LARGEST_DOCUMENT, RawContainer, RawTransformation, Transformation,
};
use super::image::is_digest;
use super::json;
use super::want::Checksum;
use crate::ids::Did;

/// A DDO.
#[derive(Debug)]
pub(super) struct Ddo {
    /// The asset it says it is of.
    pub(super) id: Option<Did>,
    main: Option<RawMain>,
    compute: Option<RawComputeMain>,
}

/// An algorithm as its DDO has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamedAlgorithm {
    /// Container, command line, and code when the DDO itself holds it.
    pub(super) given: GivenAlgorithm,
    /// Where its code is, when it is elsewhere.
    pub(super) file: Option<AlgorithmFile>,
}

/// An algorithm's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AlgorithmFile {
    /// Where it is.
    pub(super) url: String,
    /// What it must hash to; absent too when it is of a kind that proves nothing (MD5).
    pub(super) checksum: Option<Checksum>,
}

impl Ddo {
    /// Reads a DDO, or a bare `{"main": …}` as workflow documents have it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BadDocument> {
        if bytes.len() > LARGEST_DOCUMENT {
            return Err(BadDocument::TooLarge);
        }
        json::check(bytes).map_err(BadDocument::not_json)?;
        let raw: RawDdo = serde_json::from_slice(bytes).map_err(BadDocument::wrong_form)?;
        let attributes = |kind: &str| {
            let mut of_kind = raw.service.iter().filter(|service| service.kind == kind);
            of_kind.next()?.attributes.as_ref()?.get("main").cloned()
        };
        let main = raw.main.clone().or_else(|| attributes("metadata"));
        let read = |main| serde_json::from_value(main).map_err(BadDocument::wrong_form);
        let compute = attributes("compute").map(serde_json::from_value);
        Ok(Self {
            id: raw.id,
            main: main.map(read).transpose()?,
            compute: compute.transpose().map_err(BadDocument::wrong_form)?,
        })
    }

    /// Whether the asset is itself a workflow (`main.type`).
    pub(super) fn is_workflow(&self) -> bool {
        self.main
            .as_ref()
            .is_some_and(|main| main.kind == "workflow")
    }

    /// What the compute service says is to run: the algorithm it names, else the only one it trusts.
    pub(super) fn service_choice(&self) -> Result<Option<Transformation>, BadDocument> {
        let Some(compute) = &self.compute else {
            return Ok(None);
        };
        if let Some(algorithm) = &compute.algorithm {
            return algorithm.clone().read().map(Some);
        }
        Ok(match compute.privacy.trusted_algorithms.as_slice() {
            [RawTrusted::Did(did) | RawTrusted::Entry { did }] => Some(Transformation::Named(*did)),
            _ => None,
        })
    }

    /// What the algorithm is made of.
    pub(super) fn algorithm(self) -> Result<NamedAlgorithm, BadDocument> {
        let main = self
            .main
            .ok_or(BadDocument::Lacks("main, and a metadata service"))?;
        if main.kind != "algorithm" {
            return Err(BadDocument::Lacks("a main.type that is \"algorithm\""));
        }
        let algorithm = main.algorithm.ok_or(BadDocument::Lacks("main.algorithm"))?;
        let container = algorithm.container.ok_or(BadDocument::Lacks(
            "the algorithm's container (main.algorithm.container)",
        ))?;
        let file = file(main.files, main.encrypted_files.is_some())?;
        if file.is_some() && algorithm.rawcode.is_some() {
            return Err(BadDocument::Contradicts("the algorithm's code"));
        }
        let code = algorithm.rawcode.map(|code| Code::new(code.into_bytes()));
        Ok(NamedAlgorithm {
            given: container.read(code)?,
            file,
        })
    }
}

fn file(files: Vec<RawFile>, encrypted: bool) -> Result<Option<AlgorithmFile>, BadDocument> {
    let file = match <[RawFile; 1]>::try_from(files) {
        Ok([file]) => file,
        Err(files) if files.is_empty() && !encrypted => return Ok(None),
        Err(files) if files.is_empty() => return Err(BadDocument::Lacks(NO_ADDRESS)),
        Err(_) => return Err(BadDocument::Lacks("exactly one file of the algorithm")),
    };
    let url = file
        .url
        .filter(|url| !url.is_empty())
        .ok_or(BadDocument::Lacks(NO_ADDRESS))?;
    Ok(Some(AlgorithmFile {
        url,
        checksum: checksum(file.checksum.as_deref(), file.checksum_type.as_deref())?,
    }))
}

/// OEP-8 leaves the kind of checksum to its author and names it beside it; only kinds that cannot be forged count.
fn checksum(text: Option<&str>, kind: Option<&str>) -> Result<Option<Checksum>, BadDocument> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    if is_digest(text) {
        return Ok(text["sha256:".len()..].parse().ok().map(Checksum::Sha256));
    }
    let kind: String = kind
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let make = match kind.to_ascii_lowercase().as_str() {
        "sha256" => Checksum::Sha256,
        "keccak256" => Checksum::Keccak256,
        _ => return Ok(None),
    };
    text.parse()
        .map(|hash| Some(make(hash)))
        .map_err(|_| BadDocument::Malformed("file checksum"))
}

const NO_ADDRESS: &str = "an address of the algorithm's file: encrypted files cannot be read here";

#[derive(Deserialize)]
struct RawDdo {
    id: Option<Did>,
    main: Option<serde_json::Value>,
    #[serde(default, alias = "services")]
    service: Vec<RawService>,
}

#[derive(Deserialize)]
struct RawService {
    #[serde(rename = "type", default)]
    kind: String,
    attributes: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMain {
    #[serde(rename = "type", default)]
    kind: String,
    algorithm: Option<RawAlgorithm>,
    #[serde(default)]
    files: Vec<RawFile>,
    encrypted_files: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct RawAlgorithm {
    rawcode: Option<String>,
    container: Option<RawContainer>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawFile {
    url: Option<String>,
    checksum: Option<String>,
    checksum_type: Option<String>,
}

#[derive(Debug, Deserialize)]
struct RawComputeMain {
    algorithm: Option<RawTransformation>,
    #[serde(default)]
    privacy: RawPrivacy,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPrivacy {
    #[serde(default)]
    trusted_algorithms: Vec<RawTrusted>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RawTrusted {
    Did(Did),
    Entry { did: Did },
}

#[cfg(test)]
mod tests;
