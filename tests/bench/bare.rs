//! What the parts could do if nothing stood between them: the limits that a follower is held against.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use alloy::primitives::B256;
use anyhow::{Context, Result, bail};
use serde_json::json;
use sqlx::{Connection, PgConnection};

use crate::history::per_second;
use crate::parts::{Database, Parts};
use crate::source::{Chain, PER_BLOCK, Source, WIDEST};

/// Rows per second when the chain's rows, ready as bytes, are copied into an empty `ledger.logs` in commits of [`WIDEST`] blocks.
pub(crate) async fn copy(parts: &Parts, chain: &Chain) -> Result<f64> {
    let database = parts.database("bench_bare").await?;
    let deployment = insert_deployment(&database).await?;
    let mut connection = PgConnection::connect(&database.url).await?;
    let mut wall = Duration::ZERO;
    let mut from = 1;
    while from <= chain.head() {
        let to = chain.head().min(from + WIDEST - 1);
        let rows = rows(chain, deployment, from, to)?;
        let began = Instant::now();
        let mut transaction = connection.begin().await?;
        sqlx::query("SET LOCAL synchronous_commit = off")
            .execute(&mut *transaction)
            .await?;
        let mut copying = transaction
            .copy_in_raw(
                "COPY ledger.logs (deployment_id, block_number, block_hash, log_index, transaction_hash, transaction_index, \
                 address, topics, data) FROM STDIN (FORMAT binary)",
            )
            .await?;
        copying.send(rows).await?;
        copying.finish().await?;
        transaction.commit().await?;
        wall += began.elapsed();
        from = to + 1;
    }
    Ok(per_second(chain.head() * PER_BLOCK, wall))
}

async fn insert_deployment(database: &Database) -> Result<i64> {
    Ok(sqlx::query_scalar(
        "INSERT INTO ledger.deployments (chain_id, genesis_hash, contracts_hash, contracts, start_block, start_hash, act_at,
                                         irreversible_at)
         VALUES (1, sha256('g'), sha256('c'), '{}', 1, sha256('s'), 'latest', '5') RETURNING id",
    )
    .fetch_one(&database.pool)
    .await?)
}

/// Rows in COPY's binary format (PostgreSQL documentation, COPY, "Binary Format").
fn rows(chain: &Chain, deployment: i64, from: u64, to: u64) -> Result<Vec<u8>> {
    let mut bytes = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    for number in from..=to {
        let hash = chain.hash(number).context("a block beyond the head")?;
        for (event, index) in chain.events(number).iter().zip(0_i64..) {
            let transaction = Chain::transaction(number, event.transaction);
            bytes.extend(9_i16.to_be_bytes());
            field(&mut bytes, &deployment.to_be_bytes())?;
            field(&mut bytes, &number.to_be_bytes())?;
            field(&mut bytes, hash.as_slice())?;
            field(&mut bytes, &index.to_be_bytes())?;
            field(&mut bytes, transaction.as_slice())?;
            field(&mut bytes, &event.transaction.to_be_bytes())?;
            field(&mut bytes, event.address.as_slice())?;
            field(&mut bytes, &array(&event.topics)?)?;
            field(&mut bytes, &event.data)?;
        }
    }
    bytes.extend((-1_i16).to_be_bytes());
    Ok(bytes)
}

fn field(bytes: &mut Vec<u8>, value: &[u8]) -> Result<()> {
    bytes.extend(i32::try_from(value.len())?.to_be_bytes());
    bytes.extend(value);
    Ok(())
}

/// One dimension, no nulls, type bytea, lower bound 1.
fn array(topics: &[B256]) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(20 + 36 * topics.len());
    for word in [1, 0, 17, i32::try_from(topics.len())?, 1] {
        bytes.extend(word.to_be_bytes());
    }
    for topic in topics {
        field(&mut bytes, topic.as_slice())?;
    }
    Ok(bytes)
}

/// Rows per second when the source's logs are read in the widest ranges, one after the other, and thrown away.
pub(crate) fn read(source: &Source) -> Result<f64> {
    let addresses = source.chain.deployment.addresses();
    let mut stream = TcpStream::connect(source.address())?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 256 << 10];
    let head = source.chain.head();
    let began = Instant::now();
    let mut from = 1;
    while from <= head {
        let to = head.min(from + WIDEST - 1);
        let filter = json!({"fromBlock": format!("{from:#x}"), "toBlock": format!("{to:#x}"), "address": addresses});
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [filter]});
        let call = call.to_string();
        write!(
            stream,
            "POST / HTTP/1.1\r\nhost: source\r\ncontent-length: {}\r\n\r\n{call}",
            call.len()
        )?;
        skip_answer(&mut stream, &mut buffer)?;
        from = to + 1;
    }
    Ok(per_second(head * PER_BLOCK, began.elapsed()))
}

/// Reads up to the empty chunk that ends a body, which no JSON contains.
fn skip_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<()> {
    const END: &[u8] = b"\r\n0\r\n\r\n";
    let mut tail = Vec::new();
    loop {
        let read = stream.read(buffer)?;
        if read == 0 {
            bail!("the source closed the connection");
        }
        let bytes = buffer.get(..read).unwrap_or_default();
        tail.extend_from_slice(
            bytes
                .get(read.saturating_sub(END.len())..)
                .unwrap_or_default(),
        );
        if tail.ends_with(END) {
            return Ok(());
        }
        let surplus = tail.len().saturating_sub(END.len());
        tail.drain(..surplus);
    }
}
