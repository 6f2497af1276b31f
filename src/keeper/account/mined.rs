use alloy::primitives::B256;
use alloy::rpc::types::TransactionReceipt;

use super::{Call, Error};
use crate::chain::RawLog;
use crate::ids::BlockRef;

/// A transaction that succeeded.
#[derive(Clone, Debug)]
pub struct Mined {
    /// Its hash.
    pub transaction_hash: B256,
    /// The block it is in, as the node saw it when it answered; no statement about finality.
    pub block: BlockRef,
    /// Its place in the block.
    pub transaction_index: u64,
    /// Its logs, in order.
    pub logs: Vec<RawLog>,
}

/// A transaction that a node accepted and that may not be mined yet.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// Its hash.
    pub transaction_hash: B256,
    pub(super) call: Call,
}

impl Mined {
    /// What a receipt tells of a transaction that succeeded.
    pub(super) fn read(receipt: &TransactionReceipt) -> Result<Self, Error> {
        let incomplete = || Error::Incomplete {
            transaction: receipt.transaction_hash,
        };
        let block = BlockRef {
            number: receipt.block_number.ok_or_else(incomplete)?,
            hash: receipt.block_hash.ok_or_else(incomplete)?,
        };
        let transaction_index = receipt.transaction_index.ok_or_else(incomplete)?;
        let logs = receipt
            .logs()
            .iter()
            .map(|log| {
                Ok(RawLog {
                    block,
                    transaction_hash: receipt.transaction_hash,
                    transaction_index,
                    log_index: log.log_index.ok_or_else(incomplete)?,
                    address: log.address(),
                    topics: log.topics().to_vec(),
                    data: log.data().data.clone(),
                })
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self {
            transaction_hash: receipt.transaction_hash,
            block,
            transaction_index,
            logs,
        })
    }
}
