use std::path::PathBuf;

use alloy::primitives::Address;
use clap::{Args, Parser, Subcommand};

use super::config::ServiceOptions;
use super::stage::StageCommand;
use crate::ids::JobName;
use crate::jobs::{Outcome, Phase};
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
    /// Say why an agreement, a job or a transaction has the job that it has, or none
    Explain(ExplainOptions),
    /// Bring the database to this version
    Migrate(MigrateOptions),
    /// How far everything is, and what needs an operator
    Status(StatusOptions),
    /// Ask every part, and say what is wrong and how to mend it
    Check(Box<ServiceOptions>),
    /// Commands for the follower
    #[command(subcommand)]
    Follower(FollowerCommand),
    /// What runs and ran: looking at it, stopping it, trying it again, releasing and erasing what came out
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// What could not be handled, and does not hold up the rest
    #[command(subcommand)]
    Parked(ParkedCommand),
    /// Start no more jobs; those that run go on
    Pause(ActOptions),
    /// Start jobs again
    Resume(ActOptions),
    /// Commands about the keeper contracts
    #[command(subcommand)]
    Keeper(KeeperCommand),
    /// Print the custom resource definition
    Crd,
    /// Print the description of the HTTP API (OpenAPI 3.1)
    Openapi,
    /// The programs inside a job's pods
    #[command(subcommand, hide = true)]
    Stage(StageCommand),
}

#[derive(Args, Debug)]
pub(super) struct DemoOptions {
    /// What runs the jobs: kubernetes, process, or auto: a cluster where one is at hand, else processes
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
pub(super) struct ExplainOptions {
    /// An agreement's id, a job's id, or the hash of any transaction
    pub(super) subject: String,
    /// File with the keeper's deployment
    #[arg(long, env = "TIDEWATCH_KEEPER")]
    pub(super) keeper: Option<PathBuf>,
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

/// Which deployment a command is about.
#[derive(Args, Debug)]
pub(super) struct Subject {
    /// File with the keeper's deployment; needed where the database holds several
    #[arg(long, env = "TIDEWATCH_KEEPER")]
    pub(super) keeper: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct StatusOptions {
    #[command(flatten)]
    pub(super) subject: Subject,
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What every command that changes something takes.
#[derive(Args, Debug)]
pub(super) struct ActOptions {
    #[command(flatten)]
    pub(super) subject: Subject,
    /// Why; recorded with the action
    #[arg(long)]
    pub(super) reason: Option<String>,
    /// Only say what would be done
    #[arg(long)]
    pub(super) dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum FollowerCommand {
    /// Read history again, compare it with the ledger, mend what is wrong
    Resync(ResyncOptions),
    /// Go on after an irreversible block was replaced: what the chain no longer has is rolled back
    ReleaseHalt(ActOptions),
    /// Judge again after followed contracts were given code that the deployment file does not list
    ReleaseUpgrades(ActOptions),
    /// Take for granted that what the contracts count beyond the ledger was made before the start block
    AcceptCounters(ActOptions),
}

#[derive(Args, Debug)]
pub(super) struct ResyncOptions {
    #[command(flatten)]
    pub(super) act: ActOptions,
    /// First block that is read again
    #[arg(long)]
    pub(super) from: u64,
    /// Endpoints of the chain's nodes, comma separated
    #[arg(long, env = "TIDEWATCH_RPC_URLS", hide_env_values = true)]
    pub(super) rpc_urls: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(super) enum ParkedCommand {
    /// What is parked, and why
    List(StatusOptions),
    /// Try something again
    Replay(ReplayOptions),
}

#[derive(Debug, Subcommand)]
pub(super) enum JobsCommand {
    /// Jobs, newest first
    List(JobListOptions),
    /// A job with its attempts and everything that moved it
    Show(JobShowOptions),
    /// What a job printed
    Logs(JobLogOptions),
    /// End a job; its log is kept
    Stop(JobActOptions),
    /// Run a job again that did not succeed, from the beginning
    Retry(JobActOptions),
    /// Let out what waits for a review
    Release(JobActOptions),
    /// Erase the logs and results of a job that is over; hashes stay
    Erase(EraseOptions),
}

#[derive(Args, Debug)]
pub(super) struct JobListOptions {
    #[command(flatten)]
    pub(super) subject: Subject,
    /// Only jobs in this phase
    #[arg(long)]
    pub(super) phase: Option<Phase>,
    /// Only jobs that ended so
    #[arg(long)]
    pub(super) outcome: Option<Outcome>,
    /// Most jobs that are listed
    #[arg(long, default_value_t = 50)]
    pub(super) limit: u32,
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct JobShowOptions {
    /// The job's id
    pub(super) job: JobName,
    #[command(flatten)]
    pub(super) subject: Subject,
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct JobLogOptions {
    /// The job's id
    pub(super) job: JobName,
    #[command(flatten)]
    pub(super) subject: Subject,
    /// Whose log: algorithm, or filter for what the filter let through
    #[arg(long, default_value = "algorithm")]
    pub(super) stage: String,
}

#[derive(Args, Debug)]
pub(super) struct JobActOptions {
    /// The job's id
    pub(super) job: JobName,
    #[command(flatten)]
    pub(super) act: ActOptions,
}

#[derive(Args, Debug)]
pub(super) struct EraseOptions {
    /// The job's id
    pub(super) job: JobName,
    #[command(flatten)]
    pub(super) act: ActOptions,
    /// Where the results lie
    #[arg(long, env = "TIDEWATCH_RESULTS_URL")]
    pub(super) results_url: Option<String>,
    /// PEM file with certificate authorities to trust besides the system's
    #[arg(long, env = "TIDEWATCH_CA_FILE")]
    pub(super) ca_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct ReplayOptions {
    /// Its number in the list
    pub(super) id: i64,
    #[command(flatten)]
    pub(super) act: ActOptions,
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
