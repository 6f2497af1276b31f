use std::io::Write;
use std::path::Path;

use anyhow::Context;

use crate::app::cli::MigrateOptions;
use crate::app::config::{Environment, Faults, Secret};
use crate::ledger::roles::{self, Ensured, Role};
use crate::ledger::{Ledger, schema};

/// Brings the database to this version, and makes the logins.
pub(in crate::app) async fn run(
    options: &MigrateOptions,
    environment: &Environment,
) -> anyhow::Result<()> {
    let mut faults = Faults::default();
    let url = environment.secret("DATABASE_URL", &mut faults);
    if url.is_none() {
        faults.add(
            "DATABASE_URL",
            "is required: the database, as a login that may create schemas in it",
        );
    }
    let reader = password(
        options.reader_password_file.as_deref(),
        "--reader-password-file",
        &mut faults,
    );
    let writer = password(
        options.writer_password_file.as_deref(),
        "--writer-password-file",
        &mut faults,
    );
    let (Some(url), true) = (url, faults.is_empty()) else {
        return Err(faults.into());
    };

    let ledger = Ledger::connect(url.expose(), 2).await?;
    schema::migrate(&ledger).await?;
    let mut out = std::io::stdout();
    if let Ensured::Handed { sql } = roles::ensure(&ledger).await? {
        writeln!(
            out,
            "-- this login may not make roles; a superuser has to run:\n{sql}"
        )?;
    }
    for (role, password) in [(Role::Reader, reader), (Role::Writer, writer)] {
        if let Some(password) = password {
            roles::set_password(&ledger, role, password.expose()).await?;
        }
    }
    writeln!(out, "the database is at this version")?;
    Ok(())
}

fn password(file: Option<&Path>, flag: &str, faults: &mut Faults) -> Option<Secret> {
    let file = file?;
    let read = std::fs::read_to_string(file)
        .with_context(|| format!("names {}, which cannot be read", file.display()));
    let text = faults.check(flag, read.map_err(|error| format!("{error:#}")))?;
    Some(Secret::new(text.trim_end()))
}
