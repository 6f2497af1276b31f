use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::ledger::{Attempt, Error};

/// Puts the place of each log on the chain where a verdict's rules name it by the ledger's own id, which means nothing to anybody
/// else: `{"log": 17}` becomes `{"log": {blockNumber, blockHash, transactionHash, logIndex, canonical}}`. Calls stay as they are.
///
/// # Errors
/// Database errors.
pub async fn locate(connection: &mut PgConnection, rules: &mut Value) -> Result<(), Error> {
    let ids: Vec<i64> = rules
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(log)
        .collect();
    if ids.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query!(
        r#"SELECT id, block_number, block_hash AS "block_hash: Vec<u8>", transaction_hash AS "transaction_hash: Vec<u8>", log_index,
                  canonical
           FROM ledger.logs WHERE id = ANY($1)"#,
        &ids
    )
    .fetch_all(connection)
    .await
    .attempt("find the logs that a verdict rests on")?;
    let places: BTreeMap<i64, Value> = rows
        .into_iter()
        .map(|row| {
            let place = json!({
                "blockNumber": row.block_number,
                "blockHash": alloy::hex::encode_prefixed(row.block_hash),
                "transactionHash": alloy::hex::encode_prefixed(row.transaction_hash),
                "logIndex": row.log_index,
                "canonical": row.canonical,
            });
            (row.id, place)
        })
        .collect();
    put(rules, &places);
    Ok(())
}

/// Puts the places, by the logs' ids, where the rules name the logs.
pub(super) fn put(rules: &mut Value, places: &BTreeMap<i64, Value>) {
    for rule in rules.as_array_mut().into_iter().flatten() {
        if let Some(place) = log(rule).and_then(|id| places.get(&id)) {
            rule["evidence"]["log"] = place.clone();
        }
    }
}

fn log(rule: &Value) -> Option<i64> {
    rule["evidence"]["log"].as_i64()
}
