-- Blocks of history are known by the hash and time that their logs carry, without a header of their own; and a block that no
-- provider gives is parked by name.
ALTER TABLE ledger.blocks ALTER COLUMN parent_hash DROP NOT NULL;
COMMENT ON COLUMN ledger.blocks.parent_hash IS 'Hash of the block before; null for a block of history that was recorded by what its logs told.';
COMMENT ON COLUMN tidewatch.blocks.parent_hash IS 'Hash of the block before; null for a block of history that was recorded by what its logs told.';
ALTER TABLE ledger.parked DROP CONSTRAINT parked_kind_check;
ALTER TABLE ledger.parked ADD CONSTRAINT parked_kind_check CHECK (kind IN ('log', 'job', 'workflow', 'block'));
COMMENT ON COLUMN ledger.parked.kind IS 'What is parked: a log, a job, a workflow, or a block of history that no provider gives.';
