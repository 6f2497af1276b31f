-- The one thing that the API's own login writes: challenges that were signed and used up. In a schema of its own, so that the right
-- to write there is none to write the ledger.
CREATE SCHEMA sign_in;
COMMENT ON SCHEMA sign_in IS 'What the API remembers of sign-ins. Nothing of it is evidence; all of it may be lost, and then a challenge could be used twice while it lasts.';

CREATE TABLE sign_in.spent_nonces (
    nonce      bytea PRIMARY KEY CHECK (octet_length(nonce) = 32),
    expires_at timestamptz NOT NULL,
    spent_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX spent_nonces_expiry ON sign_in.spent_nonces (expires_at);
COMMENT ON TABLE sign_in.spent_nonces IS 'Challenges whose signature was handed in. Each counts once. Rows go some time after their challenge is over. Written by: API.';
COMMENT ON COLUMN sign_in.spent_nonces.nonce IS 'The challenge''s nonce: 16 random bytes and 16 bytes of a MAC over its text.';
COMMENT ON COLUMN sign_in.spent_nonces.expires_at IS 'When the challenge is over: from then on its own text refuses it.';
COMMENT ON COLUMN sign_in.spent_nonces.spent_at IS 'When its signature was handed in.';

-- What an operator did last to a job decides whether the parties may have what waited for a review.
CREATE INDEX operator_actions_subject ON ledger.operator_actions (subject, id);
COMMENT ON INDEX ledger.operator_actions_subject IS 'Finds what operators did to one job.';
