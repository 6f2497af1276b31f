-- A log that its block was proven not to hold stays a tombstone when the chain returns to that block, and is not in the way of the block's
-- own log at its place.

ALTER TABLE ledger.logs ADD COLUMN disproved boolean NOT NULL DEFAULT false;
ALTER TABLE ledger.logs ADD CONSTRAINT logs_disproved CHECK (NOT (disproved AND canonical)) NOT VALID;
COMMENT ON COLUMN ledger.logs.disproved IS 'The block of that hash was proven not to hold it: never canonical again.';

DROP INDEX ledger.logs_orphaned;
CREATE UNIQUE INDEX logs_orphaned_once ON ledger.logs (deployment_id, block_hash, log_index) WHERE NOT canonical AND NOT disproved;
COMMENT ON INDEX ledger.logs_orphaned_once IS 'Makes two tombstones of one log impossible; finds those of a block that returns.';
CREATE INDEX logs_orphaned ON ledger.logs (deployment_id, block_number, log_index) WHERE NOT canonical;
COMMENT ON INDEX ledger.logs_orphaned IS 'The order in which tombstones are listed.';
