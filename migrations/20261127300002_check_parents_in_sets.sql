-- A key to a parent is checked row by row, with a lock on the parent each time: for a job with its state, transition, verdict and
-- evidence that took as long as all their rows. The parents here (jobs, logs, policy versions) are never deleted and never change
-- their ids, which triggers and identity columns already see to, so that nothing has to be locked: it is enough that whoever adds
-- rows names parents that are there. That is checked once per statement, for all its rows.
CREATE FUNCTION ledger.refuse_orphans() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    reference text;
    missing text;
BEGIN
    -- Each argument is: column, parent, the parent's key, separated by blanks. The subquery keeps this a lookup per row.
    FOREACH reference IN ARRAY TG_ARGV LOOP
        EXECUTE format('SELECT m.%1$I::text FROM made m WHERE m.%1$I IS NOT NULL
                        AND (SELECT count(*) FROM ledger.%2$I p WHERE p.%3$I = m.%1$I) = 0 LIMIT 1',
                       split_part(reference, ' ', 1), split_part(reference, ' ', 2), split_part(reference, ' ', 3)) INTO missing;
        IF missing IS NOT NULL THEN
            RAISE EXCEPTION 'ledger.%: % % is not in ledger.%', TG_TABLE_NAME, split_part(reference, ' ', 1), missing,
                split_part(reference, ' ', 2) USING ERRCODE = 'foreign_key_violation';
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION ledger.refuse_orphans IS 'Refuses new rows whose parents are not there, once per statement.';

ALTER TABLE ledger.job_state DROP CONSTRAINT job_state_job_id_fkey;
CREATE TRIGGER parents AFTER INSERT ON ledger.job_state REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_orphans('job_id jobs id', 'log_id logs id');
-- A job is anchored in another log now and then; that one row is checked by itself.
ALTER TABLE ledger.job_state DROP CONSTRAINT job_state_log_id_fkey;
CREATE FUNCTION ledger.refuse_unknown_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM ledger.logs l WHERE l.id = NEW.log_id) THEN
        RAISE EXCEPTION 'ledger.%: log_id % is not in ledger.logs', TG_TABLE_NAME, NEW.log_id USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION ledger.refuse_unknown_log IS 'Refuses a row that comes to name a log that is not there.';
CREATE TRIGGER anchored AFTER UPDATE OF log_id ON ledger.job_state
    FOR EACH ROW WHEN (OLD.log_id <> NEW.log_id) EXECUTE FUNCTION ledger.refuse_unknown_log();

ALTER TABLE ledger.transitions DROP CONSTRAINT transitions_job_id_fkey;
CREATE TRIGGER parents AFTER INSERT ON ledger.transitions REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_orphans('job_id jobs id');

ALTER TABLE ledger.verdicts DROP CONSTRAINT verdicts_job_id_fkey;
ALTER TABLE ledger.verdicts DROP CONSTRAINT verdicts_policy_sha256_fkey;
CREATE TRIGGER parents AFTER INSERT ON ledger.verdicts REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_orphans('job_id jobs id', 'policy_sha256 policy_versions sha256');

ALTER TABLE ledger.job_evidence DROP CONSTRAINT job_evidence_job_id_fkey;
ALTER TABLE ledger.job_evidence DROP CONSTRAINT job_evidence_log_id_fkey;
CREATE TRIGGER parents AFTER INSERT ON ledger.job_evidence REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_orphans('job_id jobs id', 'log_id logs id');

-- The same names as before, without a regular expression for each: thirty-two hexadecimal digits and nothing else.
ALTER TABLE ledger.jobs DROP CONSTRAINT jobs_name_check;
ALTER TABLE ledger.jobs ADD CONSTRAINT jobs_name_check
    CHECK (length(name) = 36 AND name LIKE 'job-%' AND ltrim(substr(name, 5), '0123456789abcdef') = '');
