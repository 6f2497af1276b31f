//! Which version of the schema a database has, and bringing it to ours.

use std::collections::BTreeMap;
use std::fmt;

use sqlx::PgConnection;
use sqlx::migrate::{Migrate, MigrateError};

use super::{Attempt, Error, Ledger, MIGRATIONS};

/// Number of this program's release. The first migration of a release inserts the same number into `ledger.releases`.
pub const RELEASE: i32 = 2;

/// SQLSTATE 42P01, undefined_table ("PostgreSQL Error Codes").
const UNDEFINED_TABLE: &str = "42P01";

/// What a database's schema is to this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaVersion {
    /// Ours, or that of the next release, which still serves ours: steps that break a release are taken one release later.
    Compatible {
        /// Newest migration that the database has.
        version: i64,
    },
    /// It lacks migrations of ours.
    TooOld {
        /// Newest migration that the database has.
        version: i64,
        /// First migration that it lacks.
        lacks: i64,
    },
    /// It is more than one release ahead.
    TooNew {
        /// Release of the database.
        release: i32,
    },
    /// A migration that was applied differs from ours of the same number: another program's database, or a changed file.
    Altered {
        /// The migration.
        version: i64,
    },
    /// No migration was ever applied.
    Missing,
}

impl SchemaVersion {
    /// Whether this program may work on it.
    pub const fn is_compatible(&self) -> bool {
        matches!(self, Self::Compatible { .. })
    }
}

impl fmt::Display for SchemaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compatible { version } => write!(f, "the database has schema {version}"),
            Self::TooOld { version, lacks } => write!(
                f,
                "the database's schema {version} is too old, it lacks {lacks}: run `tidewatch migrate`"
            ),
            Self::TooNew { release } => write!(
                f,
                "the database's schema is of release {release}, too new for this program of release {RELEASE}: use a newer program"
            ),
            Self::Altered { version } => write!(
                f,
                "the database's migration {version} differs from this program's: it was not made by a released version"
            ),
            Self::Missing => {
                write!(f, "the database has no schema yet: run `tidewatch migrate`")
            }
        }
    }
}

/// Compares what was applied to the database with what this program has.
///
/// # Errors
/// [`Error`] when the database fails, or when the login may not read the migrations' table (fatal).
pub async fn schema_version(connection: &mut PgConnection) -> Result<SchemaVersion, Error> {
    let applied = match connection
        .list_applied_migrations(&MIGRATIONS.table_name)
        .await
    {
        Ok(applied) => applied,
        Err(MigrateError::Execute(error)) if is_undefined_table(&error) => {
            return Ok(SchemaVersion::Missing);
        }
        Err(source) => {
            return Err(sqlx::Error::from(source)).attempt("read which migrations were applied");
        }
    };
    let applied = applied
        .into_iter()
        .map(|migration| (migration.version, migration.checksum.to_vec()))
        .collect();
    let ours: Vec<_> = MIGRATIONS
        .iter()
        .map(|migration| (migration.version, &*migration.checksum))
        .collect();
    match compare(&ours, &applied) {
        SchemaVersion::Compatible { version } => {
            let release =
                sqlx::query_scalar!(r#"SELECT max(release) AS "release!" FROM ledger.releases"#)
                    .fetch_one(connection)
                    .await
                    .attempt("read the schema's release")?;
            if release > RELEASE + 1 {
                Ok(SchemaVersion::TooNew { release })
            } else {
                Ok(SchemaVersion::Compatible { version })
            }
        }
        other => Ok(other),
    }
}

/// Applies the migrations that the database lacks, one program at a time (an advisory lock sees to that).
///
/// # Errors
/// [`Error`] when a migration fails, or the database has migrations that this program does not know.
pub async fn migrate(ledger: &Ledger) -> Result<(), Error> {
    MIGRATIONS
        .run(&ledger.pool)
        .await
        .map_err(sqlx::Error::from)
        .attempt("apply the migrations")
}

fn is_undefined_table(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code == UNDEFINED_TABLE)
}

/// Compares versions and checksums; releases are not looked at.
fn compare(ours: &[(i64, &[u8])], applied: &BTreeMap<i64, Vec<u8>>) -> SchemaVersion {
    let Some((&version, _)) = applied.last_key_value() else {
        return SchemaVersion::Missing;
    };
    for (number, checksum) in ours {
        match applied.get(number) {
            None => {
                return SchemaVersion::TooOld {
                    version,
                    lacks: *number,
                };
            }
            Some(theirs) if theirs != checksum => {
                return SchemaVersion::Altered { version: *number };
            }
            Some(_) => {}
        }
    }
    SchemaVersion::Compatible { version }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_ours_older_altered_or_missing() {
        let ours: [(i64, &[u8]); 2] = [(1, b"a"), (2, b"b")];
        let of = |rows: &[(i64, &[u8])]| {
            let rows = rows.iter().map(|(version, sum)| (*version, sum.to_vec()));
            compare(&ours, &rows.collect())
        };
        assert_eq!(of(&[]), SchemaVersion::Missing);
        assert_eq!(of(&ours), SchemaVersion::Compatible { version: 2 });
        assert_eq!(
            of(&[(1, b"a"), (2, b"b"), (3, b"c")]),
            SchemaVersion::Compatible { version: 3 }
        );
        assert_eq!(
            of(&[(1, b"a")]),
            SchemaVersion::TooOld {
                version: 1,
                lacks: 2
            }
        );
        assert_eq!(
            of(&[(1, b"x"), (2, b"b")]),
            SchemaVersion::Altered { version: 1 }
        );
    }
}
