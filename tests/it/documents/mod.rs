//! The real fetcher against servers that mean harm: every case is refused in bounded time and memory, and says what was wrong.

mod hostile;
mod registry;
mod resolving;

use alloy::primitives::{B256, keccak256};
use tidewatch::documents::{Documents, Error};
use tidewatch::workflows::{Checksum, Finding, Subject, Want};

/// Wanting a workflow document at an address.
fn document(address: &str, keccak: B256) -> Want {
    Want::Bytes {
        of: Subject::Workflow,
        addresses: vec![address.to_owned()],
        expected: Some(Checksum::Keccak256(keccak)),
        trusted: false,
    }
}

/// The sentence for what is at an address, when it is wrong for good.
async fn wrong(documents: &Documents, address: &str) -> String {
    match documents.find(&document(address, keccak256("right"))).await {
        Ok(Finding::Wrong(sentence)) => sentence,
        other => panic!("{address}: {other:?}"),
    }
}

/// The error for what cannot be had at an address now.
async fn absent(documents: &Documents, address: &str) -> Error {
    match documents.find(&document(address, keccak256("right"))).await {
        Err(error) => error,
        Ok(finding) => panic!("{address}: {finding:?}"),
    }
}
