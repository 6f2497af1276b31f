-- The ledger: what the chain said (deployments, blocks, logs), what follows from it (facts, jobs, verdicts, specifications),
-- and what became of it (job_state, attempts, transitions, logs, results). README.md beside this file lists tables, writers
-- and the invariants that the schema cannot express.
--
-- Tables live in the schema ledger, which is ours to change. What auditors may rely on are the views in the schema tidewatch.
CREATE SCHEMA ledger;
SET LOCAL search_path = ledger;

CREATE DOMAIN hash32 AS bytea CHECK (octet_length(VALUE) = 32);
CREATE DOMAIN address20 AS bytea CHECK (octet_length(VALUE) = 20);
CREATE DOMAIN uint256 AS numeric(78, 0) CHECK (VALUE >= 0);

-- Refuses to alter or take away rows of tables that only grow. Erasure by an operator goes through functions of its own.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of ledger.% is not allowed: its rows are append-only', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

---------------------------------------------------------------------------------------------------------------- deployments

CREATE TABLE deployments (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    chain_id        bigint NOT NULL CHECK (chain_id > 0),
    genesis_hash    hash32 NOT NULL,
    contracts_hash  hash32 NOT NULL,
    contracts       jsonb  NOT NULL,
    start_block     bigint NOT NULL CHECK (start_block >= 0),
    start_hash      hash32 NOT NULL,
    start_fixed     boolean NOT NULL DEFAULT false,
    act_at          text   NOT NULL,
    irreversible_at text   NOT NULL,
    act_from_block  bigint CHECK (act_from_block >= 0),
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (chain_id, genesis_hash, contracts_hash)
);
COMMENT ON TABLE deployments IS 'One keeper contract set on one chain. Its id leads every key. Written by: follower.';
COMMENT ON COLUMN deployments.chain_id IS 'EIP-155 chain id.';
COMMENT ON COLUMN deployments.genesis_hash IS 'Hash of block 0: tells a chain from another one restarted under the same id.';
COMMENT ON COLUMN deployments.contracts_hash IS 'SHA-256 over the canonical contract set: names and addresses.';
COMMENT ON COLUMN deployments.contracts IS 'The contract set, for people.';
COMMENT ON COLUMN deployments.start_block IS 'First followed block.';
COMMENT ON COLUMN deployments.start_hash IS 'Hash of the start block as last seen; checked against the node on every connection.';
COMMENT ON COLUMN deployments.start_fixed IS 'True once the start block is irreversible: from then on another hash is another chain.';
COMMENT ON COLUMN deployments.act_at IS 'Rule for starting work: finalized, safe, latest, or a depth in blocks.';
COMMENT ON COLUMN deployments.irreversible_at IS 'Rule for what may never roll back: finalized, or a depth. Decided once.';
COMMENT ON COLUMN deployments.act_from_block IS 'Conditions owed before it start nothing; null until the first irreversible block was seen.';

CREATE TABLE cursors (
    deployment_id        bigint PRIMARY KEY REFERENCES deployments,
    epoch                bigint NOT NULL DEFAULT 0,
    filter_fingerprint   hash32 NOT NULL,
    filter_version       integer NOT NULL,
    head_number          bigint,
    head_hash            hash32,
    act_number           bigint,
    irreversible_number  bigint,
    irreversible_hash    hash32,
    recorded_number      bigint NOT NULL,
    recorded_hash        hash32 NOT NULL,
    judged_number        bigint NOT NULL,
    judged_hash          hash32 NOT NULL,
    verified_number      bigint NOT NULL,
    halt                 text,
    halted_at            timestamptz,
    updated_at           timestamptz NOT NULL DEFAULT now(),
    CHECK (judged_number <= recorded_number),
    CHECK (verified_number <= recorded_number),
    CHECK ((irreversible_number IS NULL) = (irreversible_hash IS NULL)),
    CHECK ((halt IS NULL) = (halted_at IS NULL))
) WITH (fillfactor = 50);
COMMENT ON TABLE cursors IS 'The horizons and cursors of a deployment; every change is a compare-and-set on number, hash, epoch and filter. Written by: follower (all but judged_*), judge (judged_*).';
COMMENT ON COLUMN cursors.epoch IS 'Grows with every rollback: whoever read rows before it must read again.';
COMMENT ON COLUMN cursors.filter_fingerprint IS 'SHA-256 of the followed addresses.';
COMMENT ON COLUMN cursors.filter_version IS 'Grows when a newer program follows more; an older one cannot move the cursor any more.';
COMMENT ON COLUMN cursors.head_number IS 'Highest block that the node named.';
COMMENT ON COLUMN cursors.act_number IS 'Highest block on whose strength work may start, by the rule act_at.';
COMMENT ON COLUMN cursors.irreversible_number IS 'Highest block that may never roll back; monotone.';
COMMENT ON COLUMN cursors.recorded_number IS 'Every log up to it, in blocks of its chain, is in logs.';
COMMENT ON COLUMN cursors.judged_number IS 'Every consequence of logs up to it has been drawn.';
COMMENT ON COLUMN cursors.verified_number IS 'Up to it the logs are proven complete; backfilled work starts only below it.';
COMMENT ON COLUMN cursors.halt IS 'Why the follower stands still until an operator releases it.';

CREATE TABLE blocks (
    deployment_id bigint NOT NULL REFERENCES deployments,
    number        bigint NOT NULL CHECK (number >= 0),
    hash          hash32 NOT NULL,
    parent_hash   hash32 NOT NULL,
    made_at       timestamptz NOT NULL,
    canonical     boolean NOT NULL DEFAULT true,
    proof         text NOT NULL CHECK (proof IN ('root', 'bloom', 'two_reads', 'single_read')),
    recorded_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (deployment_id, hash)
);
CREATE UNIQUE INDEX blocks_canonical ON blocks (deployment_id, number) WHERE canonical;
COMMENT ON TABLE blocks IS 'Blocks above the irreversible one, blocks that hold recorded logs, and orphaned ones. Written by: follower.';
COMMENT ON COLUMN blocks.made_at IS 'The block''s timestamp, by its maker''s clock.';
COMMENT ON COLUMN blocks.canonical IS 'False once a reorganisation replaced it; true again when the chain returns to it.';
COMMENT ON COLUMN blocks.proof IS 'How it was made sure that no log is missing: receipts root, negative bloom, two reads, or one read.';

CREATE TABLE logs (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    deployment_id     bigint NOT NULL REFERENCES deployments,
    block_number      bigint NOT NULL CHECK (block_number >= 0),
    block_hash        hash32 NOT NULL,
    log_index         bigint NOT NULL CHECK (log_index >= 0),
    transaction_hash  hash32 NOT NULL,
    transaction_index bigint NOT NULL CHECK (transaction_index >= 0),
    address           address20 NOT NULL,
    topics            bytea[] NOT NULL CHECK (cardinality(topics) <= 4),
    data              bytea NOT NULL,
    canonical         boolean NOT NULL DEFAULT true,
    recorded_at       timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX logs_canonical ON logs (deployment_id, block_number, log_index) WHERE canonical;
CREATE UNIQUE INDEX logs_orphaned ON logs (deployment_id, block_hash, log_index) WHERE NOT canonical;
CREATE INDEX logs_transaction ON logs (deployment_id, transaction_hash);
COMMENT ON TABLE logs IS 'Every log ever seen of a followed contract, raw. A reorganisation turns canonical off, never deletes. Written by: follower.';
COMMENT ON INDEX logs_canonical IS 'Makes two canonical logs at one place impossible.';
COMMENT ON INDEX logs_orphaned IS 'A return to an old fork revives its rows by UPDATE.';
COMMENT ON COLUMN logs.topics IS 'As the node gave them; the first is the event''s signature hash.';

---------------------------------------------------------------------------------------------------------------- judging

CREATE TABLE log_subjects (
    deployment_id bigint NOT NULL REFERENCES deployments,
    kind          text NOT NULL CHECK (kind IN ('agreement', 'condition', 'did')),
    subject       hash32 NOT NULL,
    log_id        bigint NOT NULL REFERENCES logs,
    PRIMARY KEY (deployment_id, kind, subject, log_id)
);
CREATE INDEX log_subjects_log ON log_subjects (log_id);
COMMENT ON TABLE log_subjects IS 'What each decoded log is about: how the judge finds all events of an agreement, a condition or an asset. Derived; can be made again from logs. Written by: judge.';

CREATE TABLE decoded_logs (
    log_id    bigint PRIMARY KEY REFERENCES logs,
    decoder   integer NOT NULL,
    contract  text NOT NULL,
    name      text NOT NULL,
    arguments jsonb NOT NULL
);
COMMENT ON TABLE decoded_logs IS 'What each log says, for people. Derived; a newer decoder writes it anew. Text is made safe here (no NUL); the bytes in logs are the record. Written by: judge.';
COMMENT ON COLUMN decoded_logs.decoder IS 'Version of the decoder that wrote it.';

CREATE TABLE judge_queue (
    deployment_id bigint NOT NULL REFERENCES deployments,
    agreement_id  hash32 NOT NULL,
    due_at        timestamptz NOT NULL DEFAULT now(),
    due_block     bigint,
    cause         text NOT NULL,
    PRIMARY KEY (deployment_id, agreement_id)
);
COMMENT ON TABLE judge_queue IS 'Agreements to be judged again: their events moved, or something was awaited. Written by: follower (on a rollback), judge.';
COMMENT ON COLUMN judge_queue.due_block IS 'Not before this block is irreversible; null: not tied to a block.';

CREATE TABLE facts (
    deployment_id bigint NOT NULL REFERENCES deployments,
    kind          text NOT NULL CHECK (kind IN ('agreement', 'condition', 'did_owner', 'code')),
    subject       hash32 NOT NULL,
    value         jsonb NOT NULL,
    at_block      bigint NOT NULL,
    read_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (deployment_id, kind, subject)
);
COMMENT ON TABLE facts IS 'What events do not carry and never changes once it is set, read by calls. Write-once. Written by: judge.';

CREATE TABLE policy_versions (
    sha256     hash32 PRIMARY KEY,
    body       bytea NOT NULL,
    first_used timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE policy_versions IS 'Every catalog that judged anything, by the hash of its file. Written by: judge, resolver.';

CREATE TABLE jobs (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    deployment_id  bigint NOT NULL REFERENCES deployments,
    trigger        text NOT NULL,
    contract       address20 NOT NULL,
    key            hash32 NOT NULL,
    name           text NOT NULL CHECK (name ~ '^job-[0-9a-f]{32}$'),
    agreement_id   hash32 NOT NULL,
    did            hash32 NOT NULL,
    consumer       address20 NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (deployment_id, contract, key)
);
CREATE INDEX jobs_name ON jobs (name);
CREATE INDEX jobs_agreement ON jobs (deployment_id, agreement_id);
CREATE INDEX jobs_consumer ON jobs (consumer, id DESC);
CREATE INDEX jobs_did ON jobs (did, id DESC);
COMMENT ON TABLE jobs IS 'One row for every compute Fulfilled log''s condition. Immutable. Written by: judge.';
COMMENT ON COLUMN jobs.trigger IS 'What owes the job: keeper.';
COMMENT ON COLUMN jobs.key IS 'The trigger''s key: for the keeper the condition id.';
COMMENT ON COLUMN jobs.name IS 'Public id and name of the workflow: job- and 32 digits of keccak256(abi.encode(chainId, contract, key)).';

CREATE TABLE job_state (
    job_id           bigint PRIMARY KEY REFERENCES jobs,
    deployment_id    bigint NOT NULL REFERENCES deployments,
    phase            text NOT NULL CHECK (phase IN ('awaiting_payment', 'undecided', 'awaiting_document', 'queued', 'configuring',
                         'running', 'filtering', 'publishing', 'awaiting_review', 'finished')),
    outcome          text CHECK (outcome IN ('succeeded', 'failed', 'timed_out', 'stopped', 'refused', 'withdrawn', 'skipped', 'lost')),
    reason           text,
    attempt          integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    started_attempt  integer NOT NULL DEFAULT 0 CHECK (started_attempt >= 0),
    block_number     bigint NOT NULL,
    block_hash       hash32 NOT NULL,
    log_id           bigint NOT NULL REFERENCES logs,
    block_canonical  boolean NOT NULL,
    owed_block       bigint,
    provider         address20,
    payment          uint256,
    payer            address20,
    workflow_uid     text,
    run_as           integer CHECK (run_as BETWEEN 10000 AND 64999),
    released         boolean NOT NULL DEFAULT false,
    removed          boolean NOT NULL DEFAULT false,
    not_before       timestamptz NOT NULL DEFAULT now(),
    lease_token      uuid,
    lease_worker     text,
    lease_until      timestamptz,
    lease_failures   integer NOT NULL DEFAULT 0,
    started_at       timestamptz,
    finished_at      timestamptz,
    last_transition  integer NOT NULL DEFAULT 0,
    last_hash        hash32 NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
    CHECK ((phase = 'finished') = (outcome IS NOT NULL)),
    CHECK (outcome IS NULL OR outcome = 'succeeded' OR reason IS NOT NULL),
    CHECK ((lease_token IS NULL) = (lease_until IS NULL)),
    CHECK ((phase = 'finished') = (finished_at IS NOT NULL))
) WITH (fillfactor = 60);
CREATE INDEX job_state_open ON job_state (deployment_id, phase, job_id) WHERE NOT removed;
CREATE UNIQUE INDEX job_state_run_as ON job_state (run_as) WHERE run_as IS NOT NULL AND NOT removed;
COMMENT ON TABLE job_state IS 'What changes of a job: narrow, so that updates stay cheap. Moved only together with a transition. Written by: judge (until queued), resolver, dispatcher, observer, collector, reaper.';
COMMENT ON COLUMN job_state.started_attempt IS 'The attempt whose start the engine has acknowledged. Smaller than attempt: the dispatcher must ask for the start again.';
COMMENT ON COLUMN job_state.block_number IS 'The block of the Fulfilled log that the job is anchored in now.';
COMMENT ON COLUMN job_state.block_canonical IS 'Whether that block is on the chain; it stands beside the phase, which an orphaned job keeps.';
COMMENT ON COLUMN job_state.owed_block IS 'Block from which the job is owed: of the event, or of the payment when that came later.';
COMMENT ON COLUMN job_state.payment IS 'Paid amount in the token''s smallest unit.';
COMMENT ON COLUMN job_state.workflow_uid IS 'Uid of the inert workflow, set once by compare-and-set before the start. Recorded and missing in the cluster means lost.';
COMMENT ON COLUMN job_state.run_as IS 'Unix user of the job''s stages, unique among jobs whose workflow is not removed.';
COMMENT ON COLUMN job_state.released IS 'Outcome and log are in the ledger; the workflow''s finalizer was dropped.';
COMMENT ON COLUMN job_state.removed IS 'Nothing of the job is left in the engine, or nothing ever was.';
COMMENT ON COLUMN job_state.lease_until IS 'By the database''s clock.';

CREATE TABLE verdicts (
    job_id        bigint NOT NULL REFERENCES jobs,
    number        integer NOT NULL CHECK (number > 0),
    admitted      boolean NOT NULL,
    verdict       text NOT NULL CHECK (verdict IN ('admitted', 'awaiting_payment', 'undecided', 'refused', 'skipped', 'withdrawn')),
    reason        text,
    rules         jsonb NOT NULL,
    policy_sha256 hash32 REFERENCES policy_versions,
    judged_number bigint NOT NULL,
    judged_hash   hash32 NOT NULL,
    judged_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, number)
);
COMMENT ON TABLE verdicts IS 'Every verdict that differed from the one before, with each rule''s answer. Append-only. Written by: judge, resolver.';
COMMENT ON COLUMN verdicts.rules IS 'Array of {rule, answer, detail, evidence}: what was asked, what came out, and the log or call that decided it.';

CREATE TABLE job_evidence (
    job_id bigint NOT NULL REFERENCES jobs,
    role   text NOT NULL CHECK (role IN ('creation', 'registration', 'lock', 'execute', 'abort', 'workflow')),
    log_id bigint NOT NULL REFERENCES logs,
    PRIMARY KEY (job_id, role, log_id)
);
CREATE INDEX job_evidence_log ON job_evidence (log_id);
COMMENT ON TABLE job_evidence IS 'The logs a job''s verdict rests on. Written by: judge, resolver.';

CREATE TABLE documents (
    sha256      hash32 PRIMARY KEY,
    body        bytea NOT NULL,
    source      text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE documents IS 'Workflow documents exactly as they were had. Written by: resolver.';

CREATE TABLE job_specs (
    job_id          bigint PRIMARY KEY REFERENCES jobs,
    body            bytea NOT NULL,
    sha256          hash32 NOT NULL,
    source          text NOT NULL CHECK (source IN ('consumer', 'asset', 'service', 'catalog')),
    document_sha256 hash32 REFERENCES documents,
    policy_sha256   hash32 NOT NULL REFERENCES policy_versions,
    frozen_at       timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE job_specs IS 'What a job runs, frozen before it can start; write-once. Holds source URLs: never public. Written by: resolver.';
COMMENT ON COLUMN job_specs.source IS 'The rule that named the workflow: the consumer on chain, the asset itself, its compute service, the publisher''s catalog.';

CREATE TABLE parked (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    deployment_id bigint REFERENCES deployments,
    kind          text NOT NULL CHECK (kind IN ('log', 'job', 'workflow')),
    key           text NOT NULL,
    reason        text NOT NULL,
    parked_at     timestamptz NOT NULL DEFAULT now(),
    replayed_at   timestamptz
);
CREATE UNIQUE INDEX parked_open ON parked (deployment_id, kind, key) WHERE replayed_at IS NULL;
COMMENT ON TABLE parked IS 'What could not be handled and does not hold up the rest: visible, replayable. Written by: every worker.';

---------------------------------------------------------------------------------------------------------------- running

CREATE TABLE job_attempts (
    job_id      bigint NOT NULL REFERENCES jobs,
    attempt     integer NOT NULL CHECK (attempt > 0),
    started_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    stages      jsonb NOT NULL DEFAULT '[]',
    PRIMARY KEY (job_id, attempt)
);
COMMENT ON TABLE job_attempts IS 'Attempts with their stages as last observed. Written by: dispatcher (the row), observer (stages, end).';
COMMENT ON COLUMN job_attempts.stages IS 'Array of {stage, runner, startedAt, finishedAt, exitCode}; exit codes are for the parties only.';

CREATE TABLE transitions (
    sequence      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    deployment_id bigint NOT NULL REFERENCES deployments,
    job_id        bigint NOT NULL REFERENCES jobs,
    number        integer NOT NULL CHECK (number > 0),
    phase         text NOT NULL,
    outcome       text,
    reason        text,
    attempt       integer NOT NULL,
    at            timestamptz NOT NULL,
    previous_hash hash32 NOT NULL,
    hash          hash32 NOT NULL,
    worker        text NOT NULL,
    transaction   xid8 NOT NULL DEFAULT pg_current_xact_id(),
    UNIQUE (job_id, number)
);
COMMENT ON TABLE transitions IS 'Every change of a job''s status, append-only, hash-chained within the job. Written by: whoever moves job_state, in the same transaction.';
COMMENT ON COLUMN transitions.transaction IS 'Sequence numbers commit out of order: a stream reads below pg_snapshot_xmin(pg_current_snapshot()).';

CREATE TABLE job_logs (
    job_id       bigint NOT NULL REFERENCES jobs,
    attempt      integer NOT NULL CHECK (attempt > 0),
    stage        text NOT NULL CHECK (stage IN ('configure', 'algorithm', 'filter', 'publish')),
    completeness text CHECK (completeness IN ('complete', 'truncated', 'gap', 'unverified')),
    bytes        bigint NOT NULL DEFAULT 0 CHECK (bytes >= 0),
    sha256       hash32,
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, attempt, stage)
);
COMMENT ON TABLE job_logs IS 'State of each job log. completeness is null while it is a live preview. Written by: collector.';

CREATE TABLE job_log_chunks (
    job_id  bigint NOT NULL,
    attempt integer NOT NULL,
    stage   text NOT NULL,
    start   bigint NOT NULL CHECK (start >= 0),
    body    bytea NOT NULL,
    PRIMARY KEY (job_id, attempt, stage, start),
    FOREIGN KEY (job_id, attempt, stage) REFERENCES job_logs
);
COMMENT ON TABLE job_log_chunks IS 'Bytes of job logs, as bytes; start is the offset of the first. The preview''s chunks are replaced by the record''s. Written by: collector.';

CREATE TABLE results (
    job_id          bigint NOT NULL REFERENCES jobs,
    attempt         integer NOT NULL CHECK (attempt > 0),
    manifest_key    text NOT NULL,
    manifest_sha256 hash32 NOT NULL,
    files           integer NOT NULL CHECK (files >= 0),
    bytes           bigint NOT NULL CHECK (bytes >= 0),
    recorded_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, attempt)
);
COMMENT ON TABLE results IS 'What publishing stored: the manifest''s place and hash. Write-once. Written by: collector.';

CREATE TABLE operator_actions (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    action       text NOT NULL,
    subject      text NOT NULL,
    reason       text NOT NULL,
    database_user text NOT NULL DEFAULT session_user,
    at           timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE operator_actions IS 'What operators did by hand, with their reason. Append-only. Written by: operator commands.';

---------------------------------------------------------------------------------------------------------------- guards

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON transitions FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON verdicts FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON jobs FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON job_specs FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON facts FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON documents FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON policy_versions FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON results FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON operator_actions FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON logs FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON blocks FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON transitions FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON verdicts FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON logs FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON blocks FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- sqlx records the migration in the same transaction, in a table of the default schema.
SET LOCAL search_path TO DEFAULT;
