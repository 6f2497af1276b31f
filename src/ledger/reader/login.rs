use sqlx::PgConnection;

use crate::ledger::{Attempt, Error};

/// Refuses a login that could change the ledger: by itself, by a role it is a member of (`SET ROLE`), as an owner, as a superuser,
/// or by giving itself a role.
///
/// # Errors
/// [`Error::WritingReader`]; database errors.
pub(super) async fn refuse_writing(connection: &mut PgConnection) -> Result<(), Error> {
    let row = sqlx::query!(
        r#"WITH may_become AS (
               SELECT r.oid, r.rolname, r.rolsuper, r.rolcreaterole FROM pg_roles r
               WHERE pg_has_role(session_user, r.oid, 'MEMBER')
           ), tables AS (
               SELECT c.oid, c.relname, c.relowner FROM pg_class c
               WHERE c.relnamespace = to_regnamespace('ledger') AND c.relkind IN ('r', 'p')
           )
           SELECT session_user::text AS "login!",
                  (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) AS "superuser!",
                  (SELECT min(rolname) FROM may_become WHERE rolsuper OR rolcreaterole) AS manager,
                  EXISTS (SELECT FROM may_become WHERE rolname = 'tidewatch_writer') AS "is_writer!",
                  (SELECT min(m.rolname) FROM may_become m
                   WHERE m.oid IN (SELECT relowner FROM tables)
                      OR has_schema_privilege(m.oid, to_regnamespace('ledger'), 'CREATE')) AS owner,
                  (SELECT min(format('as %s it may write ledger.%s', m.rolname, t.relname)) FROM may_become m CROSS JOIN tables t
                   WHERE has_table_privilege(m.oid, t.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
                      OR has_any_column_privilege(m.oid, t.oid, 'INSERT, UPDATE')) AS writing"#
    )
    .fetch_one(connection)
    .await
    .attempt("ask what the API's database login may do")?;
    let how = if row.superuser {
        Some("it is a superuser".to_owned())
    } else if row.is_writer {
        Some("it is a member of tidewatch_writer".to_owned())
    } else if let Some(manager) = row.manager {
        Some(format!("as {manager} it manages roles"))
    } else if let Some(owner) = row.owner {
        Some(format!("as {owner} it may change the schema ledger"))
    } else {
        row.writing
    };
    match how {
        Some(how) => Err(Error::WritingReader {
            login: row.login,
            how,
        }),
        None => Ok(()),
    }
}
