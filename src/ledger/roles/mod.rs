//! The three logins of a database, and what each may do. `tidewatch migrate` makes them after the migrations.
//!
//! Logins belong to the whole server and not to a database. A managed server may not let the migrating login make any: then the
//! statements are handed back for an operator to run ([`Ensured::Handed`]), and everything else still works.
//!
//! Why logins and not `SET ROLE`: whoever can send statements can send `RESET ROLE` too.
//!
//! Statements here are whole files and not checked macros: `CREATE ROLE` and `GRANT` have no parameters and no result to check.

mod password;

use std::fmt;

use sqlx::PgConnection;

use super::{Attempt, Error, Ledger, commit};

pub use password::set_password;

/// SQLSTATEs ("PostgreSQL Error Codes") of a server that does not let us: insufficient_privilege, and undefined_object for a
/// login that could not be made.
const NOT_ALLOWED: [&str; 2] = ["42501", "42704"];

const CREATE: &str = include_str!("create.sql");
const GRANT: &str = include_str!("grant.sql");

/// A login of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The workers': rows of the ledger, not its schema.
    Writer,
    /// The API's: reads what it shows.
    Reader,
    /// Auditors': the views.
    Auditor,
}

impl Role {
    /// Every login.
    pub const ALL: [Self; 3] = [Self::Writer, Self::Reader, Self::Auditor];

    /// Its name on the server.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Writer => "tidewatch_writer",
            Self::Reader => "tidewatch_reader",
            Self::Auditor => "tidewatch_auditor",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What became of the logins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ensured {
    /// They are there, with their rights.
    Done,
    /// This login may not do it. The statements that an operator has to run in this database.
    Handed {
        /// SQL, safe to run again.
        sql: String,
    },
}

/// Makes the logins that are absent and says what each may do in this database. Safe to repeat, and for several databases of one
/// server at once. Passwords are left as they are.
///
/// # Errors
/// [`Error`] when the database fails for another reason than missing rights.
pub async fn ensure(ledger: &Ledger) -> Result<Ensured, Error> {
    let is_done = match apply(ledger).await {
        Ok(is_done) => is_done,
        Err(Error::Database { source, .. }) if is_not_allowed(&source) => false,
        Err(error) => return Err(error),
    };
    Ok(if is_done {
        Ensured::Done
    } else {
        Ensured::Handed {
            sql: format!("BEGIN;\n{CREATE}\n{GRANT}COMMIT;\n"),
        }
    })
}

/// Answers whether the logins have their rights afterwards: a GRANT by somebody who may not give all of it is a warning at most.
async fn apply(ledger: &Ledger) -> Result<bool, Error> {
    let mut transaction = ledger.begin().await?;
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('tidewatch.roles'))")
        .fetch_one(&mut *transaction)
        .await
        .attempt("wait for another migration's logins")?;
    sqlx::raw_sql(CREATE)
        .execute(&mut *transaction)
        .await
        .attempt("make the database's logins")?;
    sqlx::raw_sql(GRANT)
        .execute(&mut *transaction)
        .await
        .attempt("say what the database's logins may do")?;
    let is_done = sqlx::query_scalar!(
        r#"SELECT has_table_privilege('tidewatch_writer', 'ledger.transitions', 'INSERT')
              AND has_table_privilege('tidewatch_reader', 'ledger.job_log_chunks', 'SELECT')
              AND has_table_privilege('tidewatch_reader', 'sign_in.spent_nonces', 'INSERT')
              AND has_table_privilege('tidewatch_auditor', 'tidewatch.workflows', 'SELECT')
              AND pg_has_role(session_user, (SELECT relowner FROM pg_class WHERE oid = 'ledger.transitions'::regclass), 'USAGE')
              AS "is_done!""#
    )
    .fetch_one(&mut *transaction)
    .await
    .attempt("look at what the database's logins may do")?;
    if is_done {
        commit(transaction).await?;
    }
    Ok(is_done)
}

fn is_not_allowed(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| NOT_ALLOWED.contains(&code.as_ref()))
}

/// The logins that lack some of their rights in this database, or are absent. A sample of the rights is asked for: one that each
/// newest release added.
///
/// # Errors
/// Database errors.
pub async fn list_lacking(connection: &mut PgConnection) -> Result<Vec<&'static str>, Error> {
    let rights = [
        (Role::Writer, "ledger", "strays", "INSERT"),
        (Role::Reader, "sign_in", "spent_nonces", "INSERT"),
        (Role::Auditor, "tidewatch", "strays", "SELECT"),
    ];
    let mut lacking = Vec::new();
    for (role, schema, table, right) in rights {
        // By the catalog's rows: a name in a schema that the asking login may not use is an error.
        let has = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM pg_roles r, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                              WHERE r.rolname = $1 AND n.nspname = $2 AND c.relname = $3
                                AND has_table_privilege(r.oid, c.oid, $4)) AS "has!""#,
            role.as_str(),
            schema,
            table,
            right
        )
        .fetch_one(&mut *connection)
        .await
        .attempt("look at what a login may do")?;
        if !has {
            lacking.push(role.as_str());
        }
    }
    Ok(lacking)
}
