//! What is in the ledger, read beside the program.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256};
use sqlx::PgPool;
use tidewatch::ids::DeploymentId;

use super::block::Placed;
use super::world::World;

/// The rows of a deployment at one moment.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    /// Canonical logs in the order of the chain.
    pub(super) canonical: Vec<Placed>,
    /// Tombstones, in order.
    pub(super) orphaned: Vec<Placed>,
    /// Blocks by hash.
    pub(super) blocks: BTreeMap<B256, Row>,
    /// Hashes of the canonical blocks by height.
    pub(super) heights: BTreeMap<u64, B256>,
    pub(super) cursor: Cursor,
}

/// A row of `blocks`.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) number: u64,
    /// `None` where the logs told all that was needed of the block.
    pub(super) parent: Option<B256>,
    /// In seconds since 1970.
    pub(super) made_at: u64,
    pub(super) canonical: bool,
    pub(super) proof: String,
}

/// The row of `cursors`.
#[derive(Clone, Debug, Default, sqlx::FromRow)]
pub(super) struct Cursor {
    pub(super) epoch: i64,
    pub(super) act_number: Option<i64>,
    pub(super) irreversible_number: Option<i64>,
    pub(super) irreversible_hash: Option<Vec<u8>>,
    pub(super) recorded_number: i64,
    pub(super) recorded_hash: Vec<u8>,
    pub(super) verified_number: i64,
    pub(super) unverified: Option<String>,
    pub(super) halt: Option<String>,
}

impl Recorded {
    /// Whether the cursors have come to where they can come: everything is recorded, and verified as far as it is irreversible.
    pub(super) fn is_complete(&self, world: &World) -> bool {
        let cursor = &self.cursor;
        let head = world.now().head().at;
        let irreversible = cursor.irreversible_number.unwrap_or(0);
        unsigned(cursor.recorded_number) == head.number
            && cursor.recorded_hash == head.hash.as_slice()
            && cursor.verified_number >= irreversible
    }

    /// Reads them in one snapshot, so that what is compared belongs together.
    pub(super) async fn read(pool: &PgPool, deployment: DeploymentId) -> Self {
        type Log = (
            bool,
            i64,
            Vec<u8>,
            i64,
            Vec<u8>,
            i64,
            Vec<u8>,
            Vec<Vec<u8>>,
            Vec<u8>,
        );
        type Block = (Vec<u8>, i64, Option<Vec<u8>>, i64, bool, String);
        let mut transaction = pool.begin().await.unwrap();
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .execute(&mut *transaction)
            .await
            .unwrap();
        let cursor = sqlx::query_as("SELECT * FROM ledger.cursors WHERE deployment_id = $1")
            .bind(deployment.0)
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
        let logs: Vec<Log> = sqlx::query_as(
            "SELECT canonical, block_number, block_hash, log_index, transaction_hash, transaction_index, address, topics, data
             FROM ledger.logs WHERE deployment_id = $1 ORDER BY block_number, block_hash, log_index",
        )
        .bind(deployment.0)
        .fetch_all(&mut *transaction)
        .await
        .unwrap();
        let blocks: Vec<Block> = sqlx::query_as(
            "SELECT hash, number, parent_hash, extract(epoch FROM made_at)::bigint, canonical, proof
             FROM ledger.blocks WHERE deployment_id = $1",
        )
        .bind(deployment.0)
        .fetch_all(&mut *transaction)
        .await
        .unwrap();
        transaction.rollback().await.unwrap();

        let mut recorded = Self {
            cursor,
            ..Self::default()
        };
        for (canonical, number, hash, index, transaction, place, address, topics, data) in logs {
            let log = Placed {
                number: unsigned(number),
                hash: B256::from_slice(&hash),
                index: unsigned(index),
                transaction: B256::from_slice(&transaction),
                transaction_index: unsigned(place),
                address: Address::from_slice(&address),
                topics: topics.iter().map(|topic| B256::from_slice(topic)).collect(),
                data: data.into(),
            };
            if canonical {
                recorded.canonical.push(log);
            } else {
                recorded.orphaned.push(log);
            }
        }
        for (hash, number, parent, made_at, canonical, proof) in blocks {
            let (hash, number) = (B256::from_slice(&hash), unsigned(number));
            let parent = parent.map(|parent| B256::from_slice(&parent));
            if canonical {
                recorded.heights.insert(number, hash);
            }
            let row = Row {
                number,
                parent,
                made_at: unsigned(made_at),
                canonical,
                proof,
            };
            recorded.blocks.insert(hash, row);
        }
        recorded
    }
}

/// A number of the ledger, none of which is negative.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap()
}
