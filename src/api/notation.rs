//! How values are written in JSON: times in RFC 3339 UTC with whole seconds, hashes `0x` and lower case, addresses with EIP-55's
//! checksum.

use alloy::primitives::{Address, B256};
use chrono::{DateTime, SecondsFormat, Utc};

/// A time in whole seconds. What an algorithm can influence is never told more exactly than that.
pub(super) fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A time as transitions are hashed with.
pub(super) fn exact_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A hash or id.
pub(super) fn hash(hash: B256) -> String {
    format!("{hash:#x}")
}

/// An address.
pub(super) fn address(address: Address) -> String {
    address.to_checksum(None)
}
