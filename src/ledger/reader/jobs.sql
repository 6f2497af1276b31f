-- A page of jobs, newest first. Absent filters are null; a plan is made for each call, so that they cost nothing.
SELECT j.id, j.name, j.trigger, d.chain_id, j.contract AS "contract: Vec<u8>", j.key AS "key: Vec<u8>",
       j.agreement_id AS "agreement_id: Vec<u8>", j.did AS "did: Vec<u8>", j.consumer AS "consumer: Vec<u8>",
       s.provider AS "provider: Vec<u8>", s.phase, s.outcome, s.reason, s.attempt, s.payment::text AS payment,
       s.payer AS "payer: Vec<u8>", s.block_number, s.block_hash AS "block_hash: Vec<u8>",
       b.made_at AS "block_made_at?", s.block_canonical, c.irreversible_number AS "irreversible_number?",
       l.transaction_hash AS "transaction_hash: Vec<u8>", l.log_index, j.created_at, s.started_at, s.finished_at
FROM ledger.jobs j
JOIN ledger.job_state s ON s.job_id = j.id
JOIN ledger.deployments d ON d.id = j.deployment_id
JOIN ledger.logs l ON l.id = s.log_id
LEFT JOIN ledger.blocks b ON b.deployment_id = j.deployment_id AND b.hash = s.block_hash
LEFT JOIN ledger.cursors c ON c.deployment_id = j.deployment_id
WHERE j.deployment_id = $1
  AND ($2::text IS NULL OR j.name = $2)
  -- Both tables name the deployment, and the indices of states begin with it.
  AND ($3::text IS NULL OR (s.deployment_id = $1 AND s.phase = $3 AND ($3 = 'finished' OR NOT s.removed)))
  AND ($4::text IS NULL OR (s.deployment_id = $1 AND s.outcome = $4))
  AND ($5::text IS NULL OR (s.deployment_id = $1 AND s.reason = $5))
  AND ($6::bytea IS NULL OR j.consumer = $6::bytea)
  AND ($7::bytea IS NULL OR s.provider = $7::bytea)
  AND ($8::bytea IS NULL OR j.did = $8::bytea)
  AND ($9::bytea IS NULL OR j.agreement_id = $9::bytea)
  -- By way of the condition's own event, whose agreement is known: its key alone is in no index.
  AND ($10::bytea IS NULL OR (j.key = $10::bytea AND j.agreement_id IN (
          SELECT a.subject FROM ledger.log_subjects k
          JOIN ledger.log_subjects a ON a.log_id = k.log_id AND a.kind = 'agreement'
          WHERE k.deployment_id = $1 AND k.kind = 'condition' AND k.subject = $10::bytea)))
  AND ($11::bytea IS NULL OR j.id IN (
          SELECT a.id FROM ledger.logs t
          JOIN ledger.log_subjects m ON m.log_id = t.id AND m.kind = 'agreement'
          JOIN ledger.jobs a ON a.deployment_id = t.deployment_id AND a.agreement_id = m.subject
          WHERE t.deployment_id = $1 AND t.transaction_hash = $11::bytea
          UNION
          SELECT e.job_id FROM ledger.logs t JOIN ledger.job_evidence e ON e.log_id = t.id
          WHERE t.deployment_id = $1 AND t.transaction_hash = $11::bytea))
  -- A row's time is the begin of the transaction that wrote it, and its id was taken later, within that transaction. Transactions
  -- are bounded by far less than an hour, so a row an hour away in time bounds the ids on its side.
  AND ($12::timestamptz IS NULL OR (j.created_at > $12 AND j.id > coalesce(
          (SELECT o.id FROM ledger.jobs o WHERE o.deployment_id = $1 AND o.created_at <= $12 - interval '1 hour'
           ORDER BY o.created_at DESC LIMIT 1), 0)))
  AND ($13::timestamptz IS NULL OR (j.created_at < $13 AND j.id < coalesce(
          (SELECT o.id FROM ledger.jobs o WHERE o.deployment_id = $1 AND o.created_at >= $13 + interval '1 hour'
           ORDER BY o.created_at LIMIT 1), 9223372036854775807)))
  AND (NOT $14::boolean OR (s.deployment_id = $1 AND s.phase <> 'finished' AND NOT s.removed))
  AND ($15::bigint IS NULL OR j.id < $15)
ORDER BY j.id DESC LIMIT $16
