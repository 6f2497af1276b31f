//! Between columns and types: what the schema's domains guarantee is still checked, since a ledger may be older than its checks.

use alloy::primitives::B256;

use super::Error;
use crate::ids::BlockRef;

/// A column of the domain `hash32`.
pub(super) fn hash(table: &'static str, bytes: &[u8]) -> Result<B256, Error> {
    B256::try_from(bytes).map_err(Error::unreadable(table))
}

/// A height or another count that is never negative.
pub(super) fn count(table: &'static str, value: i64) -> Result<u64, Error> {
    u64::try_from(value).map_err(Error::unreadable(table))
}

/// A height or count as the schema stores it. No chain has 2⁶³ blocks.
pub(super) fn bigint(table: &'static str, value: u64) -> Result<i64, Error> {
    i64::try_from(value).map_err(Error::unreadable(table))
}

/// A block by its two columns.
pub(super) fn block(table: &'static str, number: i64, hash_: &[u8]) -> Result<BlockRef, Error> {
    Ok(BlockRef {
        number: count(table, number)?,
        hash: hash(table, hash_)?,
    })
}
