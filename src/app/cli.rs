use std::path::PathBuf;

use alloy::primitives::Address;
use clap::{Args, Parser, Subcommand};

use super::config::ServiceOptions;
use super::stage::StageCommand;
use crate::keeper::KeeperVersion;

/// Follows Ocean Protocol's keeper contracts and runs the compute jobs they owe
#[derive(Debug, Parser)]
#[command(name = "tidewatch", version)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// The whole story on real parts, with no set-up
    Demo(DemoOptions),
    /// Run the service, or parts of it
    Run(Box<ServiceOptions>),
    /// Bring the database to this version
    Migrate(MigrateOptions),
    /// Commands about the keeper contracts
    #[command(subcommand)]
    Keeper(KeeperCommand),
    /// Print the custom resource definition
    Crd,
    /// The programs inside a job's pods
    #[command(subcommand, hide = true)]
    Stage(StageCommand),
}

#[derive(Args, Debug)]
pub(super) struct DemoOptions {
    /// What runs the jobs: auto or kubernetes
    #[arg(long, default_value = "auto")]
    pub(super) engine: String,
    /// End when the story is told, with 0 only if every check held
    #[arg(long)]
    pub(super) once: bool,
    /// Address of the API
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub(super) api: String,
}

#[derive(Args, Debug)]
pub(super) struct MigrateOptions {
    /// File with the password that the role tidewatch_reader (the API's login) gets
    #[arg(long)]
    pub(super) reader_password_file: Option<PathBuf>,
    /// File with the password that the role tidewatch_writer (the workers' login) gets
    #[arg(long)]
    pub(super) writer_password_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum KeeperCommand {
    /// Deploy the contracts onto a development or consortium chain
    Deploy(DeployOptions),
    /// Upgrade proxied contracts of version 0.12.7 to 0.13.2
    Upgrade(UpgradeOptions),
}

#[derive(Args, Debug)]
pub(super) struct DeployOptions {
    /// Endpoint of a node of the chain
    #[arg(long)]
    pub(super) rpc: String,
    /// File with the deployer's private key, 64 hexadecimal digits
    #[arg(long)]
    pub(super) key_file: PathBuf,
    /// Version of the contracts: 0.13.2 or 0.12.7
    #[arg(long, default_value = "0.13.2")]
    pub(super) keeper_version: KeeperVersion,
    /// Put them behind proxies whose code this address may replace; it must not be the deployer's
    #[arg(long)]
    pub(super) proxy_admin: Option<Address>,
    /// Where the deployment file is written
    #[arg(short, long, default_value = "keeper.yaml")]
    pub(super) output: PathBuf,
}

#[derive(Args, Debug)]
pub(super) struct UpgradeOptions {
    /// Endpoint of a node of the chain
    #[arg(long)]
    pub(super) rpc: String,
    /// File with the private key of the contracts' owner
    #[arg(long)]
    pub(super) key_file: PathBuf,
    /// File with the private key of the proxies' admin
    #[arg(long)]
    pub(super) admin_key_file: PathBuf,
    /// The deployment file of the contracts
    #[arg(long)]
    pub(super) keeper: PathBuf,
    /// Where the new deployment file is written
    #[arg(short, long, default_value = "keeper.yaml")]
    pub(super) output: PathBuf,
}
