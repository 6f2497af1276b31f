//! The one place where the chain's calls meet the keeper's facts: neither module knows the other.

use alloy::primitives::{Address, Bytes};

use crate::chain::{self, BlockId, Provider, Providers};
use crate::ids::BlockRef;
use crate::keeper::ContractCalls;

impl ContractCalls for Providers {
    type Error = chain::Error;

    async fn call(&self, to: Address, data: Bytes, at: Option<u64>) -> Result<Bytes, chain::Error> {
        Self::call(self, to, data, block(at)).await
    }

    async fn call_at(
        &self,
        to: Address,
        data: Bytes,
        block: BlockRef,
    ) -> Result<Bytes, chain::Error> {
        Self::call(self, to, data, BlockId::hash(block.hash)).await
    }
}

impl ContractCalls for Provider {
    type Error = chain::Error;

    async fn call(&self, to: Address, data: Bytes, at: Option<u64>) -> Result<Bytes, chain::Error> {
        Self::call(self, to, data, block(at)).await
    }

    async fn call_at(
        &self,
        to: Address,
        data: Bytes,
        block: BlockRef,
    ) -> Result<Bytes, chain::Error> {
        Self::call(self, to, data, BlockId::hash(block.hash)).await
    }
}

fn block(at: Option<u64>) -> BlockId {
    at.map_or_else(BlockId::latest, BlockId::number)
}
