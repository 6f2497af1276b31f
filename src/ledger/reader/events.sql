-- A page of recorded events, newest first. Absent filters are null; a plan is made for each call, so that they cost nothing.
-- What an event is about is looked up before all else, as an array: an estimate of how many there are would be a guess, and plans
-- made on it read whole tables.
SELECT l.id, l.block_number, l.block_hash AS "block_hash: Vec<u8>", l.log_index, l.transaction_hash AS "transaction_hash: Vec<u8>",
       l.transaction_index, l.address AS "address: Vec<u8>", l.topics, l.data, l.canonical, l.recorded_at,
       e.contract AS "contract?", e.name AS "name?", e.arguments AS "arguments?"
FROM ledger.logs l LEFT JOIN ledger.decoded_logs e ON e.log_id = l.id
WHERE l.deployment_id = $1
  AND ($2::bytea IS NULL OR l.id = ANY (ARRAY(
          SELECT log_id FROM ledger.log_subjects WHERE deployment_id = $1 AND kind = $3 AND subject = $2::bytea)))
  AND ($4::bytea IS NULL OR l.id = ANY (ARRAY(
          SELECT log_id FROM ledger.log_subjects WHERE deployment_id = $1 AND kind = $5 AND subject = $4::bytea)))
  AND ($6::bytea IS NULL OR l.id = ANY (ARRAY(
          SELECT log_id FROM ledger.log_subjects WHERE deployment_id = $1 AND kind = $7 AND subject = $6::bytea)))
  AND ($8::bytea IS NULL OR l.transaction_hash = $8::bytea)
  AND ($9::bigint IS NULL OR l.block_number >= $9)
  AND ($10::bigint IS NULL OR l.block_number <= $10)
  -- Written so that each case is the condition of the index that serves it.
  AND ($11::boolean OR l.canonical) AND (NOT $11::boolean OR NOT l.canonical)
  AND ($12::bigint IS NULL OR (l.block_number <= $12 AND (l.block_number, l.log_index, l.id) < ($12, $13::bigint, $14::bigint)))
ORDER BY l.block_number DESC, l.log_index DESC, l.id DESC LIMIT $15
