-- What each login may do in this database. It is said anew as a whole, so whatever was granted by hand is taken back.
DO $$
BEGIN
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO tidewatch_writer, tidewatch_reader, tidewatch_auditor', current_database());
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO tidewatch_writer', current_database());
END $$;

REVOKE ALL ON SCHEMA ledger, tidewatch, sign_in FROM PUBLIC, tidewatch_writer, tidewatch_reader, tidewatch_auditor;
REVOKE ALL ON ALL TABLES IN SCHEMA ledger, tidewatch, sign_in FROM PUBLIC, tidewatch_writer, tidewatch_reader, tidewatch_auditor;

-- The writer: rows, never the schema. What only grows can be added to and not changed, beside the triggers that say the same.
GRANT USAGE ON SCHEMA ledger, tidewatch TO tidewatch_writer;
GRANT SELECT ON ALL TABLES IN SCHEMA ledger, tidewatch TO tidewatch_writer;
GRANT INSERT ON
    ledger.deployments, ledger.cursors, ledger.blocks, ledger.logs, ledger.log_subjects, ledger.decoded_logs, ledger.judge_queue,
    ledger.facts, ledger.second_opinions, ledger.policy_versions, ledger.jobs, ledger.job_state, ledger.verdicts, ledger.job_evidence, ledger.documents,
    ledger.job_specs, ledger.parked, ledger.job_attempts, ledger.transitions, ledger.job_logs, ledger.job_log_chunks,
    ledger.results, ledger.operator_actions, ledger.readings, ledger.repairs, ledger.counter_checks, ledger.late_blocks,
    ledger.providers, ledger.disagreements, ledger.upgrades,
    ledger.agent_cursors, ledger.agent_accounts, ledger.agent_acts, ledger.agent_nonces, ledger.agent_transactions,
    ledger.job_documents, ledger.agent_documents, ledger.erasures, ledger.strays
TO tidewatch_writer;
GRANT UPDATE ON
    ledger.deployments, ledger.cursors, ledger.blocks, ledger.logs, ledger.log_subjects, ledger.decoded_logs, ledger.judge_queue,
    ledger.job_state, ledger.parked, ledger.job_attempts, ledger.job_logs, ledger.job_log_chunks, ledger.counter_checks,
    ledger.providers, ledger.upgrades,
    ledger.agent_cursors, ledger.agent_accounts, ledger.agent_acts, ledger.agent_nonces, ledger.agent_transactions,
    ledger.job_documents, ledger.agent_documents, ledger.strays
TO tidewatch_writer;
GRANT DELETE ON
    ledger.log_subjects, ledger.decoded_logs, ledger.judge_queue, ledger.job_evidence, ledger.job_logs, ledger.job_log_chunks,
    ledger.late_blocks
TO tidewatch_writer;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA ledger TO tidewatch_writer;

-- The reader (the API): what it shows. Specifications, catalogs and documents hold source URLs and code; it sees the views' part.
GRANT USAGE ON SCHEMA ledger, tidewatch TO tidewatch_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA tidewatch TO tidewatch_reader;
GRANT SELECT ON
    ledger.releases, ledger.deployments, ledger.cursors, ledger.blocks, ledger.logs, ledger.log_subjects, ledger.decoded_logs,
    ledger.jobs, ledger.job_state, ledger.verdicts, ledger.job_evidence, ledger.job_attempts, ledger.transitions,
    ledger.job_logs, ledger.job_log_chunks, ledger.results, ledger.operator_actions, ledger.parked, ledger.facts, ledger.erasures
TO tidewatch_reader;
-- And the one table that it writes: what was spent is added and, once it is over, taken away; never changed.
GRANT USAGE ON SCHEMA sign_in TO tidewatch_reader;
GRANT SELECT, INSERT, DELETE ON sign_in.spent_nonces TO tidewatch_reader;

-- The auditor: the views, and nothing under them.
GRANT USAGE ON SCHEMA tidewatch TO tidewatch_auditor;
GRANT SELECT ON ALL TABLES IN SCHEMA tidewatch TO tidewatch_auditor;

-- Which migrations were applied: programs ask before they work.
REVOKE ALL ON _sqlx_migrations FROM PUBLIC;
GRANT SELECT ON _sqlx_migrations TO tidewatch_writer, tidewatch_reader, tidewatch_auditor;
