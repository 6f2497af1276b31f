//! `tidewatch jobs …`: what operators ask of jobs, and do to them.
//!
//! Layout: `show.rs` reads; `act.rs` writes down what is wanted, which the workers carry out; `erase.rs` deletes bytes.

mod act;
mod erase;
mod show;

use anyhow::Context;

use super::opening::Opened;
use crate::app::cli::JobsCommand;
use crate::app::config::Environment;
use crate::ids::JobName;
use crate::ledger::Connection;
use crate::ledger::reader::{self, JobRow};

/// Does what was asked.
pub(in crate::app) async fn run(
    command: &JobsCommand,
    environment: &Environment,
) -> anyhow::Result<()> {
    match command {
        JobsCommand::List(options) => show::list(options, environment).await,
        JobsCommand::Show(options) => show::show(options, environment).await,
        JobsCommand::Logs(options) => show::logs(options, environment).await,
        JobsCommand::Stop(options) => act::stop(options, environment).await,
        JobsCommand::Retry(options) => act::retry(options, environment).await,
        JobsCommand::Release(options) => act::release(options, environment).await,
        JobsCommand::Erase(options) => erase::erase(options, environment).await,
    }
}

async fn find(
    opened: &Opened,
    connection: &mut Connection,
    name: &JobName,
) -> anyhow::Result<JobRow> {
    let job = reader::find_job(connection, opened.deployment, name).await?;
    job.with_context(|| format!("there is no {name} in this deployment"))
}
