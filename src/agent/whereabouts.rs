use alloy::primitives::{Address, B256, U64};
use serde::Deserialize;
use serde_json::json;

use super::{Error, Node};

/// Where a node sees a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// Nowhere.
    Unknown,
    /// In its pool.
    Pool,
    /// In a block of its chain.
    Mined {
        /// The block's height.
        block: u64,
        /// Whether it had an effect.
        succeeded: bool,
        /// The contract or account that it was sent to; `None` when it created a contract.
        to: Option<Address>,
    },
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireTransaction {
    block_number: Option<U64>,
    to: Option<Address>,
}

impl Node {
    /// Where a transaction is, whoever sent it.
    ///
    /// # Errors
    /// [`Error::Node`], transient.
    pub async fn whereabouts(&self, hash: B256) -> Result<Whereabouts, Error> {
        let found: Option<WireTransaction> =
            self.ask("eth_getTransactionByHash", json!([hash])).await?;
        let Some(found) = found else {
            return Ok(Whereabouts::Unknown);
        };
        let Some(number) = found.block_number else {
            return Ok(Whereabouts::Pool);
        };
        // a reorganisation between the two questions leaves it unknown how the transaction goes
        let receipt = self.receipt(hash).await?;
        Ok(
            receipt.map_or(Whereabouts::Pool, |receipt| Whereabouts::Mined {
                block: number.to(),
                succeeded: receipt.succeeded,
                to: found.to,
            }),
        )
    }
}
