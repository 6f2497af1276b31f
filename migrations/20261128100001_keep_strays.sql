-- Workflows in the engine that no job has on record: seen twice they are removed, and people can see that they were there.
SET LOCAL search_path = ledger;

CREATE TABLE strays (
    deployment_id bigint NOT NULL REFERENCES deployments,
    uid           text NOT NULL CHECK (uid <> ''),
    name          text NOT NULL CHECK (name <> ''),
    sighted_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    confirmed_at  timestamptz CHECK (confirmed_at >= sighted_at),
    removed_at    timestamptz CHECK (removed_at >= confirmed_at),
    PRIMARY KEY (deployment_id, uid)
);
COMMENT ON TABLE strays IS 'Workflows in the engine under the name of a job that has another one on record, or none and is over. Written by: observer, reaper.';
COMMENT ON COLUMN strays.deployment_id IS 'The deployment whose job has that name.';
COMMENT ON COLUMN strays.uid IS 'The identity that the engine gave it.';
COMMENT ON COLUMN strays.name IS 'Its name, and the job''s.';
COMMENT ON COLUMN strays.sighted_at IS 'When it was seen first.';
COMMENT ON COLUMN strays.confirmed_at IS 'When it was seen again, long enough after that: only then is anything done about it. Written by: observer.';
COMMENT ON COLUMN strays.removed_at IS 'When the engine said that it is gone. Written by: reaper.';
CREATE INDEX strays_to_remove ON strays (deployment_id) WHERE confirmed_at IS NOT NULL AND removed_at IS NULL;

CREATE VIEW tidewatch.strays AS
SELECT s.deployment_id AS deployment, d.chain_id, s.name AS job, s.uid, s.sighted_at, s.confirmed_at, s.removed_at
FROM ledger.strays s JOIN ledger.deployments d ON d.id = s.deployment_id;
COMMENT ON VIEW tidewatch.strays IS 'Workflows that were found in the engine and that no job had on record: made by a dispatcher that came too late.';
COMMENT ON COLUMN tidewatch.strays.deployment IS 'Deployment whose job has that name.';
COMMENT ON COLUMN tidewatch.strays.chain_id IS 'EIP-155 chain id.';
COMMENT ON COLUMN tidewatch.strays.job IS 'The job whose name it had.';
COMMENT ON COLUMN tidewatch.strays.uid IS 'The identity that the engine gave it.';
COMMENT ON COLUMN tidewatch.strays.sighted_at IS 'When it was seen first.';
COMMENT ON COLUMN tidewatch.strays.confirmed_at IS 'When it was seen again; before that nothing is done about it.';
COMMENT ON COLUMN tidewatch.strays.removed_at IS 'When the engine said that it is gone; null of one that runs, which is left to whoever started it.';

-- sqlx records the migration in the same transaction, in a table of the default schema.
SET LOCAL search_path TO DEFAULT;
