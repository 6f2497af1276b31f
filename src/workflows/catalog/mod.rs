//! The publisher's catalog: which assets may be computed on, at what price, by what, and what may come out.
//!
//! `file.rs` and `trusted.rs` hold the form as it is written, this file what it means, `error.rs` what can be wrong with it. Every default and every override is decided at load, so
//! that whoever reads an [`Asset`] needs no policy beside it.
//!
//! What makes no sense is refused at load rather than ignored: a publisher who asked for a filter must not find out afterwards
//! that there was none.

mod error;
mod file;
mod trusted;

pub use error::BadCatalog;

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, U256};
use sha2::{Digest, Sha256};

use url::Url;

use super::document::Document;
use super::image::{ImageReference, ImageRule, is_digest, is_tag};
use super::quantity::Quantity;
use super::spec::{FilterSpec, InputSpec, Release};
use super::trust::TrustedAlgorithm;
use crate::ids::Did;

/// Largest catalog that is read, in bytes.
const LARGEST_CATALOG: usize = 16 * 1024 * 1024;

/// A catalog as of one version of its file.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// SHA-256 of the file: the policy version that verdicts name.
    pub sha256: B256,
    /// The file's bytes, kept in the ledger.
    pub bytes: Vec<u8>,
    /// Who may be paid; `None`: the asset's owner at the event's block.
    pub payees: Option<Vec<Address>>,
    origins: Vec<String>,
    assets: BTreeMap<Did, Asset>,
}

/// An asset that the publisher offers, with everything that decides what may run on it.
#[derive(Clone, Debug)]
pub struct Asset {
    /// Whether it is offered now.
    pub enabled: bool,
    /// Least amount that must be paid, in the token's smallest unit.
    pub minimum_price: U256,
    /// What `configure` fetches.
    pub files: Vec<InputSpec>,
    /// Images that may run.
    pub images: Vec<ImageRule>,
    /// Whether consumers may bring code and containers of their own.
    pub allow_raw_algorithm: bool,
    /// The only algorithms that may run, unless it is empty: then no named one is trusted, and raw code is where it is allowed.
    pub trusted_algorithms: Vec<TrustedAlgorithm>,
    /// Whether algorithms get the network.
    pub allow_network_access: bool,
    /// Most that a job may use; what it gets when it asks for nothing.
    pub ceilings: Ceilings,
    /// What may come out.
    pub release: ReleasePolicy,
    /// What runs when the consumer named nothing.
    pub workflow: Option<Document>,
    /// What everything that is `filtered` goes through.
    pub filter: Option<FilterSpec>,
}

/// Most that a job may use.
#[derive(Clone, Debug)]
pub struct Ceilings {
    /// Cores.
    pub cpu: Quantity,
    /// Bytes.
    pub memory: Quantity,
    /// Bytes.
    pub disk: Quantity,
    /// Seconds.
    pub max_execution_seconds: u32,
}

/// What may come out of a job, before it is known which algorithm runs.
#[derive(Clone, Debug)]
pub struct ReleasePolicy {
    /// For result files.
    pub results: Release,
    /// For the job log; `None`: raw for algorithms that the publisher vetted, nothing for others.
    pub logs: Option<Release>,
    /// Whether an operator must release everything first.
    pub review: bool,
    /// Most bytes of results.
    pub result_bytes: u64,
    /// Most result files.
    pub result_files: u32,
    /// Most bytes of log.
    pub log_bytes: u64,
}

impl Catalog {
    /// Reads a catalog (YAML 1.2, so JSON too).
    ///
    /// # Errors
    /// [`BadCatalog`], with the line where the form is wrong; the caller knows the file's name.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadCatalog> {
        if bytes.len() > LARGEST_CATALOG {
            return Err(BadCatalog::TooLarge);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| BadCatalog::NotText)?;
        let file: file::File =
            serde_saphyr::from_str(text).map_err(|error| BadCatalog::malformed(&error))?;
        if file.schema_version.is_some_and(|version| version != 1) {
            return Err(BadCatalog::invalid("schemaVersion", "this version reads 1"));
        }
        let policy = Policy::read(file.policy)?;
        let mut assets = BTreeMap::new();
        for asset in file.assets {
            let did = asset.did;
            let read = policy.asset(asset)?;
            if assets.insert(did, read).is_some() {
                return Err(BadCatalog::invalid(&did, "it stands twice"));
            }
        }
        Ok(Self {
            sha256: B256::from_slice(&Sha256::digest(bytes)),
            bytes: bytes.to_vec(),
            payees: policy.payees,
            origins: policy.origins,
            assets,
        })
    }

    /// The catalog of a publisher who has none: every asset is somebody else's.
    pub fn empty() -> Self {
        Self {
            sha256: B256::from_slice(&Sha256::digest([])),
            bytes: Vec::new(),
            payees: None,
            origins: Vec::new(),
            assets: BTreeMap::new(),
        }
    }

    /// The metadata services whose DDOs count without a checksum on chain, as origins: `https://host`, without a path.
    pub fn document_origins(&self) -> impl Iterator<Item = &str> {
        self.origins.iter().map(String::as_str)
    }

    /// Whether an address lies at one of them.
    pub fn trusts_origin_of(&self, address: &str) -> bool {
        let origin = Url::parse(address).map(|url| url.origin().ascii_serialization());
        origin.is_ok_and(|origin| self.origins.contains(&origin))
    }

    /// The asset, if the publisher lists it.
    pub fn find(&self, did: Did) -> Option<&Asset> {
        self.assets.get(&did)
    }

    /// Every listed asset, by DID.
    pub fn assets(&self) -> impl Iterator<Item = (Did, &Asset)> {
        self.assets.iter().map(|(did, asset)| (*did, asset))
    }
}

/// The part of the file that holds for every asset.
struct Policy {
    payees: Option<Vec<Address>>,
    origins: Vec<String>,
    images: Vec<ImageRule>,
    resources: file::Resources,
    release: file::ReleaseWish,
}

impl Policy {
    fn read(policy: file::Policy) -> Result<Self, BadCatalog> {
        if policy.payees.as_ref().is_some_and(Vec::is_empty) {
            return Err(BadCatalog::invalid("payees", "nobody could be paid"));
        }
        let images = policy
            .images
            .iter()
            .map(|image| image.parse().map_err(|source| BadCatalog::Image { source }));
        let origins = policy.document_origins.iter().map(|text| origin(text));
        Ok(Self {
            payees: policy.payees,
            origins: origins.collect::<Result<_, _>>()?,
            images: images.collect::<Result<_, _>>()?,
            resources: policy.resources,
            release: policy.release,
        })
    }

    fn asset(&self, asset: file::Asset) -> Result<Asset, BadCatalog> {
        let did = asset.did;
        let filter = asset
            .filter
            .map(|filter| filter_of(did, filter))
            .transpose()?;
        let files = (0_u32..).zip(asset.files);
        let workflow = asset.workflow.map(|workflow| {
            // The publisher's workflow takes the same way as a consumer's, so that both mean the same.
            let bytes = serde_json::to_vec(&workflow)
                .map_err(|_| BadCatalog::invalid(&did, "its workflow has no JSON form"))?;
            Document::parse(&bytes).map_err(|source| BadCatalog::Workflow { did, source })
        });
        Ok(Asset {
            enabled: asset.enabled.unwrap_or(true),
            minimum_price: asset.minimum_price.0,
            files: files
                .map(|(index, file)| input(did, index, file))
                .collect::<Result<_, _>>()?,
            images: self.images.clone(),
            allow_raw_algorithm: asset.privacy.allow_raw_algorithm,
            trusted_algorithms: asset
                .privacy
                .trusted_algorithms
                .into_iter()
                .map(|entry| entry.read(did))
                .collect::<Result<_, _>>()?,
            allow_network_access: asset.privacy.allow_network_access,
            ceilings: self.ceilings(asset.resources)?,
            release: self.release(did, &asset.release, filter.is_some())?,
            workflow: workflow.transpose()?,
            filter,
        })
    }

    fn ceilings(&self, own: file::Resources) -> Result<Ceilings, BadCatalog> {
        let policy = &self.resources;
        let quantity = |own: Option<Quantity>, policy: &Option<Quantity>, default: &str| {
            let found = own.or_else(|| policy.clone());
            let found = found.map_or_else(|| default.parse(), Ok);
            found
                .ok()
                .filter(|quantity| !quantity.is_zero())
                .ok_or_else(|| BadCatalog::invalid("resources", "a ceiling of nothing"))
        };
        let seconds = own.max_execution_seconds.or(policy.max_execution_seconds);
        if seconds == Some(0) {
            return Err(BadCatalog::invalid("maxExecutionSeconds", "it is zero"));
        }
        Ok(Ceilings {
            cpu: quantity(own.cpu, &policy.cpu, "1")?,
            memory: quantity(own.memory, &policy.memory, "1Gi")?,
            disk: quantity(own.disk, &policy.disk, "2Gi")?,
            max_execution_seconds: seconds.unwrap_or(3600),
        })
    }

    /// The asset's rule. A filter that nothing is said about is there for both.
    fn release(
        &self,
        did: Did,
        own: &file::ReleaseWish,
        has_filter: bool,
    ) -> Result<ReleasePolicy, BadCatalog> {
        let policy = &self.release;
        let (usual_results, usual_logs) = if has_filter {
            (Release::Filtered, file::Logs::Filtered)
        } else {
            (Release::Raw, file::Logs::Vetted)
        };
        let results = own.results.or(policy.results).unwrap_or(usual_results);
        let logs = match own.logs.or(policy.logs).unwrap_or(usual_logs) {
            file::Logs::Vetted => None,
            file::Logs::Raw => Some(Release::Raw),
            file::Logs::Filtered => Some(Release::Filtered),
            file::Logs::None => Some(Release::None),
        };
        let is_filtered = results == Release::Filtered || logs == Some(Release::Filtered);
        if is_filtered && !has_filter {
            return Err(BadCatalog::invalid(
                &did,
                "something is released filtered, but the asset has no filter",
            ));
        }
        let bytes = |own: &Option<Quantity>, policy: &Option<Quantity>, default: u64| {
            let found = own.as_ref().or(policy.as_ref());
            found.map_or(Ok(default), |quantity| {
                u64::try_from(quantity.units())
                    .map_err(|_| BadCatalog::invalid("release", "a limit beyond 64 bits"))
            })
        };
        Ok(ReleasePolicy {
            results,
            logs,
            review: own.review.or(policy.review).unwrap_or(false),
            result_bytes: bytes(&own.result_bytes, &policy.result_bytes, 1 << 30)?,
            result_files: own.result_files.or(policy.result_files).unwrap_or(1000),
            log_bytes: bytes(&own.log_bytes, &policy.log_bytes, 16 << 20)?,
        })
    }
}

/// An origin in the form in which origins are compared. What is had there counts unchecked, so the way to it must be sealed.
fn origin(text: &str) -> Result<String, BadCatalog> {
    let bad = || {
        let shown: String = text.chars().take(100).collect();
        let problem =
            format!("{shown:?} is not https://host, with nothing before or after the host");
        BadCatalog::invalid("documentOrigins", &problem)
    };
    let url = Url::parse(text).map_err(|_| bad())?;
    let bare = url.username().is_empty() && url.password().is_none() && url.path() == "/";
    if url.scheme() != "https" || !bare || url.query().is_some() || url.fragment().is_some() {
        return Err(bad());
    }
    Ok(url.origin().ascii_serialization())
}

/// The filter runs with the publisher's trust, so it is pinned like everything that runs.
fn filter_of(did: Did, filter: file::Filter) -> Result<FilterSpec, BadCatalog> {
    let image: ImageReference = filter
        .image
        .parse()
        .map_err(|_| BadCatalog::invalid(&did, "the filter's image is no image's name"))?;
    if filter.tag.as_deref().is_some_and(|tag| !is_tag(tag)) {
        return Err(BadCatalog::invalid(&did, "the filter's tag is none"));
    }
    let digest = match (image.digest, filter.checksum) {
        (Some(one), Some(other)) if one != other => {
            let problem = "the filter's image and checksum name two different digests";
            return Err(BadCatalog::invalid(&did, problem));
        }
        (digest, checksum) => digest.or(checksum).filter(|digest| is_digest(digest)),
    };
    let digest = digest.ok_or_else(|| {
        let problem =
            "the filter's image is not pinned: give checksum: sha256:… and 64 hexadecimal digits";
        BadCatalog::invalid(&did, problem)
    })?;
    Ok(FilterSpec {
        image: format!("{}@{digest}", image.name),
        entrypoint: filter.entrypoint,
    })
}

/// Where `configure` can fetch from: web servers, object stores, the IPFS gateway; a directory with the development engine only.
const SCHEMES: [&str; 7] = ["http", "https", "s3", "gs", "az", "ipfs", "file"];

/// Whether the text can be the name of a Secret: a DNS subdomain (Kubernetes, names and ids).
fn is_secret_name(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        label.bytes().all(|byte| word(byte) || byte == b'-')
            && label.bytes().next().is_some_and(word)
            && label.bytes().last().is_some_and(word)
    };
    text.len() <= 253 && text.split('.').all(label)
}

fn input(did: Did, index: u32, file: file::InputFile) -> Result<InputSpec, BadCatalog> {
    if file
        .secret
        .as_deref()
        .is_some_and(|name| !is_secret_name(name))
    {
        let problem = format!("the secret of file {index} is no name of a Kubernetes Secret");
        return Err(BadCatalog::invalid(&did, &problem));
    }
    let scheme = url::Url::parse(&file.url).map(|url| url.scheme().to_owned());
    if !scheme.is_ok_and(|scheme| SCHEMES.contains(&scheme.as_str())) {
        // The address itself is not repeated: it may carry a signature.
        let problem = format!("the url of file {index} is none of {}", SCHEMES.join(", "));
        return Err(BadCatalog::invalid(&did, &problem));
    }
    if file
        .checksum
        .as_deref()
        .is_some_and(|text| !is_digest(text))
    {
        let problem =
            format!("the checksum of file {index} is not sha256: and 64 hexadecimal digits");
        return Err(BadCatalog::invalid(&did, &problem));
    }
    Ok(InputSpec {
        index,
        url: file.url,
        checksum: file.checksum,
        content_type: file.content_type,
        secret: file.secret,
    })
}

#[cfg(test)]
mod tests;
