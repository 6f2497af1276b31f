-- What an attempt's isolation from the network rested on, where SQL can find it. It is derived from the stages as observed, so
-- that it cannot differ from them, and whatever writes them needs not to know of it.
ALTER TABLE ledger.job_attempts
    ADD COLUMN isolation text GENERATED ALWAYS AS (
        jsonb_path_query_first(stages, '$[*] ? (@.stage == "algorithm").isolation') #>> '{}'
    ) STORED;
COMMENT ON COLUMN ledger.job_attempts.isolation IS
    'What the algorithm''s isolation from the network rested on, of stages: proven (its own pod saw the cluster deny it), unproven (on the guard alone), open (the publisher lets it use the network). Null until it has ended.';
COMMENT ON COLUMN ledger.job_attempts.stages IS
    'Array of {stage, runner, startedAt, finishedAt, exitCode, isolation}; exit codes are for the parties only.';

-- The newest word about the cluster, for /v1/sync and metrics.
CREATE INDEX job_attempts_by_isolation ON ledger.job_attempts (started_at DESC) WHERE isolation IN ('proven', 'unproven');
COMMENT ON INDEX ledger.job_attempts_by_isolation IS 'Finds what the newest attempt saw of the cluster''s denial of the network.';
