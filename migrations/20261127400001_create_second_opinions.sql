-- What the contracts answer on the state after a block, beside what their events say. A difference parks the job.
CREATE TABLE ledger.second_opinions (
    deployment_id bigint NOT NULL REFERENCES ledger.deployments,
    condition_id  ledger.hash32 NOT NULL,
    block_hash    ledger.hash32 NOT NULL,
    number        integer NOT NULL CHECK (number > 0),
    block_number  bigint NOT NULL CHECK (block_number >= 0),
    answers       jsonb NOT NULL,
    taken_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (deployment_id, condition_id, block_hash, number)
);
COMMENT ON TABLE ledger.second_opinions IS 'What contracts answered on the state after a block that decides a verdict, where the node still had it. Append-only. Written by: judge.';
COMMENT ON COLUMN ledger.second_opinions.deployment_id IS 'The deployment of the condition.';
COMMENT ON COLUMN ledger.second_opinions.condition_id IS 'The compute condition whose verdict it is about.';
COMMENT ON COLUMN ledger.second_opinions.block_hash IS 'The block whose state was asked, by its hash.';
COMMENT ON COLUMN ledger.second_opinions.number IS '1 for the first; each replay of the job after it was parked asks once more.';
COMMENT ON COLUMN ledger.second_opinions.block_number IS 'Height of that block.';
COMMENT ON COLUMN ledger.second_opinions.answers IS 'The agreement, its conditions and the asset''s owner as the contracts answered: {agreement, conditions[], owner}.';
COMMENT ON COLUMN ledger.second_opinions.taken_at IS 'When it was asked.';
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger.second_opinions
    FOR EACH ROW EXECUTE FUNCTION ledger.refuse_change();

CREATE VIEW tidewatch.second_opinions AS
SELECT o.deployment_id AS deployment, j.name AS job, o.condition_id::bytea AS key, o.number, o.block_number,
       o.block_hash::bytea AS block_hash, o.answers, o.taken_at
FROM ledger.second_opinions o
JOIN ledger.jobs j ON j.deployment_id = o.deployment_id AND j.key = o.condition_id;
COMMENT ON VIEW tidewatch.second_opinions IS 'What contracts answered beside what their events say, on the state of a block that decided a verdict.';
COMMENT ON COLUMN tidewatch.second_opinions.deployment IS 'Deployment of the job.';
COMMENT ON COLUMN tidewatch.second_opinions.job IS 'Public id of the job.';
COMMENT ON COLUMN tidewatch.second_opinions.key IS 'The trigger''s key: for the keeper the condition id.';
COMMENT ON COLUMN tidewatch.second_opinions.number IS '1 for the first; each replay of the parked job asks once more.';
COMMENT ON COLUMN tidewatch.second_opinions.block_number IS 'Height of the block whose state was asked.';
COMMENT ON COLUMN tidewatch.second_opinions.block_hash IS 'Hash of that block.';
COMMENT ON COLUMN tidewatch.second_opinions.answers IS 'The agreement, its conditions and the asset''s owner as the contracts answered.';
COMMENT ON COLUMN tidewatch.second_opinions.taken_at IS 'When it was asked.';
