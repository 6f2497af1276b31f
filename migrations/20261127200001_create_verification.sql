-- Whether the recorded history is whole: second readings, the contracts' own counters, what was found missing and mended, who said
-- what. Everything is added beside what is there, so a program of release 1 works on.
SET LOCAL search_path = ledger;

ALTER TABLE cursors ADD COLUMN reread_number bigint;
ALTER TABLE cursors ADD COLUMN proving_to bigint;
ALTER TABLE cursors ADD COLUMN unverified text;
ALTER TABLE cursors ADD COLUMN decoder integer NOT NULL DEFAULT 1;
COMMENT ON COLUMN cursors.reread_number IS 'History up to it was read a second time, or proven; null: no further than verified_number. Written by: verifier.';
COMMENT ON COLUMN cursors.proving_to IS 'Readings of history up to it left something out, so its blocks are proven one by one by their receipts; null: none are doubted. Written by: verifier.';
COMMENT ON COLUMN cursors.unverified IS 'Why verified_number stands still; null while it goes on. Written by: verifier.';
COMMENT ON COLUMN cursors.decoder IS 'Version of the decoder for which every judged log was queued or taken in; an older judge stands still. Written by: judge.';
COMMENT ON COLUMN cursors.verified_number IS 'Up to it the logs are proven complete: by receipts root or bloom, or by a second reading and the contracts'' counters. Work starts only below it. Written by: follower (with proven blocks), verifier (history).';

ALTER TABLE deployments ADD COLUMN first_head bigint;
COMMENT ON COLUMN deployments.first_head IS 'The newest block when the deployment was first followed; null where an older program began it.';

CREATE TABLE readings (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    deployment_id bigint NOT NULL REFERENCES deployments,
    from_number   bigint NOT NULL CHECK (from_number >= 0),
    to_number     bigint NOT NULL,
    provider      text NOT NULL,
    read_at       timestamptz NOT NULL DEFAULT now(),
    CHECK (from_number <= to_number)
);
CREATE INDEX readings_range ON readings (deployment_id, to_number, from_number);
COMMENT ON TABLE readings IS 'Ranges of history that were read, and by whom: a second reading asks somebody else where there is anybody else. Append-only. Written by: follower, verifier.';
COMMENT ON COLUMN readings.provider IS 'Host and port of the provider.';

CREATE TABLE repairs (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    deployment_id bigint NOT NULL REFERENCES deployments,
    block_number  bigint NOT NULL CHECK (block_number >= 0),
    block_hash    hash32 NOT NULL,
    missing       integer NOT NULL CHECK (missing >= 0),
    disproved     integer NOT NULL CHECK (disproved >= 0),
    found_by      text NOT NULL CHECK (found_by IN ('second_reading', 'counters', 'resync')),
    proof         text NOT NULL CHECK (proof IN ('root', 'two_reads')),
    provider      text NOT NULL,
    repaired_at   timestamptz NOT NULL DEFAULT now(),
    CHECK (missing + disproved > 0)
);
CREATE INDEX repairs_deployment ON repairs (deployment_id, id);
COMMENT ON TABLE repairs IS 'Blocks whose logs were recorded wrongly, and mended. Append-only. Written by: verifier, the command follower resync.';
COMMENT ON COLUMN repairs.missing IS 'Logs that were not recorded and are now.';
COMMENT ON COLUMN repairs.disproved IS 'Recorded logs that the block does not hold; they are tombstones now.';
COMMENT ON COLUMN repairs.found_by IS 'What found it: a second reading, the contracts'' counters, or an operator''s resync.';
COMMENT ON COLUMN repairs.proof IS 'How the block''s logs were proven: by its receipts root, or by two readings that agreed.';
COMMENT ON COLUMN repairs.provider IS 'Who gave the logs.';

CREATE TABLE counter_checks (
    deployment_id bigint NOT NULL REFERENCES deployments,
    counter       text NOT NULL CHECK (counter IN ('conditions', 'agreements', 'dids')),
    block_number  bigint NOT NULL CHECK (block_number >= 0),
    block_hash    hash32 NOT NULL,
    counted       bigint NOT NULL CHECK (counted >= 0),
    before_start  bigint NOT NULL CHECK (before_start >= 0),
    recorded      bigint NOT NULL CHECK (recorded >= 0),
    comparison    text NOT NULL CHECK (comparison IN ('exact', 'at_least')),
    agrees        boolean NOT NULL,
    checked_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (deployment_id, counter, block_number)
);
COMMENT ON TABLE counter_checks IS 'What the contracts count themselves, beside the events that are recorded. Written by: verifier.';
COMMENT ON COLUMN counter_checks.counted IS 'Answer of the contract''s function at the block.';
COMMENT ON COLUMN counter_checks.before_start IS 'Its answer at the block before the first followed one, or what an operator accepted for it.';
COMMENT ON COLUMN counter_checks.recorded IS 'Recorded events up to the block that it counts.';
COMMENT ON COLUMN counter_checks.comparison IS 'exact: counted = before_start + recorded; at_least: some of what it counts makes no event that is followed.';

CREATE TABLE late_blocks (
    deployment_id bigint NOT NULL REFERENCES deployments,
    block_number  bigint NOT NULL CHECK (block_number >= 0),
    cause         text NOT NULL CHECK (cause IN ('repaired', 'decoder', 'replayed')),
    queued_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (deployment_id, block_number)
);
COMMENT ON TABLE late_blocks IS 'Blocks whose logs the judge has to take in once more, below its cursor: their logs were mended, or a newer decoder reads them. Written by: verifier, judge, operator commands; emptied by: judge.';

CREATE TABLE providers (
    deployment_id bigint NOT NULL REFERENCES deployments,
    name          text NOT NULL,
    head_number   bigint,
    head_hash     hash32,
    answered_at   timestamptz,
    failed_at     timestamptz,
    failure       text,
    PRIMARY KEY (deployment_id, name)
);
COMMENT ON TABLE providers IS 'The nodes that are asked, as they last answered. Written by: verifier.';
COMMENT ON COLUMN providers.name IS 'Host and port; the URL may hold a key.';
COMMENT ON COLUMN providers.failure IS 'What went wrong when it last failed to answer.';

CREATE TABLE disagreements (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    deployment_id bigint NOT NULL REFERENCES deployments,
    block_number  bigint NOT NULL CHECK (block_number >= 0),
    recorded_hash hash32 NOT NULL,
    provider      text NOT NULL,
    named_hash    hash32 NOT NULL,
    seen_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (deployment_id, block_number, recorded_hash, provider, named_hash)
);
COMMENT ON TABLE disagreements IS 'A provider named another block than the recorded one at a height that work was to start on. Append-only. Written by: follower.';

CREATE TABLE upgrades (
    log_id         bigint PRIMARY KEY REFERENCES logs,
    deployment_id  bigint NOT NULL REFERENCES deployments,
    proxy          address20 NOT NULL,
    implementation address20 NOT NULL,
    block_number   bigint NOT NULL CHECK (block_number >= 0),
    log_index      bigint NOT NULL CHECK (log_index >= 0),
    listed         boolean NOT NULL,
    released_at    timestamptz
);
CREATE INDEX upgrades_held ON upgrades (deployment_id, block_number) WHERE NOT listed AND released_at IS NULL;
COMMENT ON TABLE upgrades IS 'Followed proxies that were given other code. One that the deployment file does not list holds admission until an operator releases it. Written by: judge; released_at by operator commands.';
COMMENT ON COLUMN upgrades.listed IS 'Whether the deployment file lists the implementation, or it was there when following began and the file lists none.';

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON readings FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON repairs FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON disagreements FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE VIEW tidewatch.repairs AS
SELECT r.id, r.deployment_id AS deployment, d.chain_id, r.block_number, r.block_hash::bytea AS block_hash, r.missing, r.disproved,
       r.found_by, r.proof, r.provider, r.repaired_at
FROM ledger.repairs r JOIN ledger.deployments d ON d.id = r.deployment_id;
COMMENT ON VIEW tidewatch.repairs IS 'Blocks whose logs were recorded wrongly, and mended. Append-only.';
COMMENT ON COLUMN tidewatch.repairs.id IS 'Order of the repairs.';
COMMENT ON COLUMN tidewatch.repairs.deployment IS 'Deployment for which the block was mended.';
COMMENT ON COLUMN tidewatch.repairs.chain_id IS 'EIP-155 chain id.';
COMMENT ON COLUMN tidewatch.repairs.block_number IS 'Height of the block.';
COMMENT ON COLUMN tidewatch.repairs.block_hash IS 'Hash of the block.';
COMMENT ON COLUMN tidewatch.repairs.missing IS 'Logs that were not recorded and are now.';
COMMENT ON COLUMN tidewatch.repairs.disproved IS 'Recorded logs that the block does not hold.';
COMMENT ON COLUMN tidewatch.repairs.found_by IS 'second_reading, counters or resync.';
COMMENT ON COLUMN tidewatch.repairs.proof IS 'root: the block''s receipts root; two_reads: two readings that agreed.';
COMMENT ON COLUMN tidewatch.repairs.provider IS 'Who gave the logs.';
COMMENT ON COLUMN tidewatch.repairs.repaired_at IS 'When.';

CREATE VIEW tidewatch.counter_checks AS
SELECT c.deployment_id AS deployment, d.chain_id, c.counter, c.block_number, c.block_hash::bytea AS block_hash, c.counted,
       c.before_start, c.recorded, c.comparison, c.agrees, c.checked_at
FROM ledger.counter_checks c JOIN ledger.deployments d ON d.id = c.deployment_id;
COMMENT ON VIEW tidewatch.counter_checks IS 'What the contracts count themselves, beside the events that are recorded.';
COMMENT ON COLUMN tidewatch.counter_checks.deployment IS 'Deployment whose contracts were asked.';
COMMENT ON COLUMN tidewatch.counter_checks.chain_id IS 'EIP-155 chain id.';
COMMENT ON COLUMN tidewatch.counter_checks.counter IS 'conditions, agreements or dids.';
COMMENT ON COLUMN tidewatch.counter_checks.block_number IS 'Height at which it was asked.';
COMMENT ON COLUMN tidewatch.counter_checks.block_hash IS 'Hash of that block.';
COMMENT ON COLUMN tidewatch.counter_checks.counted IS 'The contract''s answer.';
COMMENT ON COLUMN tidewatch.counter_checks.before_start IS 'Its answer before the first followed block.';
COMMENT ON COLUMN tidewatch.counter_checks.recorded IS 'Recorded events up to that block that it counts.';
COMMENT ON COLUMN tidewatch.counter_checks.comparison IS 'exact: counted = before_start + recorded; at_least: counted is no less.';
COMMENT ON COLUMN tidewatch.counter_checks.agrees IS 'Whether that held.';
COMMENT ON COLUMN tidewatch.counter_checks.checked_at IS 'When.';

CREATE VIEW tidewatch.disagreements AS
SELECT a.id, a.deployment_id AS deployment, d.chain_id, a.block_number, a.recorded_hash::bytea AS recorded_hash, a.provider,
       a.named_hash::bytea AS named_hash, a.seen_at
FROM ledger.disagreements a JOIN ledger.deployments d ON d.id = a.deployment_id;
COMMENT ON VIEW tidewatch.disagreements IS 'Providers that named another block than the recorded one at a height that work was to start on. Append-only.';
COMMENT ON COLUMN tidewatch.disagreements.id IS 'Order of the observations.';
COMMENT ON COLUMN tidewatch.disagreements.deployment IS 'Deployment that was followed.';
COMMENT ON COLUMN tidewatch.disagreements.chain_id IS 'EIP-155 chain id.';
COMMENT ON COLUMN tidewatch.disagreements.block_number IS 'Height in question.';
COMMENT ON COLUMN tidewatch.disagreements.recorded_hash IS 'The recorded block there.';
COMMENT ON COLUMN tidewatch.disagreements.provider IS 'Who named another one.';
COMMENT ON COLUMN tidewatch.disagreements.named_hash IS 'The block it named.';
COMMENT ON COLUMN tidewatch.disagreements.seen_at IS 'When.';

CREATE VIEW tidewatch.providers AS
SELECT p.deployment_id AS deployment, d.chain_id, p.name, p.head_number, p.head_hash::bytea AS head_hash, p.answered_at,
       p.failed_at, p.failure
FROM ledger.providers p JOIN ledger.deployments d ON d.id = p.deployment_id;
COMMENT ON VIEW tidewatch.providers IS 'The nodes that are asked, as they last answered.';
COMMENT ON COLUMN tidewatch.providers.deployment IS 'Deployment that is followed.';
COMMENT ON COLUMN tidewatch.providers.chain_id IS 'EIP-155 chain id.';
COMMENT ON COLUMN tidewatch.providers.name IS 'Host and port.';
COMMENT ON COLUMN tidewatch.providers.head_number IS 'Height of the newest block it named.';
COMMENT ON COLUMN tidewatch.providers.head_hash IS 'Hash of that block.';
COMMENT ON COLUMN tidewatch.providers.answered_at IS 'When it last answered.';
COMMENT ON COLUMN tidewatch.providers.failed_at IS 'When it last failed to.';
COMMENT ON COLUMN tidewatch.providers.failure IS 'What went wrong then.';

CREATE VIEW tidewatch.upgrades AS
SELECT u.deployment_id AS deployment, d.chain_id, u.proxy::bytea AS proxy, u.implementation::bytea AS implementation,
       u.block_number, l.block_hash::bytea AS block_hash, l.transaction_hash::bytea AS transaction_hash, u.log_index, l.canonical,
       u.listed, u.released_at
FROM ledger.upgrades u JOIN ledger.deployments d ON d.id = u.deployment_id JOIN ledger.logs l ON l.id = u.log_id;
COMMENT ON VIEW tidewatch.upgrades IS 'Followed proxies that were given other code. One that is neither listed nor released holds admission.';
COMMENT ON COLUMN tidewatch.upgrades.deployment IS 'Deployment of the proxy.';
COMMENT ON COLUMN tidewatch.upgrades.chain_id IS 'EIP-155 chain id.';
COMMENT ON COLUMN tidewatch.upgrades.proxy IS 'Followed address.';
COMMENT ON COLUMN tidewatch.upgrades.implementation IS 'What it runs from then on.';
COMMENT ON COLUMN tidewatch.upgrades.block_number IS 'Height of the block.';
COMMENT ON COLUMN tidewatch.upgrades.block_hash IS 'Hash of the block.';
COMMENT ON COLUMN tidewatch.upgrades.transaction_hash IS 'Transaction that did it.';
COMMENT ON COLUMN tidewatch.upgrades.log_index IS 'Place of the log in its block.';
COMMENT ON COLUMN tidewatch.upgrades.canonical IS 'Whether that block is on the chain.';
COMMENT ON COLUMN tidewatch.upgrades.listed IS 'Whether the deployment file lists the implementation, or it was there when following began and the file lists none.';
COMMENT ON COLUMN tidewatch.upgrades.released_at IS 'When an operator released admission from it.';

SET LOCAL search_path TO DEFAULT;
