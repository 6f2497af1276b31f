-- What people filter by, each with the order in which pages go. Beside the table: rows and columns stay as they are.
CREATE INDEX job_state_outcome ON ledger.job_state (deployment_id, outcome, job_id) WHERE outcome IS NOT NULL;
CREATE INDEX job_state_reason ON ledger.job_state (deployment_id, reason, job_id) WHERE reason IS NOT NULL;
CREATE INDEX job_state_provider ON ledger.job_state (provider, job_id) WHERE provider IS NOT NULL;
CREATE INDEX jobs_created ON ledger.jobs (deployment_id, created_at);
COMMENT ON INDEX ledger.jobs_created IS 'Turns a moment into bounds of the row id, in whose order pages go.';
-- Sequence numbers commit out of order, transactions below the oldest running one do not change any more: a stream goes by both.
CREATE INDEX transitions_stream ON ledger.transitions (deployment_id, transaction, sequence);
COMMENT ON INDEX ledger.transitions_stream IS 'The order in which transitions are streamed: by transaction, those above the oldest running one left out.';
