-- A page of jobs, newest first. Absent filters are null; a plan is made for each call, so that they cost nothing.
--
-- The page's ids are found first, and then what stands beside them. Every index that serves a filter begins with the deployment and
-- ends with the job, so that it yields a page in its order; the bounds of a page are said of both tables, for a plan may go by either.
-- What names a few jobs only (agreement, condition, transaction) is looked up before all else: as an array, because an estimate of
-- how many there are would be a guess, and plans made on it read whole tables.
WITH moments AS MATERIALIZED (
    -- A row's time is the begin of the transaction that wrote it, and its id was taken later, within that transaction.
    -- Transactions are bounded by far less than an hour, so a row an hour away in time bounds the ids on its side.
    SELECT coalesce((SELECT o.id FROM ledger.jobs o WHERE o.deployment_id = $1 AND o.created_at <= $12::timestamptz - interval '1 hour'
                     ORDER BY o.created_at DESC LIMIT 1), 0) AS above,
           coalesce((SELECT o.id FROM ledger.jobs o WHERE o.deployment_id = $1 AND o.created_at >= $13::timestamptz + interval '1 hour'
                     ORDER BY o.created_at LIMIT 1), 9223372036854775807) AS below
), of_transaction AS MATERIALIZED (
    SELECT t.id FROM ledger.logs t WHERE t.deployment_id = $1 AND t.transaction_hash = $11::bytea
)
SELECT j.id, j.name, j.trigger, (SELECT d.chain_id FROM ledger.deployments d WHERE d.id = $1) AS "chain_id!",
       j.contract AS "contract: Vec<u8>", j.key AS "key: Vec<u8>",
       j.agreement_id AS "agreement_id: Vec<u8>", j.did AS "did: Vec<u8>", j.consumer AS "consumer: Vec<u8>",
       s.provider AS "provider: Vec<u8>", s.phase, s.outcome, s.reason, s.attempt, s.payment::text AS payment,
       s.payer AS "payer: Vec<u8>", s.block_number, s.block_hash AS "block_hash: Vec<u8>",
       (SELECT b.made_at FROM ledger.blocks b WHERE b.deployment_id = $1 AND b.hash = s.block_hash) AS block_made_at,
       s.block_canonical,
       (SELECT c.irreversible_number FROM ledger.cursors c WHERE c.deployment_id = $1) AS irreversible_number,
       l.transaction_hash AS "transaction_hash: Vec<u8>", l.log_index, j.created_at, s.started_at, s.finished_at
FROM (
    SELECT f.id
    FROM ledger.jobs f JOIN ledger.job_state g ON g.job_id = f.id
    WHERE f.deployment_id = $1 AND g.deployment_id = $1
      AND ($2::text IS NULL OR f.name = $2)
      AND ($3::text IS NULL OR (g.phase = $3 AND ($3 = 'finished' OR NOT g.removed)))
      AND ($4::text IS NULL OR g.outcome = $4)
      AND ($5::text IS NULL OR g.reason = $5)
      AND ($6::bytea IS NULL OR f.consumer = $6::bytea)
      AND ($7::bytea IS NULL OR g.provider = $7::bytea)
      AND ($8::bytea IS NULL OR f.did = $8::bytea)
      AND ($9::bytea IS NULL OR f.id = ANY (ARRAY(
              SELECT a.id FROM ledger.jobs a WHERE a.deployment_id = $1 AND a.agreement_id = $9::bytea)))
      -- By the contract whose conditions they are: the key alone is in no index.
      AND ($10::bytea IS NULL OR f.id = ANY (ARRAY(
              SELECT a.id FROM ledger.jobs a
              WHERE a.deployment_id = $1 AND a.key = $10::bytea AND a.contract = (
                  SELECT decode(substr(d.contracts ->> 'ComputeExecutionCondition', 3), 'hex') FROM ledger.deployments d WHERE d.id = $1))))
      AND ($11::bytea IS NULL OR f.id = ANY (ARRAY(
              SELECT a.id FROM ledger.jobs a
              WHERE a.deployment_id = $1 AND a.agreement_id = ANY (ARRAY(
                  SELECT m.subject FROM ledger.log_subjects m
                  WHERE m.kind = 'agreement' AND m.log_id = ANY (ARRAY(SELECT t.id FROM of_transaction t))))
              UNION
              SELECT e.job_id FROM ledger.job_evidence e WHERE e.log_id = ANY (ARRAY(SELECT t.id FROM of_transaction t)))))
      AND ($12::timestamptz IS NULL OR (f.created_at > $12
              AND f.id > (SELECT m.above FROM moments m) AND g.job_id > (SELECT m.above FROM moments m)))
      AND ($13::timestamptz IS NULL OR (f.created_at < $13
              AND f.id < (SELECT m.below FROM moments m) AND g.job_id < (SELECT m.below FROM moments m)))
      AND (NOT $14::boolean OR (g.phase <> 'finished' AND NOT g.removed))
      AND ($15::bigint IS NULL OR (f.id < $15 AND g.job_id < $15))
      -- Whatever index a plan goes by, it does not begin with what another deployment has recorded since.
      AND f.id <= (SELECT o.id FROM ledger.jobs o WHERE o.deployment_id = $1 ORDER BY o.id DESC LIMIT 1)
      AND g.job_id <= (SELECT o.id FROM ledger.jobs o WHERE o.deployment_id = $1 ORDER BY o.id DESC LIMIT 1)
    ORDER BY f.id DESC LIMIT $16
) page
JOIN ledger.jobs j ON j.id = page.id
JOIN ledger.job_state s ON s.job_id = page.id
JOIN ledger.logs l ON l.id = s.log_id
ORDER BY j.id DESC
