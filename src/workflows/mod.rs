//! Which workflow a job runs: document, catalog and policy in, a frozen specification or a refusal out. Pure.
//!
//! It refuses to know where documents come from and where specifications go: no network, no files, no ledger.
//!
//! Layout:
//! - `catalog/`: the publisher's file: assets, prices, ceilings, what may come out;
//! - `document/`: a workflow document as OEP-12 shapes it, read strictly (`json.rs`); `ddo/`: a DDO of an asset or an algorithm;
//! - `data_url.rs`: what a value in the DIDRegistry holds: a document, or where one lies;
//! - `registration.rs`: what the consumer said on chain, and who took the agreement's id first;
//! - `policy.rs`: what the publisher lets run (`trust.rs`, `image.rs`, `quantity.rs`);
//! - `resolve/`: all of it together; `want.rs`: what it lacks, and what was found;
//! - `spec.rs`: the frozen result; `code.rs`: the algorithm's bytes in it.
//!
//! Invariants:
//! - a job either has exactly one workflow, by a fixed order of sources, or is refused with a reason; nothing is guessed;
//! - whatever the source, the policy decides: a stranger's document never widens what the catalog allows;
//! - sentences in refusals are ours: a stranger's words never stand in them.

mod catalog;
mod code;
mod data_url;
mod ddo;
mod document;
mod image;
mod json;
mod policy;
mod quantity;
mod registration;
mod resolve;
mod spec;
mod trust;
mod want;

pub use catalog::{Asset, BadCatalog, Catalog, Ceilings, ReleasePolicy};
pub use code::{Code, LARGEST_CODE};
pub use data_url::{Address, LONGEST_VALUE, Value};
pub use document::{
    BadDocument, Document, GivenAlgorithm, LARGEST_DOCUMENT, Requirements, Transformation,
};
pub use image::{BadImage, ImageReference, ImageRule};
pub use quantity::{BadQuantity, Quantity};
pub use registration::named_agreement;
pub use resolve::{Conclusion, Frozen, Refusal, Resolution, Source, resolve};
pub use spec::{AlgorithmSpec, FilterSpec, InputSpec, JobSpec, Release, ReleaseRule, Resources};
pub use trust::{Made, TrustedAlgorithm};
pub use want::{Checksum, Finding, Found, ImageFacts, Subject, Want};

use crate::jobs::Reason;

/// Every reason for which an admitted job can be refused; beside these [`resolve()`] knows admission's `not_our_asset`, for a catalog
/// that lost the asset in between.
pub const REASONS: &[Reason] = &[
    Reason::NoAlgorithm,
    Reason::WorkflowDidTaken,
    Reason::DocumentInvalid,
    Reason::DocumentUnavailable,
    Reason::ForeignInput,
    Reason::AssetDisabled,
    Reason::RawAlgorithmNotAllowed,
    Reason::AlgorithmNotTrusted,
    Reason::AlgorithmTooLarge,
    Reason::ImageNotAllowed,
    Reason::DigestMissing,
    Reason::ResourcesExceeded,
    Reason::NetworkNotAllowed,
];
