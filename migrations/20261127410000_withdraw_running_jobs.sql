-- A running job whose event is gone from the chain for good is ended.
SET LOCAL search_path = ledger;

ALTER TABLE job_state ADD COLUMN withdrawn_attempt integer NOT NULL DEFAULT 0 CHECK (withdrawn_attempt >= 0);
COMMENT ON COLUMN job_state.withdrawn_attempt IS 'The last attempt whose event was gone from the chain for good while it ran, 0 for none: the engine has to end it, and its results stay in. Never smaller than before. Written by: judge.';

-- sqlx records the migration in the same transaction, in a table of the default schema.
SET LOCAL search_path TO DEFAULT;
