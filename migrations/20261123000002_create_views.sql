-- What auditors may rely on: views of stable shape over the tables of the schema ledger. Columns are only ever added, at the end.
-- Hashes and addresses are bytea, as in the ledger. No view holds what an algorithm wrote, a result, the body of a document or
-- catalog, or a source URL of the publisher: those stay with the writer, and what of them the API needs, with the reader.
CREATE SCHEMA tidewatch;
COMMENT ON SCHEMA tidewatch IS 'Views of stable shape for auditors and other readers. Nothing here can be written.';

CREATE VIEW tidewatch.deployments AS
SELECT d.id AS deployment, d.chain_id, d.genesis_hash::bytea AS genesis_hash, d.contracts, d.start_block,
       d.start_hash::bytea AS start_hash, d.act_at, d.irreversible_at, d.act_from_block,
       c.irreversible_number, c.recorded_number, c.judged_number, c.verified_number, c.halt, d.created_at
FROM ledger.deployments d LEFT JOIN ledger.cursors c ON c.deployment_id = d.id;
COMMENT ON VIEW tidewatch.deployments IS 'Followed keeper deployments, the rules in force for each, and how far each is followed.';
COMMENT ON COLUMN tidewatch.deployments.deployment IS 'Id of the deployment in every other view.';
COMMENT ON COLUMN tidewatch.deployments.chain_id IS 'EIP-155 chain id.';
COMMENT ON COLUMN tidewatch.deployments.genesis_hash IS 'Hash of block 0.';
COMMENT ON COLUMN tidewatch.deployments.contracts IS 'The contract set: names and addresses.';
COMMENT ON COLUMN tidewatch.deployments.start_block IS 'First followed block.';
COMMENT ON COLUMN tidewatch.deployments.start_hash IS 'Hash of the first followed block.';
COMMENT ON COLUMN tidewatch.deployments.act_at IS 'Rule for starting work.';
COMMENT ON COLUMN tidewatch.deployments.irreversible_at IS 'Rule for what may never roll back.';
COMMENT ON COLUMN tidewatch.deployments.act_from_block IS 'Conditions owed before this block start nothing.';
COMMENT ON COLUMN tidewatch.deployments.irreversible_number IS 'Highest block that may never roll back.';
COMMENT ON COLUMN tidewatch.deployments.recorded_number IS 'Every log up to this block is recorded.';
COMMENT ON COLUMN tidewatch.deployments.judged_number IS 'Every consequence of logs up to this block has been drawn.';
COMMENT ON COLUMN tidewatch.deployments.verified_number IS 'Up to this block the logs are proven complete.';
COMMENT ON COLUMN tidewatch.deployments.halt IS 'Why following stands still; null while it goes on.';
COMMENT ON COLUMN tidewatch.deployments.created_at IS 'When it was first followed.';

CREATE VIEW tidewatch.blocks AS
SELECT b.deployment_id AS deployment, d.chain_id, b.number AS block_number, b.hash::bytea AS block_hash,
       b.parent_hash::bytea AS parent_hash, b.made_at, b.canonical, b.proof, b.recorded_at
FROM ledger.blocks b JOIN ledger.deployments d ON d.id = b.deployment_id;
COMMENT ON VIEW tidewatch.blocks IS 'Blocks that hold recorded logs, blocks above the irreversible one, and orphaned ones.';
COMMENT ON COLUMN tidewatch.blocks.deployment IS 'Deployment for which the block was recorded.';
COMMENT ON COLUMN tidewatch.blocks.chain_id IS 'EIP-155 chain id.';
COMMENT ON COLUMN tidewatch.blocks.block_number IS 'Height.';
COMMENT ON COLUMN tidewatch.blocks.block_hash IS 'Hash of the header.';
COMMENT ON COLUMN tidewatch.blocks.parent_hash IS 'Hash of the block before.';
COMMENT ON COLUMN tidewatch.blocks.made_at IS 'Timestamp in the header, by its maker''s clock.';
COMMENT ON COLUMN tidewatch.blocks.canonical IS 'False while another block stands at its height.';
COMMENT ON COLUMN tidewatch.blocks.proof IS 'How it was made sure that no log is missing: root, bloom, two_reads, single_read.';
COMMENT ON COLUMN tidewatch.blocks.recorded_at IS 'When the row was written.';

-- A log that no decoder has seen yet still has its contract's name, from the deployment's contract set.
CREATE VIEW tidewatch.keeper_events AS
SELECT l.deployment_id AS deployment, d.chain_id, l.block_number, l.block_hash::bytea AS block_hash,
       l.transaction_hash::bytea AS transaction_hash, l.log_index,
       coalesce(e.contract, (SELECT c.key FROM jsonb_each_text(CASE jsonb_typeof(d.contracts) WHEN 'object' THEN d.contracts END) c
                             WHERE lower(c.value) = '0x' || encode(l.address, 'hex') LIMIT 1)) AS contract,
       e.name, e.arguments, l.canonical, l.address::bytea AS address, l.transaction_index, l.topics, l.data, l.recorded_at
FROM ledger.logs l JOIN ledger.deployments d ON d.id = l.deployment_id LEFT JOIN ledger.decoded_logs e ON e.log_id = l.id;
COMMENT ON VIEW tidewatch.keeper_events IS 'One row per log ever seen of a followed contract.';
COMMENT ON COLUMN tidewatch.keeper_events.deployment IS 'Deployment for which the log was recorded.';
COMMENT ON COLUMN tidewatch.keeper_events.chain_id IS 'EIP-155 chain id.';
COMMENT ON COLUMN tidewatch.keeper_events.block_number IS 'Height of the block.';
COMMENT ON COLUMN tidewatch.keeper_events.block_hash IS 'Hash of the block.';
COMMENT ON COLUMN tidewatch.keeper_events.transaction_hash IS 'Transaction that made the log.';
COMMENT ON COLUMN tidewatch.keeper_events.log_index IS 'Place of the log in its block.';
COMMENT ON COLUMN tidewatch.keeper_events.contract IS 'Name of the contract in the deployment''s contract set.';
COMMENT ON COLUMN tidewatch.keeper_events.name IS 'Name of the event; null while undecoded.';
COMMENT ON COLUMN tidewatch.keeper_events.arguments IS 'Decoded arguments; text is made safe (no NUL), topics and data are the record.';
COMMENT ON COLUMN tidewatch.keeper_events.canonical IS 'A reorganisation turns it off; it is on again when the chain returns.';
COMMENT ON COLUMN tidewatch.keeper_events.address IS 'Address of the contract.';
COMMENT ON COLUMN tidewatch.keeper_events.transaction_index IS 'Place of the transaction in its block.';
COMMENT ON COLUMN tidewatch.keeper_events.topics IS 'Topics as the node gave them.';
COMMENT ON COLUMN tidewatch.keeper_events.data IS 'Data as the node gave it.';
COMMENT ON COLUMN tidewatch.keeper_events.recorded_at IS 'When the row was written.';

CREATE VIEW tidewatch.jobs AS
SELECT j.deployment_id AS deployment, d.chain_id, j.name AS job, j.trigger, j.contract::bytea AS contract, j.key::bytea AS key,
       j.agreement_id::bytea AS agreement_id, j.did::bytea AS did, j.consumer::bytea AS consumer, s.provider::bytea AS provider,
       s.phase, s.outcome, s.reason, s.attempt, s.block_number, s.block_hash::bytea AS block_hash, s.block_canonical,
       s.block_canonical AND s.block_number <= coalesce(c.irreversible_number, -1) AS block_irreversible,
       l.transaction_hash::bytea AS transaction_hash, l.log_index, s.owed_block, s.payment::numeric AS payment,
       s.payer::bytea AS payer, s.workflow_uid, j.created_at, s.started_at, s.finished_at
FROM ledger.jobs j
JOIN ledger.job_state s ON s.job_id = j.id
JOIN ledger.deployments d ON d.id = j.deployment_id
JOIN ledger.logs l ON l.id = s.log_id
LEFT JOIN ledger.cursors c ON c.deployment_id = j.deployment_id;
COMMENT ON VIEW tidewatch.jobs IS 'One row per fulfilled compute condition, with where it stands now.';
COMMENT ON COLUMN tidewatch.jobs.deployment IS 'Deployment that owes the job.';
COMMENT ON COLUMN tidewatch.jobs.chain_id IS 'EIP-155 chain id.';
COMMENT ON COLUMN tidewatch.jobs.job IS 'Public id: job- and the first 32 hexadecimal digits of keccak256(abi.encode(chain id, contract, key)).';
COMMENT ON COLUMN tidewatch.jobs.trigger IS 'What owes the job: keeper.';
COMMENT ON COLUMN tidewatch.jobs.contract IS 'Contract whose event owes the job.';
COMMENT ON COLUMN tidewatch.jobs.key IS 'The trigger''s key: for the keeper the condition id.';
COMMENT ON COLUMN tidewatch.jobs.agreement_id IS 'Service agreement.';
COMMENT ON COLUMN tidewatch.jobs.did IS 'Asset, as the 32 bytes behind did:op:.';
COMMENT ON COLUMN tidewatch.jobs.consumer IS 'Consumer that the event names.';
COMMENT ON COLUMN tidewatch.jobs.provider IS 'Provider of the asset.';
COMMENT ON COLUMN tidewatch.jobs.phase IS 'Where the job stands.';
COMMENT ON COLUMN tidewatch.jobs.outcome IS 'How it ended; null while it has not.';
COMMENT ON COLUMN tidewatch.jobs.reason IS 'Stable code of why it stands or ended there.';
COMMENT ON COLUMN tidewatch.jobs.attempt IS 'Attempt that was started last; 0 before the first.';
COMMENT ON COLUMN tidewatch.jobs.block_number IS 'Height of the block that holds the event.';
COMMENT ON COLUMN tidewatch.jobs.block_hash IS 'Hash of that block.';
COMMENT ON COLUMN tidewatch.jobs.block_canonical IS 'Whether that block is on the chain; an orphaned job keeps its phase.';
COMMENT ON COLUMN tidewatch.jobs.block_irreversible IS 'Whether that block can no longer be rolled back.';
COMMENT ON COLUMN tidewatch.jobs.transaction_hash IS 'Transaction of the event.';
COMMENT ON COLUMN tidewatch.jobs.log_index IS 'Place of the event''s log in its block.';
COMMENT ON COLUMN tidewatch.jobs.owed_block IS 'Block from which the job is owed: of the event, or of a later payment.';
COMMENT ON COLUMN tidewatch.jobs.payment IS 'Paid amount in the token''s smallest unit.';
COMMENT ON COLUMN tidewatch.jobs.payer IS 'Who paid.';
COMMENT ON COLUMN tidewatch.jobs.workflow_uid IS 'Identity of the workflow in the engine.';
COMMENT ON COLUMN tidewatch.jobs.created_at IS 'When the job was recorded.';
COMMENT ON COLUMN tidewatch.jobs.started_at IS 'When an engine first worked on it.';
COMMENT ON COLUMN tidewatch.jobs.finished_at IS 'When it ended.';

CREATE VIEW tidewatch.verdicts AS
SELECT j.deployment_id AS deployment, j.name AS job, j.key::bytea AS key, v.number, v.admitted, v.verdict, v.reason, v.rules,
       v.policy_sha256::bytea AS policy_sha256, v.judged_number, v.judged_hash::bytea AS judged_hash, v.judged_at
FROM ledger.verdicts v JOIN ledger.jobs j ON j.id = v.job_id;
COMMENT ON VIEW tidewatch.verdicts IS 'Every verdict on every job that differed from the one before. Append-only.';
COMMENT ON COLUMN tidewatch.verdicts.deployment IS 'Deployment of the job.';
COMMENT ON COLUMN tidewatch.verdicts.job IS 'Public id of the job.';
COMMENT ON COLUMN tidewatch.verdicts.key IS 'The trigger''s key: for the keeper the condition id.';
COMMENT ON COLUMN tidewatch.verdicts.number IS '1 for the job''s first verdict, then without gaps.';
COMMENT ON COLUMN tidewatch.verdicts.admitted IS 'Whether the job is owed.';
COMMENT ON COLUMN tidewatch.verdicts.verdict IS 'admitted, awaiting_payment, undecided, refused, skipped or withdrawn.';
COMMENT ON COLUMN tidewatch.verdicts.reason IS 'Stable code of why not admitted.';
COMMENT ON COLUMN tidewatch.verdicts.rules IS 'Array of {rule, answer, detail, evidence}.';
COMMENT ON COLUMN tidewatch.verdicts.policy_sha256 IS 'Catalog that judged, by the hash of its file; null when none was needed.';
COMMENT ON COLUMN tidewatch.verdicts.judged_number IS 'Height up to which events were considered.';
COMMENT ON COLUMN tidewatch.verdicts.judged_hash IS 'Hash of that block.';
COMMENT ON COLUMN tidewatch.verdicts.judged_at IS 'When the verdict was recorded.';

CREATE VIEW tidewatch.evidence AS
SELECT j.deployment_id AS deployment, j.name AS job, j.key::bytea AS key, e.role, l.block_number, l.block_hash::bytea AS block_hash,
       l.transaction_hash::bytea AS transaction_hash, l.log_index, l.canonical
FROM ledger.job_evidence e JOIN ledger.jobs j ON j.id = e.job_id JOIN ledger.logs l ON l.id = e.log_id;
COMMENT ON VIEW tidewatch.evidence IS 'The logs that each job''s verdict rests on.';
COMMENT ON COLUMN tidewatch.evidence.deployment IS 'Deployment of the job.';
COMMENT ON COLUMN tidewatch.evidence.job IS 'Public id of the job.';
COMMENT ON COLUMN tidewatch.evidence.key IS 'The trigger''s key: for the keeper the condition id.';
COMMENT ON COLUMN tidewatch.evidence.role IS 'What the log proves: creation, registration, lock, execute, abort or workflow.';
COMMENT ON COLUMN tidewatch.evidence.block_number IS 'Height of the log''s block.';
COMMENT ON COLUMN tidewatch.evidence.block_hash IS 'Hash of the log''s block.';
COMMENT ON COLUMN tidewatch.evidence.transaction_hash IS 'Transaction that made the log.';
COMMENT ON COLUMN tidewatch.evidence.log_index IS 'Place of the log in its block.';
COMMENT ON COLUMN tidewatch.evidence.canonical IS 'Whether the log is on the chain.';

CREATE VIEW tidewatch.transitions AS
SELECT t.sequence, t.deployment_id AS deployment, j.name AS job, j.key::bytea AS key, t.number, t.phase, t.outcome, t.reason,
       t.attempt, t.at, t.previous_hash::bytea AS previous_hash, t.hash::bytea AS hash, t.worker
FROM ledger.transitions t JOIN ledger.jobs j ON j.id = t.job_id;
COMMENT ON VIEW tidewatch.transitions IS 'Every change of a job''s status. Append-only; hash is SHA-256 of previous_hash and the line "job number phase outcome reason attempt at".';
COMMENT ON COLUMN tidewatch.transitions.sequence IS 'Order of recording; rows can appear out of this order.';
COMMENT ON COLUMN tidewatch.transitions.deployment IS 'Deployment of the job.';
COMMENT ON COLUMN tidewatch.transitions.job IS 'Public id of the job.';
COMMENT ON COLUMN tidewatch.transitions.key IS 'The trigger''s key: for the keeper the condition id.';
COMMENT ON COLUMN tidewatch.transitions.number IS '1 for the job''s first transition, then without gaps.';
COMMENT ON COLUMN tidewatch.transitions.phase IS 'What the job became.';
COMMENT ON COLUMN tidewatch.transitions.outcome IS 'How it ended; in the hashed line "-" when null.';
COMMENT ON COLUMN tidewatch.transitions.reason IS 'Why; in the hashed line "-" when null.';
COMMENT ON COLUMN tidewatch.transitions.attempt IS 'Attempt it speaks of.';
COMMENT ON COLUMN tidewatch.transitions.at IS 'When; in the hashed line RFC 3339, UTC, with microseconds and Z.';
COMMENT ON COLUMN tidewatch.transitions.previous_hash IS 'Hash of the transition before; 32 zero bytes before the first.';
COMMENT ON COLUMN tidewatch.transitions.hash IS 'Hash of this transition.';
COMMENT ON COLUMN tidewatch.transitions.worker IS 'Which worker recorded it.';

-- The frozen specification holds source URLs and the algorithm's code; only what is public of it is shown, and whoever reads the
-- view needs no right on the table. A NUL in the code is legal JSON and is no jsonb, so its escapes are taken out first
-- (an escape is one only after an even number of backslashes).
CREATE VIEW tidewatch.workflows AS
SELECT j.deployment_id AS deployment, j.name AS job, j.key::bytea AS key, p.source,
       o.spec #>> '{algorithm,did}' AS algorithm, (o.spec #>> '{algorithm,vetted}')::boolean AS vetted,
       o.spec #>> '{algorithm,image}' AS image, o.spec #>> '{algorithm,tag}' AS tag, o.spec #>> '{algorithm,digest}' AS digest,
       o.spec -> 'resources' AS resources, (o.spec ->> 'allowNetwork')::boolean AS network, o.spec -> 'release' AS release,
       p.sha256::bytea AS spec_sha256, p.document_sha256::bytea AS document_sha256, p.policy_sha256::bytea AS policy_sha256, p.frozen_at
FROM ledger.job_specs p
JOIN ledger.jobs j ON j.id = p.job_id
CROSS JOIN LATERAL (SELECT convert_from(p.body, 'UTF8') AS text) b
CROSS JOIN LATERAL (SELECT CASE WHEN position('\u0000' IN b.text) = 0 THEN b.text
                    ELSE regexp_replace(b.text, '(?<!\\)((?:\\\\)*)\\u0000', '\1', 'g') END::jsonb AS spec) o;
COMMENT ON VIEW tidewatch.workflows IS 'What each job runs, frozen before it could start: the public part.';
COMMENT ON COLUMN tidewatch.workflows.deployment IS 'Deployment of the job.';
COMMENT ON COLUMN tidewatch.workflows.job IS 'Public id of the job.';
COMMENT ON COLUMN tidewatch.workflows.key IS 'The trigger''s key: for the keeper the condition id.';
COMMENT ON COLUMN tidewatch.workflows.source IS 'Who named the workflow: consumer, asset, service or catalog.';
COMMENT ON COLUMN tidewatch.workflows.algorithm IS 'DID of the algorithm; null for raw code.';
COMMENT ON COLUMN tidewatch.workflows.vetted IS 'Whether the publisher vetted the algorithm.';
COMMENT ON COLUMN tidewatch.workflows.image IS 'Image repository.';
COMMENT ON COLUMN tidewatch.workflows.tag IS 'The image''s tag, for people; what runs is the digest.';
COMMENT ON COLUMN tidewatch.workflows.digest IS 'The image''s digest.';
COMMENT ON COLUMN tidewatch.workflows.resources IS 'Ceilings: cpu, memory, disk, maxExecutionSeconds.';
COMMENT ON COLUMN tidewatch.workflows.network IS 'Whether the algorithm may use the network.';
COMMENT ON COLUMN tidewatch.workflows.release IS 'What may come out.';
COMMENT ON COLUMN tidewatch.workflows.spec_sha256 IS 'SHA-256 of the frozen specification.';
COMMENT ON COLUMN tidewatch.workflows.document_sha256 IS 'Document it was made from, in the view documents.';
COMMENT ON COLUMN tidewatch.workflows.policy_sha256 IS 'Catalog it was made under, in the view policy_versions.';
COMMENT ON COLUMN tidewatch.workflows.frozen_at IS 'When it was frozen.';

CREATE VIEW tidewatch.policy_versions AS
SELECT p.sha256::bytea AS sha256, octet_length(p.body) AS bytes, p.first_used FROM ledger.policy_versions p;
COMMENT ON VIEW tidewatch.policy_versions IS 'Every catalog that judged anything. Its text holds the publisher''s source URLs and is not shown; whoever is given it can compare the hash.';
COMMENT ON COLUMN tidewatch.policy_versions.sha256 IS 'SHA-256 of the file.';
COMMENT ON COLUMN tidewatch.policy_versions.bytes IS 'Size of the file.';
COMMENT ON COLUMN tidewatch.policy_versions.first_used IS 'When it first judged something.';

CREATE VIEW tidewatch.documents AS
SELECT o.sha256::bytea AS sha256, octet_length(o.body) AS bytes, o.source, o.recorded_at FROM ledger.documents o;
COMMENT ON VIEW tidewatch.documents IS 'Workflow documents that were had. A document can hold the consumer''s code, so its body is not shown.';
COMMENT ON COLUMN tidewatch.documents.sha256 IS 'SHA-256 of the document.';
COMMENT ON COLUMN tidewatch.documents.bytes IS 'Size of the document.';
COMMENT ON COLUMN tidewatch.documents.source IS 'Where it was had.';
COMMENT ON COLUMN tidewatch.documents.recorded_at IS 'When it was recorded.';

CREATE VIEW tidewatch.operator_actions AS
SELECT a.id, a.action, a.subject, a.reason, a.database_user, a.at FROM ledger.operator_actions a;
COMMENT ON VIEW tidewatch.operator_actions IS 'What operators did by hand. Append-only.';
COMMENT ON COLUMN tidewatch.operator_actions.id IS 'Order of the actions.';
COMMENT ON COLUMN tidewatch.operator_actions.action IS 'What was done.';
COMMENT ON COLUMN tidewatch.operator_actions.subject IS 'To what.';
COMMENT ON COLUMN tidewatch.operator_actions.reason IS 'The reason that was given.';
COMMENT ON COLUMN tidewatch.operator_actions.database_user IS 'Database login that did it.';
COMMENT ON COLUMN tidewatch.operator_actions.at IS 'When.';
