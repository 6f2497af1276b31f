-- A job with all that is shown of it, in one statement: what stands together was true together, and one question costs one wait. Of
-- two jobs with the same name the newest (the younger of two such conditions is refused).
SELECT j.id, j.name, j.trigger, d.chain_id, j.contract AS "contract: Vec<u8>", j.key AS "key: Vec<u8>",
       j.agreement_id AS "agreement_id: Vec<u8>", j.did AS "did: Vec<u8>", j.consumer AS "consumer: Vec<u8>",
       s.provider AS "provider: Vec<u8>", s.phase, s.outcome, s.reason, s.attempt, s.payment::text AS payment,
       s.payer AS "payer: Vec<u8>", s.block_number, s.block_hash AS "block_hash: Vec<u8>",
       (SELECT b.made_at FROM ledger.blocks b WHERE b.deployment_id = $1 AND b.hash = s.block_hash) AS block_made_at,
       s.block_canonical,
       (SELECT c.irreversible_number FROM ledger.cursors c WHERE c.deployment_id = $1) AS irreversible_number,
       l.transaction_hash AS "transaction_hash: Vec<u8>", l.log_index, j.created_at, s.started_at, s.finished_at,
       v.admitted AS "verdict_admitted?", v.verdict AS "verdict?", v.rules AS "verdict_rules?",
       v.policy_sha256 AS "verdict_policy?: Vec<u8>", v.judged_number AS "verdict_number?", v.judged_hash AS "verdict_hash?: Vec<u8>",
       v.judged_at AS "verdict_at?",
       -- Where on the chain the verdict's logs stand, by the ledger's ids of them.
       (SELECT jsonb_object_agg(e.id::text, jsonb_build_object(
                   'blockNumber', e.block_number, 'blockHash', '0x' || encode(e.block_hash, 'hex'),
                   'transactionHash', '0x' || encode(e.transaction_hash, 'hex'), 'logIndex', e.log_index, 'canonical', e.canonical))
        FROM ledger.logs e
        WHERE e.id = ANY (ARRAY(SELECT (rule #>> '{evidence,log}')::bigint FROM jsonb_array_elements(v.rules) AS rule
                                WHERE jsonb_typeof(rule #> '{evidence,log}') = 'number'))) AS places,
       w.source AS "workflow_source?", w.algorithm AS "workflow_algorithm?", w.image AS "workflow_image?", w.tag AS "workflow_tag?",
       w.digest AS "workflow_digest?", w.resources AS "workflow_resources?",
       a.what AS "awaited_what?", a.since AS "awaited_since?", a.until AS "awaited_until?", a.tries AS "awaited_tries?",
       a.problem AS "awaited_problem?",
       ARRAY(SELECT t.attempt FROM ledger.job_attempts t WHERE t.job_id = j.id ORDER BY t.attempt) AS "attempts!: Vec<i32>",
       ARRAY(SELECT t.started_at FROM ledger.job_attempts t WHERE t.job_id = j.id ORDER BY t.attempt)
           AS "attempts_started!: Vec<DateTime<Utc>>",
       ARRAY(SELECT t.finished_at FROM ledger.job_attempts t WHERE t.job_id = j.id ORDER BY t.attempt)
           AS "attempts_finished!: Vec<Option<DateTime<Utc>>>",
       ARRAY(SELECT t.stages FROM ledger.job_attempts t WHERE t.job_id = j.id ORDER BY t.attempt) AS "attempts_stages!: Vec<Value>"
FROM ledger.jobs j
JOIN ledger.job_state s ON s.job_id = j.id
JOIN ledger.deployments d ON d.id = j.deployment_id
JOIN ledger.logs l ON l.id = s.log_id
LEFT JOIN LATERAL (
    SELECT * FROM ledger.verdicts r WHERE r.job_id = j.id ORDER BY r.number DESC LIMIT 1
) v ON true
LEFT JOIN LATERAL (
    SELECT * FROM tidewatch.workflows f WHERE f.deployment = $1 AND f.job = $2 ORDER BY f.frozen_at DESC LIMIT 1
) w ON true
LEFT JOIN LATERAL (
    SELECT * FROM tidewatch.awaited_documents f WHERE f.deployment = $1 AND f.job = $2 AND s.phase = 'awaiting_document'
    ORDER BY f.since DESC LIMIT 1
) a ON true
WHERE j.deployment_id = $1 AND j.name = $2
ORDER BY j.id DESC LIMIT 1
