-- Which release each schema belongs to, so that a program can tell a schema one release ahead, which it can work with (steps that
-- break it are taken a release later: expand, then contract), from one that is further ahead.
CREATE TABLE ledger.releases (
    release    integer PRIMARY KEY CHECK (release > 0),
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ledger.releases IS 'Releases whose schema this database has. The first migration of a release inserts its row. Written by: migrations only.';
COMMENT ON COLUMN ledger.releases.release IS 'Number of the release; programs carry the same in RELEASE.';
COMMENT ON COLUMN ledger.releases.applied_at IS 'When this database came to it.';
INSERT INTO ledger.releases (release) VALUES (1);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger.releases FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();
