-- A large ledger, made quickly: {jobs} jobs with one log each, nine tenths of deployment 1 and the newest tenth of deployment 2.
-- Triggers are off, and indices are filled once at the end, which is much faster than row by row.
SET session_replication_role = replica;
SET maintenance_work_mem = '256MB';

CREATE FUNCTION test_hash(text) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT decode(md5($1) || md5($1 || '+'), 'hex') $$;
CREATE FUNCTION test_name(bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 'job-' || md5('n' || $1) $$;

INSERT INTO ledger.deployments (chain_id, genesis_hash, contracts_hash, contracts, start_block, start_hash, act_at, irreversible_at)
SELECT chain, test_hash('g'), test_hash('c'),
       jsonb_build_object('ComputeExecutionCondition', '0x' || encode(substr(test_hash('contract'), 1, 20), 'hex')), 1, test_hash('s'),
       'finalized', 'finalized'
FROM generate_series(1, 2) AS chain;
INSERT INTO ledger.cursors (deployment_id, filter_fingerprint, filter_version, recorded_number, recorded_hash, judged_number, judged_hash,
                            verified_number, irreversible_number, irreversible_hash)
SELECT id, test_hash('f'), 1, {jobs}, test_hash('r'), {jobs}, test_hash('r'), 1, 1, test_hash('i') FROM ledger.deployments;

CREATE TEMP TABLE filled AS SELECT unnest(ARRAY['jobs', 'job_state', 'logs', 'log_subjects', 'transitions']) AS name;
UPDATE pg_index SET indisready = false, indisvalid = false
WHERE indrelid IN (SELECT format('ledger.%I', name)::regclass FROM filled);

INSERT INTO ledger.logs (deployment_id, block_number, block_hash, log_index, transaction_hash, transaction_index, address, topics, data)
SELECT 1 + (n > {jobs} * 0.9)::int, n, test_hash('b' || n), 0, test_hash('t' || n), 0, substr(test_hash('contract'), 1, 20),
       ARRAY[test_hash('signature'), test_hash('a' || n), test_hash('d' || n % 1000)], test_hash('data')
FROM generate_series(1, {jobs}) AS n;

INSERT INTO ledger.log_subjects (deployment_id, kind, subject, log_id)
SELECT 1 + (n > {jobs} * 0.9)::int, kind, test_hash(subject), n
FROM generate_series(1, {jobs}) AS n,
     LATERAL (VALUES ('agreement', 'a' || n), ('condition', 'k' || n), ('did', 'd' || n % 1000)) AS about (kind, subject);

INSERT INTO ledger.jobs (deployment_id, trigger, contract, key, name, agreement_id, did, consumer, created_at)
SELECT 1 + (n > {jobs} * 0.9)::int, 'keeper', substr(test_hash('contract'), 1, 20), test_hash('k' || n), test_name(n), test_hash('a' || n),
       test_hash('d' || CASE WHEN n % 5 = 0 THEN 0 ELSE n % 1000 END),
       substr(test_hash('c' || CASE WHEN n % 3 = 0 THEN 0 ELSE (hashint8(n)::bigint + 2147483648) % 10000 END), 1, 20),
       timestamptz '2020-01-01' + n * interval '15 seconds'
FROM generate_series(1, {jobs}) AS n;

INSERT INTO ledger.job_state (job_id, deployment_id, phase, outcome, reason, block_number, block_hash, log_id, block_canonical, provider,
                              removed, finished_at)
SELECT n, 1 + (n > {jobs} * 0.9)::int,
       CASE WHEN ended IS NOT NULL THEN 'finished'
            ELSE (ARRAY['queued', 'running', 'awaiting_payment', 'configuring', 'awaiting_document', 'undecided', 'publishing'])[1 + n % 7]
       END,
       ended,
       CASE ended WHEN 'refused' THEN (ARRAY['underpaid', 'not_our_asset', 'no_algorithm', 'agreement_unknown'])[1 + n % 4]
                  WHEN 'failed' THEN 'algorithm_failed' WHEN 'skipped' THEN 'before_start' WHEN 'lost' THEN 'workflow_missing'
                  WHEN 'timed_out' THEN 'deadline' END,
       n, test_hash('b' || n), n, true,
       CASE WHEN ended = 'refused' AND n % 2 = 0 THEN NULL ELSE substr(test_hash('p' || n % 50), 1, 20) END,
       ended IS NOT NULL,
       CASE WHEN ended IS NOT NULL THEN timestamptz '2020-01-02' + n * interval '15 seconds' END
FROM (SELECT n, CASE WHEN n % 5000 = 1 THEN NULL WHEN n % 100000 = 2 THEN 'lost' WHEN n % 10 < 6 THEN 'refused' WHEN n % 10 < 8 THEN 'succeeded'
                     WHEN n % 100 = 9 THEN 'failed' WHEN n % 100 = 19 THEN 'timed_out' ELSE 'skipped' END AS ended
      FROM generate_series(1, {jobs}) AS n) AS drawn;

INSERT INTO ledger.transitions (deployment_id, job_id, number, phase, attempt, at, previous_hash, hash, worker, transaction)
SELECT 1 + (n > {jobs} * 0.9)::int, n, 1, 'finished', 0, now(), test_hash('p'), test_hash('h'), 'judge', (1 + n::bigint * 500 / {jobs})::text::xid8
FROM generate_series(1, {jobs}) AS n;

DO $$
DECLARE filled text;
BEGIN
    FOR filled IN SELECT name FROM filled LOOP
        EXECUTE format('REINDEX TABLE ledger.%I', filled);
    END LOOP;
END $$;
