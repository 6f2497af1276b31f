//! Composition: configuration, wiring, lifecycle, commands. The only module that knows all others, and that nothing depends on.
//!
//! Layout:
//! - `cli.rs`: the command line; `commands/`: one file per command, each a short wiring list;
//! - `config/`: flags, environment and `.env` → a checked configuration;
//! - `lifecycle.rs`: starting and ending the workers of one process; `telemetry/`: log and metrics;
//! - `engines.rs`: the engine that the configuration names, connected;
//! - `service.rs`: which workers a role means, and who wakes whom;
//! - `agent.rs`: the agent's key, node and limits; `api.rs`: the API's ports;
//! - `calls.rs`: the port through which facts are read from the chain;
//! - `catalog.rs`: the publisher's file, read again when it changes;
//! - `explanation/`: why an agreement or a transaction has its job, or none;
//! - `stage.rs`: the programs inside a job's pods;
//! - `packages.rs`, `anvil.rs`: npm packages by integrity, and the development chain, for the demo and the tests;
//! - `demo/`: the whole story on real parts.
//!
//! Errors end here: `anyhow` is used in this module alone, and an error is printed once, as one sentence on standard error.
//! Exit codes: 0 done; 1 failed; 2 wrong usage or configuration.

mod agent;
mod agent_key;
pub mod anvil;
mod api;
mod calls;
mod catalog;
mod cli;
mod commands;
pub mod config;
mod demo;
mod engines;
mod explanation;
mod lifecycle;
pub mod packages;
mod service;
pub mod stage;
mod telemetry;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command, KeeperCommand};
use config::{Environment, Faults};

/// Runs the command line. Answers the process's exit code.
pub fn main() -> ExitCode {
    // before there is any thread or environment to read: the guard must be alone in its process
    if let Some(code) = stage::guard() {
        return code;
    }
    // both ring and aws-lc-rs are in the tree; without a choice rustls panics at the first connection
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        return fail(&anyhow::anyhow!("a TLS provider was chosen already"));
    }
    let dotenv = dotenvy::dotenv();
    if let Err(error) = dotenv
        && !error.not_found()
    {
        return fail(&anyhow::Error::new(error).context("could not read .env"));
    }
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let code = runtime.block_on(dispatch(cli.command));
    // what is left are blocking threads that nobody waits for any more
    runtime.shutdown_background();
    code
}

async fn dispatch(command: Command) -> ExitCode {
    let environment = Environment::of_process();
    let done = match command {
        Command::Run(options) => commands::run::run(&options, &environment).await,
        Command::Migrate(options) => commands::migrate::run(&options, &environment).await,
        Command::Demo(options) => demo::run(&options, &environment).await,
        Command::Explain(options) => commands::explain::run(&options, &environment).await,
        Command::Status(options) => commands::status::run(&options, &environment).await,
        Command::Check(options) => commands::check::run(&options, &environment).await,
        Command::Follower(command) => commands::follower::run(&command, &environment).await,
        Command::Jobs(command) => commands::jobs::run(&command, &environment).await,
        Command::Parked(command) => commands::parked::run(&command, &environment).await,
        Command::Pause(options) => commands::pause::run("pause", &options, &environment).await,
        Command::Resume(options) => commands::pause::run("resume", &options, &environment).await,
        Command::Keeper(KeeperCommand::Deploy(options)) => {
            commands::keeper_deploy::run(&options, &environment).await
        }
        Command::Keeper(KeeperCommand::Upgrade(options)) => {
            commands::keeper_upgrade::run(&options, &environment).await
        }
        Command::Crd => commands::crd::run(),
        Command::Openapi => commands::openapi::run(),
        Command::Stage(command) => return stage::run(command).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the one place where a command's failure is told"
)]
fn fail(error: &anyhow::Error) -> ExitCode {
    // a list of faults is told as it is; an error as one sentence with its causes
    if let Some(faults) = error.downcast_ref::<Faults>() {
        eprint!("tidewatch: {faults}");
        return ExitCode::from(2);
    }
    eprintln!("tidewatch: {error:#}");
    ExitCode::FAILURE
}
