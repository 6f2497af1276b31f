use crate::fault::Fault;
use crate::ids::JobId;
use crate::jobs::{Phase, UnknownWord};
use crate::worker::TickError;

/// What went wrong in the ledger.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A statement failed.
    #[error("could not {attempted}")]
    Database {
        /// What was attempted, as the end of a sentence.
        attempted: &'static str,
        /// Why not.
        source: sqlx::Error,
    },
    /// A row holds something that this version cannot read: the schema was changed by hand, or a newer version wrote it.
    #[error("{table} holds a value that this version cannot read")]
    Unreadable {
        /// The table.
        table: &'static str,
        /// What could not be read.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A job was asked to make a move that is not legal.
    #[error("job {job} may not go from {from} to {to}")]
    IllegalMove {
        /// The job.
        job: JobId,
        /// Its phase.
        from: Phase,
        /// The phase asked for.
        to: Phase,
    },
    /// The reader's login could change the ledger, so it is no wall; see [`Reader`](super::Reader).
    #[error(
        "the API's database login {login} may change the ledger: {how}; give it tidewatch_reader's login"
    )]
    WritingReader {
        /// The login.
        login: String,
        /// What it could do.
        how: String,
    },
    /// A password that could not be proven the same way by every client.
    #[error("the password for {role} must be 1 to 256 printable ASCII characters")]
    UnusablePassword {
        /// The login it was meant for.
        role: &'static str,
    },
    /// Somebody else moved the row since it was read; look again.
    #[error("{what} was changed by somebody else meanwhile")]
    Conflict {
        /// What was changed.
        what: &'static str,
    },
}

impl Error {
    /// What the error means for the worker that meets it.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Database { source, .. } => database_fault(source),
            Self::Unreadable { .. }
            | Self::WritingReader { .. }
            | Self::UnusablePassword { .. } => Fault::Fatal,
            Self::IllegalMove { .. } => Fault::Rejected,
            Self::Conflict { .. } => Fault::Transient,
        }
    }

    /// Wraps a value that could not be read from `table`.
    pub fn unreadable<E>(table: &'static str) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        move |source| Self::Unreadable {
            table,
            source: source.into(),
        }
    }
}

/// SQLSTATE classes after "PostgreSQL Error Codes": 22 and 23 are the row's fault, 42 and 3F a schema that is not ours, 28 and 3D
/// a login or database that does not exist; everything else (connections, shutdown, read-only, serialisation) passes.
fn database_fault(error: &sqlx::Error) -> Fault {
    match error {
        sqlx::Error::Configuration(_) | sqlx::Error::ColumnDecode { .. } => Fault::Fatal,
        sqlx::Error::Database(error) => match error.code().as_deref().map(|code| &code[..2]) {
            Some("22" | "23") => Fault::Rejected,
            Some("42" | "3F" | "28" | "3D") => Fault::Fatal,
            _ => Fault::Transient,
        },
        _ => Fault::Transient,
    }
}

impl TickError for Error {
    fn fault(&self) -> Fault {
        self.fault()
    }
}

impl From<UnknownWord> for Error {
    fn from(source: UnknownWord) -> Self {
        Self::Unreadable {
            table: "job_state",
            source: source.into(),
        }
    }
}

/// Says what a statement was for.
pub trait Attempt<T> {
    /// Turns a database error into the room's, with `attempted` as the end of the sentence "could not …".
    ///
    /// # Errors
    /// The statement's error, wrapped.
    fn attempt(self, attempted: &'static str) -> Result<T, Error>;
}

impl<T> Attempt<T> for Result<T, sqlx::Error> {
    fn attempt(self, attempted: &'static str) -> Result<T, Error> {
        self.map_err(|source| Error::Database { attempted, source })
    }
}
