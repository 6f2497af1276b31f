//! Which workflow a job runs: document, catalog and policy in, a frozen specification or a refusal out. Pure.
//!
//! It refuses to know where documents come from and where specifications go: no network, no files, no ledger.
//!
//! Layout:
//! - `catalog/`: the publisher's file: assets, prices, ceilings, what may come out;
//! - `document.rs`: a workflow document as OEP-12 shapes it, read strictly (`json.rs`);
//! - `data_url.rs`: documents that stand inline in the DIDRegistry;
//! - `registration.rs`: what the consumer said on chain, and who took the agreement's id first;
//! - `policy.rs`: what the publisher lets run (`image.rs`, `quantity.rs`);
//! - `resolve.rs`: all of it together;
//! - `spec.rs`: the frozen result.
//!
//! Invariants:
//! - a job either has exactly one workflow, by a fixed order of sources, or is refused with a reason; nothing is guessed;
//! - whatever the source, the policy decides: a stranger's document never widens what the catalog allows;
//! - sentences in refusals are ours: a stranger's words never stand in them.

mod catalog;
mod data_url;
mod document;
mod image;
mod json;
mod policy;
mod quantity;
mod registration;
mod resolve;
mod spec;

pub use catalog::{Asset, BadCatalog, Catalog, Ceilings, ReleasePolicy};
pub use data_url::{LONGEST_VALUE, Value};
pub use document::{
    BadDocument, Document, GivenAlgorithm, LARGEST_DOCUMENT, Requirements, Transformation,
};
pub use image::{BadImage, ImageReference, ImageRule};
pub use quantity::{BadQuantity, Quantity};
pub use registration::named_agreement;
pub use resolve::{Frozen, Refusal, Resolution, Source, resolve};
pub use spec::{AlgorithmSpec, InputSpec, JobSpec, Release, ReleaseRule, Resources};
