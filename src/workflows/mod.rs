//! Which workflow a job runs: document, catalog and policy in, a frozen specification or a refusal out. Pure.

mod spec;

pub use spec::{AlgorithmSpec, InputSpec, JobSpec, Release, ReleaseRule, Resources};
