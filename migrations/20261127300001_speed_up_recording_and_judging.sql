-- What a million logs cost to record and to judge, measured with the benchmarks (tests/bench): looking up each row's parents one
-- by one, and b-trees over random 32-byte hashes, took more than everything else together. Nothing that the release before reads
-- or writes goes away: the same columns, the same uniqueness, other ways to find rows.

-- Keys whose parents cannot be missing. A deployment is never deleted, and its cursor, which has a key of its own to it, is moved by
-- compare-and-set in the same transaction before any of these rows is written. Subjects and words of logs are derived from logs,
-- which are never deleted either. Keys from jobs, states, verdicts and evidence to each other and to logs stay.
ALTER TABLE ledger.logs DROP CONSTRAINT logs_deployment_id_fkey;
ALTER TABLE ledger.log_subjects DROP CONSTRAINT log_subjects_deployment_id_fkey;
ALTER TABLE ledger.log_subjects DROP CONSTRAINT log_subjects_log_id_fkey;
ALTER TABLE ledger.decoded_logs DROP CONSTRAINT decoded_logs_log_id_fkey;
ALTER TABLE ledger.jobs DROP CONSTRAINT jobs_deployment_id_fkey;
ALTER TABLE ledger.job_state DROP CONSTRAINT job_state_deployment_id_fkey;
ALTER TABLE ledger.transitions DROP CONSTRAINT transitions_deployment_id_fkey;

-- Transactions are looked up by people, now and then. A Bloom filter per 32 pages costs an insert next to nothing where a b-tree
-- cost as much as the rest of the row, and a lookup reads the filters and the few pages that they point at. Pages that are not
-- summarised yet are read as well; autovacuum summarises each range as soon as it is full.
DROP INDEX ledger.logs_transaction;
CREATE INDEX logs_transaction ON ledger.logs USING brin (transaction_hash bytea_bloom_ops)
    WITH (pages_per_range = 32, autosummarize = on);
COMMENT ON INDEX ledger.logs_transaction IS 'Finds a transaction''s logs: a Bloom filter per 32 pages.';

-- Unique in the order in which rows come, found by hash.
ALTER TABLE ledger.log_subjects DROP CONSTRAINT log_subjects_pkey;
ALTER TABLE ledger.log_subjects ADD PRIMARY KEY (log_id, kind, subject);
DROP INDEX ledger.log_subjects_log;
CREATE INDEX log_subjects_subject ON ledger.log_subjects USING hash (subject);
COMMENT ON INDEX ledger.log_subjects_subject IS 'Finds the logs about a subject; kind and deployment are compared in the row.';

DROP INDEX ledger.jobs_name;
CREATE INDEX jobs_name ON ledger.jobs USING hash (name);
DROP INDEX ledger.jobs_agreement;
CREATE INDEX jobs_agreement ON ledger.jobs USING hash (agreement_id);
