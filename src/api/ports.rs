use std::fmt::Debug;

use alloy::primitives::{Address, Bytes};
use futures::future::BoxFuture;
use futures::stream::BoxStream;

use crate::ids::JobName;
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

    /// Runs code that is on no chain (creation code, by an `eth_call` without a receiver) and answers what it returns. Bounded in
    /// time. A contract that this code calls may be a stranger's: nothing that it does is kept.
    fn run(&self, code: Bytes) -> BoxFuture<'_, Result<Bytes, CannotSee>>;
}

/// Where results lie. The API reads there and never writes; a credential that can only read is enough.
pub trait Files: Debug + Send + Sync {
    /// The bytes of a manifest by its recorded key; `None`: there is none. Bounded in time.
    fn manifest<'a>(
        &'a self,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<bytes::Bytes>, CannotSee>>;

    /// A result file from its byte `start` on, with its whole size; `None`: there is none.
    fn open<'a>(
        &'a self,
        file: (&'a JobName, u32, &'a str),
        start: u64,
    ) -> BoxFuture<'a, Result<Option<(u64, Pieces)>, CannotSee>>;
}

/// The bytes of a file, in order.
pub type Pieces = BoxStream<'static, Result<bytes::Bytes, CannotSee>>;

/// What was asked outside did not answer. Why is logged where it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no answer")]
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
