-- A ledger may hold several deployments (two chains, or a development chain that was restarted), and a page of one of them must not
-- cost what the others have. Every index that serves a filter of jobs begins with the deployment and ends with the job. Nothing that
-- the release before reads or writes goes away.
CREATE INDEX jobs_listed ON ledger.jobs (deployment_id, id);
COMMENT ON INDEX ledger.jobs_listed IS 'The order in which pages of jobs go. Grows at its right edge only.';

CREATE INDEX jobs_of_consumer ON ledger.jobs (deployment_id, consumer, id);
DROP INDEX ledger.jobs_consumer;
CREATE INDEX jobs_of_asset ON ledger.jobs (deployment_id, did, id);
DROP INDEX ledger.jobs_did;
CREATE INDEX job_state_of_provider ON ledger.job_state (deployment_id, provider, job_id) WHERE provider IS NOT NULL;
DROP INDEX ledger.job_state_provider;

-- One range in a thousand is read in vain instead of one in a hundred: with many logs those cost more than the filters themselves.
DROP INDEX ledger.logs_transaction;
CREATE INDEX logs_transaction ON ledger.logs USING brin (transaction_hash bytea_bloom_ops (false_positive_rate = 0.001))
    WITH (pages_per_range = 32, autosummarize = on);
COMMENT ON INDEX ledger.logs_transaction IS 'Finds a transaction''s logs: a Bloom filter per 32 pages.';
