//! What an operator's command works on: the writer's database, and one deployment in it.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};

use crate::app::config::{Environment, Faults, Secret};
use crate::app::service;
use crate::ids::DeploymentId;
use crate::keeper::Deployment;
use crate::ledger::{Ledger, Transaction, deployments, operator_actions};

/// A ledger and the deployment that a command is about.
pub(super) struct Opened {
    pub(super) ledger: Ledger,
    pub(super) deployment: DeploymentId,
    /// The deployment file, if one was named.
    pub(super) keeper: Option<Deployment>,
}

/// Opens the writer's database and finds the deployment: the newest of the deployment file's contracts, or the only one.
///
/// # Errors
/// [`Faults`] when the database is not named; else a sentence.
pub(super) async fn open(
    keeper: Option<&Path>,
    environment: &Environment,
) -> anyhow::Result<Opened> {
    let mut faults = Faults::default();
    let url = database_url(environment, &mut faults);
    let (Some(url), true) = (url, faults.is_empty()) else {
        return Err(faults.into());
    };
    let keeper = keeper
        .map(|path| service::read_deployment(Some(path)))
        .transpose()?;
    let ledger = service::open_ledger(&url).await?;
    let deployment = match &keeper {
        Some(keeper) => service::find_deployment(&ledger, keeper).await?,
        None => only_deployment(&ledger).await?,
    };
    Ok(Opened {
        ledger,
        deployment,
        keeper,
    })
}

fn database_url(environment: &Environment, faults: &mut Faults) -> Option<Secret> {
    let url = environment.secret("DATABASE_URL", faults);
    if url.is_none() && faults.is_empty() {
        faults.add(
            "DATABASE_URL",
            "is required: the writer's Postgres, postgres://user:password@host/database",
        );
    }
    url
}

async fn only_deployment(ledger: &Ledger) -> anyhow::Result<DeploymentId> {
    let known = deployments::list_ids(&mut *ledger.acquire().await?).await?;
    match known.as_slice() {
        [only] => Ok(*only),
        [] => bail!("no follower has recorded any deployment yet: start one first"),
        _ => bail!(
            "this database holds {} deployments: name one by its file, TIDEWATCH_KEEPER",
            known.len()
        ),
    }
}

/// Why an operator does something, and whether only to say what it would do.
pub(super) struct Intent<'a> {
    reason: Option<&'a str>,
    pub(super) dry_run: bool,
}

impl<'a> Intent<'a> {
    /// # Errors
    /// [`Faults`] when neither a reason nor a dry run is given.
    pub(super) fn new(reason: Option<&'a str>, dry_run: bool) -> Result<Self, Faults> {
        let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
        if reason.is_none() && !dry_run {
            let mut faults = Faults::default();
            faults.add(
                "--reason",
                "is required: what is done by hand is recorded with why",
            );
            return Err(faults);
        }
        Ok(Self { reason, dry_run })
    }

    /// Records the action in the transaction that does it.
    ///
    /// # Errors
    /// Database errors.
    pub(super) async fn record(
        &self,
        transaction: &mut Transaction,
        action: &str,
        subject: &str,
    ) -> anyhow::Result<()> {
        let reason = self.reason.context("a dry run records nothing")?;
        operator_actions::record(transaction, action, subject, reason).await?;
        Ok(())
    }
}

/// Prints one line.
///
/// # Errors
/// Standard output is closed.
pub(super) fn say(line: impl std::fmt::Display) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
