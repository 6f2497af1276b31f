-- A parent is kept only where something was compared with it: one provider's word is no fact.

COMMENT ON COLUMN ledger.blocks.parent_hash IS 'Hash of the block before, where it is recorded too or the header adds up to its hash; else null.';
COMMENT ON COLUMN tidewatch.blocks.parent_hash IS 'Hash of the block before, where it is recorded too or the header adds up to its hash; else null.';
