-- The logins. They belong to the whole server, so another database's migration may make them at the same moment.
DO $$
DECLARE
    login text;
BEGIN
    FOREACH login IN ARRAY ARRAY['tidewatch_writer', 'tidewatch_reader', 'tidewatch_auditor'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = login) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', login);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
    END LOOP;
END $$;
