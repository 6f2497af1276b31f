//! Rows as the workers write them, with times and numbers that tests can name.

use alloy::primitives::{Address, B256, U256};
use sqlx::PgConnection;
use tidewatch::ids::{JobId, JobName};

use super::database::execute;

pub(super) const CHAIN: u64 = 8996;
pub(super) const CONTRACT: Address = Address::repeat_byte(0xc0);

/// A followed deployment at block 100 of 110, irreversible up to 90.
pub(super) async fn deployment(connection: &mut PgConnection) {
    let statement = "
        INSERT INTO ledger.deployments (chain_id, genesis_hash, contracts_hash, contracts, start_block, start_hash, act_at, irreversible_at)
        VALUES (8996, decode(repeat('01', 32), 'hex'), decode(repeat('02', 32), 'hex'),
                jsonb_build_object('ComputeExecutionCondition', '0x' || repeat('C0', 20)), 1, decode(repeat('03', 32), 'hex'), 'finalized', 'finalized');
        INSERT INTO ledger.cursors (deployment_id, filter_fingerprint, filter_version, head_number, head_hash, irreversible_number,
                irreversible_hash, recorded_number, recorded_hash, judged_number, judged_hash, verified_number, updated_at)
        SELECT max(id), decode(repeat('04', 32), 'hex'), 1, 110, decode(repeat('05', 32), 'hex'), 90, decode(repeat('06', 32), 'hex'),
               100, decode(repeat('07', 32), 'hex'), 99, decode(repeat('08', 32), 'hex'), 95, '2026-01-01T00:00:00Z'
        FROM ledger.deployments";
    execute(connection, statement).await.unwrap();
}

/// Name of the job with that number.
pub(super) fn name(number: i64) -> JobName {
    JobName::derive(CHAIN, CONTRACT, hash(0xc, number))
}

/// The 32 bytes that stand for `number` in a field; fields are told apart by `kind`.
pub(super) fn hash(kind: u8, number: i64) -> B256 {
    let mut hash = B256::from(U256::from(number));
    hash.0[0] = kind;
    hash
}

/// A queued job with its log, in block `number`, recorded `number` minutes into 2026.
pub(super) async fn job(connection: &mut PgConnection, number: i64) -> JobId {
    let statement = format!(
        "WITH block AS (
             INSERT INTO ledger.blocks (deployment_id, number, hash, parent_hash, made_at, proof)
             SELECT max(id), {number}, '{block}', '{block}', timestamptz '2025-12-31T00:00:00Z' + {number} * interval '1 minute', 'root'
             FROM ledger.deployments ON CONFLICT DO NOTHING
         ), log AS (
             INSERT INTO ledger.logs (deployment_id, block_number, block_hash, log_index, transaction_hash, transaction_index, address, topics, data)
             SELECT max(id), {number}, '{block}', 3, '{transaction}', 0, '{CONTRACT_BYTES}', ARRAY['{block}'::bytea], '' FROM ledger.deployments
             RETURNING id, deployment_id
         ), job AS (
             INSERT INTO ledger.jobs (deployment_id, trigger, contract, key, name, agreement_id, did, consumer, created_at)
             SELECT deployment_id, 'keeper', '{CONTRACT_BYTES}', '{key}', '{name}', '{agreement}', '{did}', '{consumer}',
                    timestamptz '2026-01-01T00:00:00.123456Z' + {number} * interval '1 minute'
             FROM log RETURNING id, deployment_id
         ), subject AS (
             INSERT INTO ledger.log_subjects (deployment_id, kind, subject, log_id)
             SELECT deployment_id, kind, subject::bytea, id FROM log,
                    (VALUES ('agreement', '{agreement}'), ('condition', '{key}')) AS about (kind, subject)
         )
         INSERT INTO ledger.job_state (job_id, deployment_id, phase, block_number, block_hash, log_id, block_canonical)
         SELECT job.id, job.deployment_id, 'queued', {number}, '{block}', log.id, true FROM job, log
         RETURNING job_id",
        CONTRACT_BYTES = bytea(CONTRACT.as_slice()),
        block = bytea(hash(0xb, number).as_slice()),
        transaction = bytea(hash(0x7, number).as_slice()),
        key = bytea(hash(0xc, number).as_slice()),
        agreement = bytea(hash(0xa, number).as_slice()),
        did = bytea(hash(0xd, number % 2).as_slice()),
        consumer = bytea(Address::repeat_byte(0xab).as_slice()),
        name = name(number),
    );
    let id = sqlx::query_scalar(sqlx::AssertSqlSafe(statement))
        .fetch_one(connection)
        .await
        .unwrap();
    JobId(id)
}

/// A log of a stage whose chunks are these.
pub(super) async fn job_log(
    connection: &mut PgConnection,
    job: JobId,
    completeness: Option<&str>,
    chunks: &[&[u8]],
) {
    let bytes: usize = chunks.iter().map(|chunk| chunk.len()).sum();
    sqlx::query("INSERT INTO ledger.job_logs (job_id, attempt, stage, completeness, bytes) VALUES ($1, 1, 'algorithm', $2, $3)")
        .bind(job.0)
        .bind(completeness)
        .bind(i64::try_from(bytes).unwrap())
        .execute(&mut *connection)
        .await
        .unwrap();
    let mut start = 0_i64;
    for chunk in chunks {
        sqlx::query("INSERT INTO ledger.job_log_chunks (job_id, attempt, stage, start, body) VALUES ($1, 1, 'algorithm', $2, $3)")
            .bind(job.0)
            .bind(start)
            .bind(*chunk)
            .execute(&mut *connection)
            .await
            .unwrap();
        start += i64::try_from(chunk.len()).unwrap();
    }
}

/// A `bytea` literal's text.
pub(super) fn bytea(bytes: &[u8]) -> String {
    format!("\\x{}", alloy::hex::encode(bytes))
}
