-- What the agent found when it approved: the job that follows is decided on the same bytes, whatever a server says by then.
SET LOCAL search_path = ledger;

CREATE TABLE agent_documents (
    act_id          bigint NOT NULL REFERENCES agent_acts,
    want_sha256     hash32 NOT NULL,
    want            text NOT NULL,
    finding         text NOT NULL CHECK (finding IN ('bytes', 'image', 'unknown', 'wrong', 'too_large')),
    document_sha256 hash32 REFERENCES documents,
    detail          text,
    found_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (act_id, want_sha256),
    CHECK ((finding = 'bytes') = (document_sha256 IS NOT NULL))
);
COMMENT ON TABLE agent_documents IS 'What the agent found outside of the ledger when it approved an agreement: documents, algorithms'' files, image digests. The agreement''s job is decided on these. Holds strangers'' addresses: never public. Written by: agent.';
COMMENT ON COLUMN agent_documents.act_id IS 'The approval that rests on it.';
COMMENT ON COLUMN agent_documents.want_sha256 IS 'SHA-256 of want.';
COMMENT ON COLUMN agent_documents.want IS 'What was looked for, as JSON, as in job_documents.';
COMMENT ON COLUMN agent_documents.finding IS 'What was found.';
COMMENT ON COLUMN agent_documents.document_sha256 IS 'The bytes, when they were found.';
COMMENT ON COLUMN agent_documents.detail IS 'As in job_documents.';
COMMENT ON COLUMN agent_documents.found_at IS 'When the approval that rests on it was signed; an approval that is given anew rests on what is found anew.';

CREATE TRIGGER never_deleted BEFORE DELETE ON agent_documents FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- sqlx records the migration in the same transaction, in a table of the default schema.
SET LOCAL search_path TO DEFAULT;
