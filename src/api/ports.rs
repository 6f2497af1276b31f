use std::fmt::Debug;

use alloy::primitives::{Address, Bytes};
use futures::future::BoxFuture;

use crate::keeper::ContractCalls;
use crate::workflows::{Finding, Want};

/// What may be looked up outside of the ledger for somebody who asks what a purchase would get: what the publisher named itself.
/// Strangers' addresses are never looked up on a stranger's request.
pub trait Outside: Debug + Send + Sync {
    /// Looks for it; `None`: it cannot be had now. Bounded in time and bytes.
    fn find<'a>(&'a self, want: &'a Want) -> BoxFuture<'a, Option<Finding>>;
}

/// What may be asked of a node: calls of contracts on the newest state. Nothing that is answered rests on it alone: without a node,
/// or with one that does not answer, the rest is told all the same.
pub trait Calls: Debug + Send + Sync {
    /// Calls `to` with `data`. Bounded in time.
    fn call(&self, to: Address, data: Bytes) -> BoxFuture<'_, Result<Bytes, CannotSee>>;
}

/// The node did not answer. Why is logged where it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node does not answer")]
pub struct CannotSee;

/// A port as the keeper's facts are read through it.
#[derive(Debug)]
pub(super) struct Through<'a>(pub(super) &'a dyn Calls);

impl ContractCalls for Through<'_> {
    type Error = CannotSee;

    async fn call(&self, to: Address, data: Bytes, _: Option<u64>) -> Result<Bytes, CannotSee> {
        self.0.call(to, data).await
    }
}
