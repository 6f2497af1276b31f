-- Operators stop jobs, have them tried again, release what waits for their review, and erase what must not be kept.
SET LOCAL search_path = ledger;

ALTER TABLE job_state
    ADD COLUMN stopped_attempt integer NOT NULL DEFAULT 0 CHECK (stopped_attempt >= 0),
    ADD COLUMN told_to_stop integer NOT NULL DEFAULT 0 CHECK (told_to_stop >= 0),
    ADD COLUMN retry boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN job_state.stopped_attempt IS 'The last attempt that an operator stopped while it ran, 0 for none. Written by: operator commands.';
COMMENT ON COLUMN job_state.told_to_stop IS 'The last attempt whose stop the engine has acknowledged. Smaller than stopped_attempt while the job runs: the dispatcher must tell it again. Written by: dispatcher.';
COMMENT ON COLUMN job_state.retry IS 'An operator wants another attempt: once nothing of the last one is left in the engine the job is queued again. Written by: operator commands, reaper.';
CREATE INDEX job_state_to_stop ON job_state (deployment_id) WHERE told_to_stop < stopped_attempt;

CREATE TABLE erasures (
    job_id    bigint PRIMARY KEY REFERENCES jobs,
    reason    text NOT NULL,
    erased_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE erasures IS 'Jobs whose logs and results an operator erased: the bytes are gone, their numbers and hashes stay. Append-only. Written by: operator commands.';
COMMENT ON COLUMN erasures.job_id IS 'The job.';
COMMENT ON COLUMN erasures.reason IS 'Why, in the operator''s words.';
COMMENT ON COLUMN erasures.erased_at IS 'When. Whoever asks for the bytes is told that they were erased.';
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON erasures FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- sqlx records the migration in the same transaction, in a table of the default schema.
SET LOCAL search_path TO DEFAULT;
