-- What an operator can have tried again: an act of the agent that had no effect, and a document that could not be had in time. And
-- until when something is looked for, so that people can be told.
ALTER TABLE ledger.parked DROP CONSTRAINT parked_kind_check;
ALTER TABLE ledger.parked ADD CONSTRAINT parked_kind_check
    CHECK (kind IN ('log', 'job', 'workflow', 'block', 'act', 'document'));
COMMENT ON COLUMN ledger.parked.kind IS 'What is parked: a log, a job, a workflow, a block of history that no provider gives, an act of the agent that had no effect, or a job''s document that could not be had in time.';

ALTER TABLE ledger.job_documents ADD COLUMN until timestamptz;
COMMENT ON COLUMN ledger.job_documents.until IS 'Until when it is looked for; null in rows of releases that did not keep it.';
COMMENT ON COLUMN ledger.job_documents.finding IS 'What was found for good; null while it is looked for. unavailable: not in time, until an operator has it looked for again. unknown: nobody can tell, and it is not needed.';

CREATE VIEW tidewatch.awaited_documents AS
SELECT j.deployment_id AS deployment, j.name AS job,
       CASE WHEN w.want LIKE '{"what":"image"%' THEN 'image'
            ELSE substring(w.want FROM '^\{"what":"bytes","of":"([a-z]+)"') END AS what,
       w.asked_at AS since, w.until, w.tries, w.tried_at, w.problem
FROM ledger.job_documents w JOIN ledger.jobs j ON j.id = w.job_id
WHERE w.finding IS NULL;
COMMENT ON VIEW tidewatch.awaited_documents IS 'What jobs wait for from outside of the ledger, without the addresses.';
COMMENT ON COLUMN tidewatch.awaited_documents.deployment IS 'Deployment.';
COMMENT ON COLUMN tidewatch.awaited_documents.job IS 'The job that waits.';
COMMENT ON COLUMN tidewatch.awaited_documents.what IS 'workflow, asset or algorithm (documents), code (the algorithm''s file), or image (its digest).';
COMMENT ON COLUMN tidewatch.awaited_documents.since IS 'Since when it is looked for.';
COMMENT ON COLUMN tidewatch.awaited_documents.until IS 'Until when; then the job is refused.';
COMMENT ON COLUMN tidewatch.awaited_documents.tries IS 'How often it was looked for in vain.';
COMMENT ON COLUMN tidewatch.awaited_documents.tried_at IS 'When last.';
COMMENT ON COLUMN tidewatch.awaited_documents.problem IS 'Why it could not be had the last time, in our words.';
