-- A page of the stream of all transitions, in its order. Of all deployments too by the index, which begins with the deployment.
SELECT t.transaction::text AS "transaction!", t.sequence, t.deployment_id, t.job_id, j.name, t.number, t.phase, t.outcome,
       t.reason, t.attempt, t.at, t.previous_hash AS "previous_hash: Vec<u8>", t.hash AS "hash: Vec<u8>", t.worker
FROM ledger.deployments d
CROSS JOIN LATERAL (
    SELECT * FROM ledger.transitions r
    WHERE r.deployment_id = d.id
      AND (r.transaction, r.sequence) > (($2::bigint)::text::xid8, $3::bigint)
      AND r.transaction < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY r.transaction, r.sequence LIMIT $4
) t
JOIN ledger.jobs j ON j.id = t.job_id
WHERE ($1::bigint IS NULL OR d.id = $1)
ORDER BY t.transaction, t.sequence LIMIT $4
