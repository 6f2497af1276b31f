-- What a job's resolver had to look for outside of the ledger, and what it found.
SET LOCAL search_path = ledger;

CREATE TABLE job_documents (
    job_id          bigint NOT NULL REFERENCES jobs,
    want_sha256     hash32 NOT NULL,
    want            text NOT NULL,
    asked_at        timestamptz NOT NULL DEFAULT now(),
    tries           integer NOT NULL DEFAULT 0 CHECK (tries >= 0),
    tried_at        timestamptz,
    problem         text,
    finding         text CHECK (finding IN ('bytes', 'image', 'unknown', 'wrong', 'too_large', 'unavailable')),
    document_sha256 hash32 REFERENCES documents,
    detail          text,
    PRIMARY KEY (job_id, want_sha256),
    CHECK ((finding = 'bytes') = (document_sha256 IS NOT NULL)),
    CHECK (finding IS NOT NULL OR (document_sha256 IS NULL AND detail IS NULL)),
    CHECK ((tries = 0) = (tried_at IS NULL))
);
CREATE INDEX job_documents_open ON job_documents (job_id) WHERE finding IS NULL;
COMMENT ON TABLE job_documents IS 'What a job''s resolver looks for outside of the ledger: documents, algorithms'' files, image digests. A finding is final. Holds strangers'' addresses: never public. Written by: resolver.';
COMMENT ON COLUMN job_documents.job_id IS 'The job that waits for it.';
COMMENT ON COLUMN job_documents.want_sha256 IS 'SHA-256 of want.';
COMMENT ON COLUMN job_documents.want IS 'What is looked for, as JSON. Text and not jsonb: strangers may have put a NUL in it.';
COMMENT ON COLUMN job_documents.asked_at IS 'When it was first wanted; the deadline counts from here, by this clock.';
COMMENT ON COLUMN job_documents.tries IS 'How often it was looked for without a finding.';
COMMENT ON COLUMN job_documents.tried_at IS 'When it was last looked for without a finding.';
COMMENT ON COLUMN job_documents.problem IS 'Why it could not be had the last time, in our words, without the address.';
COMMENT ON COLUMN job_documents.finding IS 'What was found for good; null while it is looked for. unavailable: not in time. unknown: nobody can tell, and it is not needed.';
COMMENT ON COLUMN job_documents.document_sha256 IS 'The bytes, when they were found.';
COMMENT ON COLUMN job_documents.detail IS 'image: what the registry says, as JSON. wrong: the sentence that says what was expected and what came.';
COMMENT ON INDEX job_documents_open IS 'Jobs that wait for something from outside.';

CREATE TRIGGER never_deleted BEFORE DELETE ON job_documents FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- sqlx records the migration in the same transaction, in a table of the default schema.
SET LOCAL search_path TO DEFAULT;
