-- The agent: what the publisher's own key does on chain, each act one row, with every transaction that was ever signed for it.
SET LOCAL search_path = ledger;

CREATE TABLE agent_cursors (
    deployment_id     bigint PRIMARY KEY REFERENCES deployments,
    considered_number bigint NOT NULL CHECK (considered_number >= -1),
    epoch             bigint NOT NULL,
    updated_at        timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE agent_cursors IS 'How far the agent has looked for payments. Written by: agent.';
COMMENT ON COLUMN agent_cursors.deployment_id IS 'The deployment.';
COMMENT ON COLUMN agent_cursors.considered_number IS 'Every agreement paid up to this block has its act, or needs none.';
COMMENT ON COLUMN agent_cursors.epoch IS 'The follower''s epoch when that was so: after a rollback the agent looks again.';
COMMENT ON COLUMN agent_cursors.updated_at IS 'When it moved last.';

CREATE TABLE agent_accounts (
    chain_id      bigint NOT NULL CHECK (chain_id > 0),
    genesis_hash  hash32 NOT NULL,
    account       address20 NOT NULL,
    balance       uint256 NOT NULL,
    latest_count  bigint NOT NULL CHECK (latest_count >= 0),
    pending_count bigint NOT NULL CHECK (pending_count >= 0),
    read_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chain_id, genesis_hash, account)
);
COMMENT ON TABLE agent_accounts IS 'The agent''s accounts as the node showed them last. Written by: agent.';
COMMENT ON COLUMN agent_accounts.chain_id IS 'EIP-155 chain id.';
COMMENT ON COLUMN agent_accounts.genesis_hash IS 'Hash of block 0: a restarted development chain counts from zero again.';
COMMENT ON COLUMN agent_accounts.account IS 'The key''s address.';
COMMENT ON COLUMN agent_accounts.balance IS 'In wei.';
COMMENT ON COLUMN agent_accounts.latest_count IS 'Transactions mined, by whoever uses the key.';
COMMENT ON COLUMN agent_accounts.pending_count IS 'The same, those that the node holds in its pool included.';
COMMENT ON COLUMN agent_accounts.read_at IS 'When the node said so.';

CREATE TABLE agent_acts (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    deployment_id bigint NOT NULL REFERENCES deployments,
    act           text NOT NULL CHECK (act IN ('approve', 'release')),
    agreement_id  hash32 NOT NULL,
    job_id        bigint REFERENCES jobs,
    state         text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'mined', 'done', 'declined', 'failed')),
    reason        text,
    detail        text,
    rules         jsonb NOT NULL DEFAULT '[]',
    refund        jsonb,
    policy_sha256 hash32,
    judged_number bigint CHECK (judged_number >= 0),
    judged_hash   hash32,
    epoch         bigint NOT NULL DEFAULT 0,
    until_block   bigint CHECK (until_block >= 0),
    done_by       text CHECK (done_by IN ('agent', 'other')),
    transaction_hash hash32,
    block_number  bigint CHECK (block_number >= 0),
    block_hash    hash32,
    not_before    timestamptz NOT NULL DEFAULT now(),
    lease_token   uuid,
    lease_until   timestamptz,
    failures      integer NOT NULL DEFAULT 0,
    created_at    timestamptz NOT NULL DEFAULT now(),
    changed_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (deployment_id, act, agreement_id),
    CHECK ((lease_token IS NULL) = (lease_until IS NULL)),
    CHECK (state NOT IN ('mined', 'done') OR done_by IS NOT NULL),
    CHECK (state NOT IN ('declined', 'failed') OR reason IS NOT NULL),
    CHECK ((block_number IS NULL) = (block_hash IS NULL))
);
CREATE INDEX agent_acts_open ON agent_acts (deployment_id, not_before) WHERE state IN ('waiting', 'sent', 'mined');
COMMENT ON TABLE agent_acts IS 'What the agent does, or declines to do, about an agreement. One row per act. Written by: agent.';
COMMENT ON INDEX agent_acts_open IS 'The agent''s queue.';
COMMENT ON COLUMN agent_acts.id IS 'Surrogate id.';
COMMENT ON COLUMN agent_acts.deployment_id IS 'The deployment.';
COMMENT ON COLUMN agent_acts.act IS 'approve: fulfil the compute condition. release: let the escrow pay.';
COMMENT ON COLUMN agent_acts.agreement_id IS 'The agreement.';
COMMENT ON COLUMN agent_acts.job_id IS 'The job whose end calls for the act; null for an approval, which comes before the job.';
COMMENT ON COLUMN agent_acts.state IS 'waiting: nothing was signed. sent: signed, perhaps in the chain''s pool. mined: done, while it can still be rolled back. done: for good. declined: judged, nothing is sent. failed: it can no longer be done.';
COMMENT ON COLUMN agent_acts.reason IS 'Stable code: why it waits, was declined, or failed.';
COMMENT ON COLUMN agent_acts.detail IS 'The same as sentences for people.';
COMMENT ON COLUMN agent_acts.rules IS 'The judgement rule by rule, as in verdicts.';
COMMENT ON COLUMN agent_acts.refund IS 'How the consumer gets the money back: {fromBlock, transactions: [{to, data, what}]}; null where nothing is to be refunded, or cannot be.';
COMMENT ON COLUMN agent_acts.policy_sha256 IS 'Catalog that judged, by the hash of its file.';
COMMENT ON COLUMN agent_acts.judged_number IS 'Height up to which events were considered.';
COMMENT ON COLUMN agent_acts.judged_hash IS 'Hash of that block.';
COMMENT ON COLUMN agent_acts.epoch IS 'The follower''s epoch at the judgement: what was declined before a rollback is judged again after it.';
COMMENT ON COLUMN agent_acts.until_block IS 'Last block in which the act can be done; null never ends.';
COMMENT ON COLUMN agent_acts.done_by IS 'agent, or other: somebody else did it first, which is as good.';
COMMENT ON COLUMN agent_acts.transaction_hash IS 'Our transaction that did it; null when somebody else did.';
COMMENT ON COLUMN agent_acts.block_number IS 'Height of the block that holds it.';
COMMENT ON COLUMN agent_acts.block_hash IS 'Hash of that block.';
COMMENT ON COLUMN agent_acts.not_before IS 'When to look at it again, by the database''s clock.';
COMMENT ON COLUMN agent_acts.lease_token IS 'Whoever works on it; every write names it.';
COMMENT ON COLUMN agent_acts.lease_until IS 'By the database''s clock.';
COMMENT ON COLUMN agent_acts.failures IS 'Steps in a row that failed.';
COMMENT ON COLUMN agent_acts.created_at IS 'When the act was first considered.';
COMMENT ON COLUMN agent_acts.changed_at IS 'When state or reason changed last.';

CREATE TABLE agent_nonces (
    chain_id     bigint NOT NULL CHECK (chain_id > 0),
    genesis_hash hash32 NOT NULL,
    account      address20 NOT NULL,
    nonce        bigint NOT NULL CHECK (nonce >= 0),
    act_id       bigint NOT NULL REFERENCES agent_acts,
    state        text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'filling', 'used', 'lost')),
    taken_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chain_id, genesis_hash, account, nonce)
);
CREATE UNIQUE INDEX agent_nonces_held ON agent_nonces (act_id) WHERE state = 'held';
COMMENT ON TABLE agent_nonces IS 'Which act a nonce of an account is for: never two. Written by: agent.';
COMMENT ON INDEX agent_nonces_held IS 'An act holds one nonce at a time, so that no two of its transactions can both be mined.';
COMMENT ON COLUMN agent_nonces.chain_id IS 'EIP-155 chain id.';
COMMENT ON COLUMN agent_nonces.genesis_hash IS 'Hash of block 0.';
COMMENT ON COLUMN agent_nonces.account IS 'The key''s address.';
COMMENT ON COLUMN agent_nonces.nonce IS 'The nonce.';
COMMENT ON COLUMN agent_nonces.act_id IS 'The act it was taken for.';
COMMENT ON COLUMN agent_nonces.state IS 'held: until it is known who used it. filling: a gap before the act''s own nonce, filled by a transfer of nothing. used: by a transaction of ours, irreversibly. lost: by somebody else with the same key, irreversibly.';
COMMENT ON COLUMN agent_nonces.taken_at IS 'When it was taken.';

CREATE TABLE agent_transactions (
    hash         hash32 PRIMARY KEY,
    chain_id     bigint NOT NULL,
    genesis_hash hash32 NOT NULL,
    account      address20 NOT NULL,
    nonce        bigint NOT NULL,
    purpose      text NOT NULL CHECK (purpose IN ('act', 'cancel')),
    raw          bytea NOT NULL,
    gas_limit    bigint NOT NULL CHECK (gas_limit > 0),
    max_fee      uint256 NOT NULL,
    priority_fee uint256 NOT NULL,
    signed_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    sent_at      timestamptz,
    refusal      text,
    gas_used     bigint CHECK (gas_used >= 0),
    succeeded    boolean,
    FOREIGN KEY (chain_id, genesis_hash, account, nonce) REFERENCES agent_nonces
);
CREATE INDEX agent_transactions_nonce ON agent_transactions (chain_id, genesis_hash, account, nonce);
CREATE INDEX agent_transactions_day ON agent_transactions (chain_id, genesis_hash, account, signed_at);
COMMENT ON TABLE agent_transactions IS 'Every transaction ever signed, recorded before it was sent. Several of one nonce replace each other. Written by: agent.';
COMMENT ON COLUMN agent_transactions.hash IS 'Its hash.';
COMMENT ON COLUMN agent_transactions.chain_id IS 'EIP-155 chain id.';
COMMENT ON COLUMN agent_transactions.genesis_hash IS 'Hash of block 0.';
COMMENT ON COLUMN agent_transactions.account IS 'Who signed.';
COMMENT ON COLUMN agent_transactions.nonce IS 'Its nonce.';
COMMENT ON COLUMN agent_transactions.purpose IS 'act, or cancel: a transfer of nothing to oneself in the place of an act that became pointless.';
COMMENT ON COLUMN agent_transactions.raw IS 'The signed bytes: after a crash the same ones are sent again.';
COMMENT ON COLUMN agent_transactions.gas_limit IS 'Most gas it can use.';
COMMENT ON COLUMN agent_transactions.max_fee IS 'Most wei per gas.';
COMMENT ON COLUMN agent_transactions.priority_fee IS 'Wei per gas for the block''s maker; equal to max_fee on chains without a base fee.';
COMMENT ON COLUMN agent_transactions.signed_at IS 'When it was signed.';
COMMENT ON COLUMN agent_transactions.sent_at IS 'When a node first took it.';
COMMENT ON COLUMN agent_transactions.refusal IS 'What the node said when it last did not take it.';
COMMENT ON COLUMN agent_transactions.gas_used IS 'Gas it used, once mined.';
COMMENT ON COLUMN agent_transactions.succeeded IS 'Whether it had an effect, once mined.';

CREATE INDEX job_state_ended ON job_state (deployment_id, finished_at)
    WHERE phase = 'finished' AND outcome NOT IN ('refused', 'withdrawn', 'skipped');
COMMENT ON INDEX job_state_ended IS 'How the agent finds the jobs that ended lately; what a verdict ended is not in it, so that history costs nothing here.';

CREATE VIEW tidewatch.agent_acts AS
SELECT a.deployment_id AS deployment, d.chain_id, a.act, a.agreement_id::bytea AS agreement_id, j.name AS job, a.state, a.reason,
       a.detail, a.rules, a.refund, a.policy_sha256::bytea AS policy_sha256, a.judged_number, a.judged_hash::bytea AS judged_hash,
       a.until_block, a.done_by, n.account::bytea AS account, n.nonce, a.transaction_hash::bytea AS transaction_hash,
       a.block_number, a.block_hash::bytea AS block_hash, a.created_at, a.changed_at
FROM ledger.agent_acts a JOIN ledger.deployments d ON d.id = a.deployment_id LEFT JOIN ledger.jobs j ON j.id = a.job_id
LEFT JOIN LATERAL (SELECT account, nonce FROM ledger.agent_nonces n WHERE n.act_id = a.id ORDER BY taken_at DESC LIMIT 1) n ON true;
COMMENT ON VIEW tidewatch.agent_acts IS 'What the publisher''s agent did, waits for, or declined to do. One row per act.';
COMMENT ON COLUMN tidewatch.agent_acts.deployment IS 'Deployment.';
COMMENT ON COLUMN tidewatch.agent_acts.chain_id IS 'EIP-155 chain id.';
COMMENT ON COLUMN tidewatch.agent_acts.act IS 'approve or release.';
COMMENT ON COLUMN tidewatch.agent_acts.agreement_id IS 'Service agreement.';
COMMENT ON COLUMN tidewatch.agent_acts.job IS 'The job whose end calls for the act; null for an approval.';
COMMENT ON COLUMN tidewatch.agent_acts.state IS 'waiting, sent, mined, done, declined or failed.';
COMMENT ON COLUMN tidewatch.agent_acts.reason IS 'Stable code of why it waits, was declined, or failed.';
COMMENT ON COLUMN tidewatch.agent_acts.detail IS 'The same as sentences for people.';
COMMENT ON COLUMN tidewatch.agent_acts.rules IS 'Array of {rule, answer, detail, evidence}.';
COMMENT ON COLUMN tidewatch.agent_acts.refund IS 'How the consumer gets the money back.';
COMMENT ON COLUMN tidewatch.agent_acts.policy_sha256 IS 'Catalog that judged, by the hash of its file.';
COMMENT ON COLUMN tidewatch.agent_acts.judged_number IS 'Height up to which events were considered.';
COMMENT ON COLUMN tidewatch.agent_acts.judged_hash IS 'Hash of that block.';
COMMENT ON COLUMN tidewatch.agent_acts.until_block IS 'Last block in which the act can be done; null never ends.';
COMMENT ON COLUMN tidewatch.agent_acts.done_by IS 'agent or other.';
COMMENT ON COLUMN tidewatch.agent_acts.account IS 'The account whose nonce was taken last for the act.';
COMMENT ON COLUMN tidewatch.agent_acts.nonce IS 'That nonce.';
COMMENT ON COLUMN tidewatch.agent_acts.transaction_hash IS 'Transaction that did it.';
COMMENT ON COLUMN tidewatch.agent_acts.block_number IS 'Height of its block.';
COMMENT ON COLUMN tidewatch.agent_acts.block_hash IS 'Hash of its block.';
COMMENT ON COLUMN tidewatch.agent_acts.created_at IS 'When the act was first considered.';
COMMENT ON COLUMN tidewatch.agent_acts.changed_at IS 'When state or reason changed last.';

CREATE VIEW tidewatch.agent_transactions AS
SELECT a.deployment_id AS deployment, t.chain_id, a.act, a.agreement_id::bytea AS agreement_id, t.hash::bytea AS transaction_hash,
       t.account::bytea AS account, t.nonce, t.purpose, t.gas_limit, t.max_fee::numeric AS max_fee,
       t.priority_fee::numeric AS priority_fee, t.signed_at, t.sent_at, t.gas_used, t.succeeded
FROM ledger.agent_transactions t
JOIN ledger.agent_nonces n USING (chain_id, genesis_hash, account, nonce) JOIN ledger.agent_acts a ON a.id = n.act_id;
COMMENT ON VIEW tidewatch.agent_transactions IS 'Every transaction that the agent ever signed.';
COMMENT ON COLUMN tidewatch.agent_transactions.deployment IS 'Deployment.';
COMMENT ON COLUMN tidewatch.agent_transactions.chain_id IS 'EIP-155 chain id.';
COMMENT ON COLUMN tidewatch.agent_transactions.act IS 'approve or release.';
COMMENT ON COLUMN tidewatch.agent_transactions.agreement_id IS 'Service agreement.';
COMMENT ON COLUMN tidewatch.agent_transactions.transaction_hash IS 'Its hash.';
COMMENT ON COLUMN tidewatch.agent_transactions.account IS 'Who signed.';
COMMENT ON COLUMN tidewatch.agent_transactions.nonce IS 'Its nonce: of several with the same, at most one is ever mined.';
COMMENT ON COLUMN tidewatch.agent_transactions.purpose IS 'act or cancel.';
COMMENT ON COLUMN tidewatch.agent_transactions.gas_limit IS 'Most gas it can use.';
COMMENT ON COLUMN tidewatch.agent_transactions.max_fee IS 'Most wei per gas.';
COMMENT ON COLUMN tidewatch.agent_transactions.priority_fee IS 'Wei per gas for the block''s maker.';
COMMENT ON COLUMN tidewatch.agent_transactions.signed_at IS 'When it was signed.';
COMMENT ON COLUMN tidewatch.agent_transactions.sent_at IS 'When a node first took it; null if none is known to have.';
COMMENT ON COLUMN tidewatch.agent_transactions.gas_used IS 'Gas it used, once mined.';
COMMENT ON COLUMN tidewatch.agent_transactions.succeeded IS 'Whether it had an effect, once mined.';

CREATE VIEW tidewatch.agent_accounts AS
SELECT chain_id, genesis_hash::bytea AS genesis_hash, account::bytea AS account, balance::numeric AS balance, latest_count,
       pending_count, read_at
FROM ledger.agent_accounts;
COMMENT ON VIEW tidewatch.agent_accounts IS 'The agent''s accounts as the node showed them last.';
COMMENT ON COLUMN tidewatch.agent_accounts.chain_id IS 'EIP-155 chain id.';
COMMENT ON COLUMN tidewatch.agent_accounts.genesis_hash IS 'Hash of block 0.';
COMMENT ON COLUMN tidewatch.agent_accounts.account IS 'The key''s address.';
COMMENT ON COLUMN tidewatch.agent_accounts.balance IS 'In wei.';
COMMENT ON COLUMN tidewatch.agent_accounts.latest_count IS 'Transactions mined.';
COMMENT ON COLUMN tidewatch.agent_accounts.pending_count IS 'The same, those in the node''s pool included.';
COMMENT ON COLUMN tidewatch.agent_accounts.read_at IS 'When the node said so.';

-- sqlx records the migration in the same transaction, in a table of the default schema.
SET LOCAL search_path TO DEFAULT;
