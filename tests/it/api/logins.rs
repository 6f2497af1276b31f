use sqlx::PgConnection;
use tidewatch::fault::Fault;
use tidewatch::ledger::roles::{self, Ensured, Role};
use tidewatch::ledger::schema::{self, RELEASE, SchemaVersion};
use tidewatch::ledger::{Error, Ledger, Reader};
use uuid::Uuid;

use super::database::{Database, PASSWORD, execute, give_passwords};
use super::rows;

/// SQLSTATE of a refusal.
async fn refusal(connection: &mut PgConnection, statement: &str) -> String {
    let error = execute(connection, statement).await.expect_err(statement);
    let error = error.into_database_error().expect(statement);
    error.code().unwrap().into_owned()
}

const INSUFFICIENT_PRIVILEGE: &str = "42501";

#[tokio::test]
async fn the_readers_login_cannot_change_the_ledger_whatever_it_sends() {
    let database = Database::migrated().await;
    rows::deployment(&mut database.connect().await).await;
    let mut reader = database.connect_as("tidewatch_reader").await;
    execute(
        &mut reader,
        "SET default_transaction_read_only = off; RESET ROLE; SET SESSION AUTHORIZATION DEFAULT",
    )
    .await
    .unwrap();
    // The one thing that it writes, and only so: what was spent can be forgotten, and not be changed.
    for statement in [
        "INSERT INTO sign_in.spent_nonces (nonce, expires_at) VALUES (decode(repeat('01', 32), 'hex'), now())",
        "SELECT * FROM sign_in.spent_nonces",
        "DELETE FROM sign_in.spent_nonces",
    ] {
        execute(&mut reader, statement).await.unwrap();
    }
    for statement in [
        "UPDATE sign_in.spent_nonces SET expires_at = now()",
        "TRUNCATE sign_in.spent_nonces",
        "CREATE TABLE sign_in.mine (a int)",
        "ALTER TABLE sign_in.spent_nonces ADD COLUMN mine int",
        "DROP SCHEMA sign_in CASCADE",
        "CREATE SCHEMA mine",
        "INSERT INTO ledger.operator_actions (action, subject, reason) VALUES ('jobs release', 'x', 'x')",
        "INSERT INTO ledger.results (job_id, attempt, manifest_key, manifest_sha256, files, bytes) SELECT 1, 1, '', '', 0, 0",
        "DELETE FROM ledger.erasures",
        "INSERT INTO ledger.parked (kind, key, reason) VALUES ('job', 'x', 'x')",
        "UPDATE ledger.cursors SET halt = 'x', halted_at = now()",
        "UPDATE ledger.job_state SET phase = 'queued'",
        "DELETE FROM ledger.job_log_chunks",
        "TRUNCATE ledger.logs",
        "CREATE TABLE ledger.mine (a int)",
        "CREATE VIEW tidewatch.mine AS SELECT 1",
        "ALTER TABLE ledger.jobs DISABLE TRIGGER ALL",
        "SET ROLE tidewatch_writer",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION tidewatch_writer",
        "GRANT tidewatch_writer TO tidewatch_reader",
        "SELECT body FROM ledger.job_specs",
        "SELECT body FROM ledger.policy_versions",
        "SELECT body FROM ledger.documents",
        "DELETE FROM _sqlx_migrations",
    ] {
        let code = refusal(&mut reader, statement).await;
        assert_eq!(code, INSUFFICIENT_PRIVILEGE, "{statement}");
    }
}

#[tokio::test]
async fn a_reader_that_may_write_is_refused() {
    let database = Database::migrated().await;
    let server_wide = |kind: &str| format!("tidewatch_test_{kind}_{}", Uuid::new_v4().simple());
    let (member, granted, innocent) = (
        server_wide("member"),
        server_wide("granted"),
        server_wide("innocent"),
    );
    let mut admin = database.connect().await;
    execute(
        &mut admin,
        &format!(
            "CREATE ROLE {member} LOGIN PASSWORD '{PASSWORD}' NOINHERIT IN ROLE tidewatch_writer;
             CREATE ROLE {granted} LOGIN PASSWORD '{PASSWORD}'; CREATE ROLE {innocent} LOGIN PASSWORD '{PASSWORD}';
             GRANT USAGE ON SCHEMA ledger TO {granted}; GRANT UPDATE (halt) ON ledger.cursors TO {granted}"
        ),
    )
    .await
    .unwrap();
    let cases = [
        (database.url(), "it is a superuser".to_owned()),
        (
            database.url_as("tidewatch_writer"),
            "it is a member of tidewatch_writer".to_owned(),
        ),
        (
            database.url_as(&member),
            "it is a member of tidewatch_writer".to_owned(),
        ),
        (
            database.url_as(&granted),
            format!("as {granted} it may write ledger.cursors"),
        ),
    ];
    for (url, expected) in cases {
        match Reader::connect(&url).await {
            Err(error @ Error::WritingReader { .. }) => {
                assert_eq!(error.fault(), Fault::Fatal);
                let sentence = error.to_string();
                assert!(sentence.contains(&expected), "{sentence}");
            }
            other => panic!("{url}: {other:?}"),
        }
    }
    for login in [innocent.as_str(), "tidewatch_reader", "tidewatch_auditor"] {
        Reader::connect(&database.url_as(login)).await.unwrap();
    }
    execute(
        &mut admin,
        &format!("DROP OWNED BY {granted}; DROP ROLE {member}, {granted}, {innocent}"),
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn the_auditor_sees_the_views_and_no_log_result_or_document() {
    let database = Database::migrated().await;
    let mut admin = database.connect().await;
    rows::deployment(&mut admin).await;
    let job = rows::job(&mut admin, 1).await;
    rows::job_log(&mut admin, job, Some("complete"), &[b"secret"]).await;
    let mut auditor = database.connect_as("tidewatch_auditor").await;
    for view in [
        "keeper_events",
        "jobs",
        "verdicts",
        "transitions",
        "blocks",
        "policy_versions",
        "documents",
        "operator_actions",
        "deployments",
        "evidence",
        "workflows",
        "agent_acts",
        "agent_transactions",
        "agent_accounts",
    ] {
        execute(&mut auditor, &format!("SELECT * FROM tidewatch.{view}"))
            .await
            .unwrap();
    }
    let (contract, canonical): (String, bool) =
        sqlx::query_as("SELECT contract, canonical FROM tidewatch.keeper_events")
            .fetch_one(&mut auditor)
            .await
            .unwrap();
    assert_eq!(
        (contract.as_str(), canonical),
        ("ComputeExecutionCondition", true)
    );
    for table in [
        "job_logs",
        "job_log_chunks",
        "results",
        "documents",
        "job_specs",
        "policy_versions",
        "jobs",
    ] {
        let code = refusal(&mut auditor, &format!("SELECT * FROM ledger.{table}")).await;
        assert_eq!(code, INSUFFICIENT_PRIVILEGE, "{table}");
    }
    for view in ["jobs", "operator_actions", "transitions"] {
        refusal(&mut auditor, &format!("DELETE FROM tidewatch.{view}")).await;
    }
    let bodies: Vec<(String, String)> = sqlx::query_as(
        "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'tidewatch' AND column_name = 'body'",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    assert_eq!(bodies, []);
}

#[tokio::test]
async fn the_writer_has_rows_and_not_the_schema() {
    let database = Database::migrated().await;
    rows::deployment(&mut database.connect_as("tidewatch_writer").await).await;
    let mut writer = database.connect_as("tidewatch_writer").await;
    rows::job(&mut writer, 1).await;
    execute(
        &mut writer,
        "UPDATE ledger.job_state SET attempt = 1; CREATE TEMPORARY TABLE staging (a int)",
    )
    .await
    .unwrap();
    for statement in [
        "UPDATE ledger.jobs SET name = name",
        "DELETE FROM ledger.transitions",
        "TRUNCATE ledger.job_state",
        "ALTER TABLE ledger.jobs DISABLE TRIGGER append_only",
        "DROP TABLE ledger.parked",
        "CREATE TABLE ledger.mine (a int)",
        "INSERT INTO ledger.releases (release) VALUES (9)",
    ] {
        let code = refusal(&mut writer, statement).await;
        assert_eq!(code, INSUFFICIENT_PRIVILEGE, "{statement}");
    }
}

#[tokio::test]
async fn logins_are_made_by_several_databases_at_once_and_again() {
    let (one, two) = tokio::join!(Database::migrated(), Database::migrated());
    for database in [&one, &two] {
        let ledger = database.ledger();
        let (first, second) = tokio::join!(roles::ensure(ledger), roles::ensure(ledger));
        assert_eq!(
            (first.unwrap(), second.unwrap()),
            (Ensured::Done, Ensured::Done)
        );
    }
}

#[tokio::test]
async fn what_the_migrating_login_may_not_do_is_handed_over_as_sql() {
    let database = Database::empty().await;
    let login = format!("tidewatch_test_owner_{}", Uuid::new_v4().simple());
    let mut admin = database.connect().await;
    let create = format!("CREATE ROLE {login} LOGIN PASSWORD '{PASSWORD}'");
    execute(&mut admin, &create).await.unwrap();
    execute(
        &mut admin,
        &format!("ALTER DATABASE {} OWNER TO {login}", database.name()),
    )
    .await
    .unwrap();
    let ledger = Ledger::connect(&database.url_as(&login), 2).await.unwrap();
    schema::migrate(&ledger).await.unwrap();
    // This login owns everything here, so it may grant once the logins are there; passwords it may not set.
    if let Ensured::Handed { sql } = roles::ensure(&ledger).await.unwrap() {
        execute(&mut admin, &sql).await.unwrap();
    }
    give_passwords(database.ledger()).await;
    // Logins that own nothing may not, whether the server refuses or only warns.
    execute(
        &mut admin,
        "REVOKE ALL ON ledger.job_log_chunks FROM tidewatch_reader",
    )
    .await
    .unwrap();
    for other in ["tidewatch_writer", "tidewatch_auditor"] {
        let other = Ledger::connect(&database.url_as(other), 1).await.unwrap();
        let Ensured::Handed { sql } = roles::ensure(&other).await.unwrap() else {
            panic!("it may not");
        };
        execute(&mut admin, &sql).await.unwrap();
        other.close().await;
    }
    let error = roles::set_password(&ledger, Role::Reader, "pencil")
        .await
        .unwrap_err();
    assert_eq!(error.fault(), Fault::Fatal);
    ledger.close().await;
    execute(
        &mut admin,
        &format!(
            "REASSIGN OWNED BY {login} TO CURRENT_USER; DROP OWNED BY {login}; DROP ROLE {login}"
        ),
    )
    .await
    .unwrap();
    Reader::connect(&database.url_as("tidewatch_reader"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_schema_says_what_it_is_to_this_program() {
    let database = Database::empty().await;
    let ledger = Ledger::connect(&database.url(), 2).await.unwrap();
    let mut connection = ledger.acquire().await.unwrap();
    let version = schema::schema_version(&mut connection).await.unwrap();
    assert_eq!(version, SchemaVersion::Missing);
    schema::migrate(&ledger).await.unwrap();
    schema::migrate(&ledger).await.unwrap();
    let version = schema::schema_version(&mut connection).await.unwrap();
    assert!(version.is_compatible(), "{version}");

    let mut admin = database.connect().await;
    let newer =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (20990101000001, 'from the future', true, '', 0);
                 INSERT INTO ledger.releases (release) SELECT max(release) + 1 FROM ledger.releases";
    execute(&mut admin, newer).await.unwrap();
    let version = schema::schema_version(&mut connection).await.unwrap();
    assert_eq!(
        version,
        SchemaVersion::Compatible {
            version: 20_990_101_000_001
        }
    );
    execute(
        &mut admin,
        "INSERT INTO ledger.releases (release) SELECT max(release) + 1 FROM ledger.releases",
    )
    .await
    .unwrap();
    let version = schema::schema_version(&mut connection).await.unwrap();
    assert_eq!(
        version,
        SchemaVersion::TooNew {
            release: RELEASE + 2
        }
    );
    execute(
        &mut admin,
        "DELETE FROM _sqlx_migrations WHERE description = 'create releases'",
    )
    .await
    .unwrap();
    let version = schema::schema_version(&mut connection).await.unwrap();
    assert!(matches!(version, SchemaVersion::TooOld { .. }), "{version}");
}

#[tokio::test]
async fn a_password_reaches_the_server_as_a_verifier_only() {
    let database = Database::migrated().await;
    let ledger = database.ledger();
    for _ in 0..2 {
        roles::set_password(ledger, Role::Auditor, PASSWORD)
            .await
            .unwrap();
    }
    let stored: String =
        sqlx::query_scalar("SELECT rolpassword FROM pg_authid WHERE rolname = 'tidewatch_auditor'")
            .fetch_one(&mut database.connect().await)
            .await
            .unwrap();
    assert!(stored.starts_with("SCRAM-SHA-256$4096:"), "{stored}");
    database.connect_as("tidewatch_auditor").await;
    for unusable in ["", "a\nb", "pässword"] {
        let refused = roles::set_password(ledger, Role::Auditor, unusable).await;
        assert!(matches!(refused, Err(Error::UnusablePassword { .. })));
    }
}
