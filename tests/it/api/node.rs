//! A real node as the API's port.

use alloy::primitives::{Address, Bytes};
use futures::FutureExt;
use futures::future::BoxFuture;
use tidewatch::api::{Calls, CannotSee};
use tidewatch::chain::{BlockId, Provider};

use crate::support::keeper::Chain;

#[derive(Debug)]
pub(super) struct Node(Provider);

impl Node {
    pub(super) fn of(chain: &Chain) -> Self {
        Self(Provider::new(chain.node.url().as_str()).unwrap())
    }
}

impl Calls for Node {
    fn call(&self, to: Address, data: Bytes) -> BoxFuture<'_, Result<Bytes, CannotSee>> {
        let asked = self.0.call(to, data, BlockId::latest());
        asked.map(|answer| answer.map_err(|_| CannotSee)).boxed()
    }

    fn run(&self, code: Bytes) -> BoxFuture<'_, Result<Bytes, CannotSee>> {
        let asked = self.0.run(code);
        asked.map(|answer| answer.map_err(|_| CannotSee)).boxed()
    }
}
