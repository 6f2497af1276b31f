//! `tidewatch stage …`: the programs that run in a job's pods. Not for people.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::stages::{self, Surroundings, TERMINATION_MESSAGE, configure, publish};

/// One stage of a job.
#[derive(Clone, Debug, Subcommand)]
pub enum StageCommand {
    /// Fetches the inputs and puts the algorithm in place.
    Configure(ConfigureArguments),
    /// Puts the guard where the algorithm's container can execute it.
    InstallGuard(InstallGuardArguments),
    /// Stores results and manifest, and prints the job log.
    Publish(PublishArguments),
}

/// Arguments of `stage configure`.
#[derive(Args, Clone, Debug)]
pub struct ConfigureArguments {
    /// File with the plan.
    #[arg(long)]
    plan: PathBuf,
    /// The volume.
    #[arg(long)]
    data: PathBuf,
    /// Directory with the inputs' Secrets.
    #[arg(long, default_value = "/secrets/inputs")]
    secrets: PathBuf,
    /// Fetch file: URLs too; development only.
    #[arg(long)]
    allow_file: bool,
    #[command(flatten)]
    around: Around,
    #[command(flatten)]
    shared: Shared,
}

/// Arguments of `stage install-guard`.
#[derive(Args, Clone, Debug)]
pub struct InstallGuardArguments {
    /// The file to make.
    #[arg(long)]
    to: PathBuf,
    /// The file to make with the addresses that the guard asks.
    #[arg(long)]
    targets: Option<PathBuf>,
    #[command(flatten)]
    around: Around,
}

/// Arguments of `stage publish`.
#[derive(Args, Clone, Debug)]
pub struct PublishArguments {
    /// The plan as JSON, or @ and the path of a file that holds it.
    #[arg(long)]
    plan: String,
    /// The volume.
    #[arg(long)]
    data: PathBuf,
    /// Directory with the object store's options, one file each.
    #[arg(long, default_value = "/secrets/results")]
    credentials: PathBuf,
    /// Let results go to a file: URL; development only.
    #[arg(long)]
    allow_file: bool,
    #[command(flatten)]
    shared: Shared,
}

/// What Kubernetes tells a container of its surroundings.
#[derive(Args, Clone, Debug)]
struct Around {
    /// Address of the Kubernetes API.
    #[arg(long, env = "KUBERNETES_SERVICE_HOST")]
    api_host: Option<String>,
    /// Its port.
    #[arg(long, env = "KUBERNETES_SERVICE_PORT")]
    api_port: Option<u16>,
    /// Addresses of the node, separated by commas.
    #[arg(long, env = "TIDEWATCH_NODE_ADDRESSES")]
    node_addresses: Option<String>,
}

impl From<Around> for Surroundings {
    fn from(given: Around) -> Self {
        Self {
            api_host: given.api_host,
            api_port: given.api_port,
            node_addresses: given.node_addresses,
        }
    }
}

#[derive(Args, Clone, Debug)]
struct Shared {
    /// File for the termination message.
    #[arg(long, default_value = TERMINATION_MESSAGE)]
    message: PathBuf,
    /// PEM file with certificate authorities to trust besides the system's.
    #[arg(long, env = "TIDEWATCH_CA_FILE")]
    ca_file: Option<PathBuf>,
}

/// Runs the guard if that is what the command line asks for: `stage guard run …`, with its own words after that.
///
/// In a cluster it is a program of its own, small and static for any image. The process engine starts it from this one, which is
/// there for certain. It is not one of [`StageCommand`]'s, since it must find its process with one thread.
pub(super) fn guard() -> Option<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    let is_guard = words.next()? == "stage" && words.next()? == "guard";
    is_guard.then(|| stages::guard::run(words))
}

/// Runs a stage to its end and answers the process's exit code.
pub async fn run(command: StageCommand) -> ExitCode {
    // Two providers are linked, and rustls chooses neither by itself.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        // One is installed already.
    }
    match command {
        StageCommand::Configure(given) => {
            configure::run(&configure::Options {
                plan: given.plan,
                data: given.data,
                secrets: given.secrets,
                allow_file: given.allow_file,
                around: given.around.into(),
                ca_file: given.shared.ca_file,
                message: given.shared.message,
            })
            .await
        }
        StageCommand::InstallGuard(given) => match install_guard(given) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let error = anyhow::Error::new(error);
                if writeln!(std::io::stderr(), "install-guard: {error:#}").is_err() {
                    // Nobody is there to be told.
                }
                ExitCode::FAILURE
            }
        },
        StageCommand::Publish(given) => {
            publish::run(&publish::Options {
                plan: given.plan,
                data: given.data,
                credentials: given.credentials,
                allow_file: given.allow_file,
                ca_file: given.shared.ca_file,
                message: given.shared.message,
            })
            .await
        }
    }
}

fn install_guard(given: InstallGuardArguments) -> Result<(), stages::InstallError> {
    if let Some(targets) = &given.targets {
        stages::write_targets(&given.around.into(), targets)?;
    }
    stages::install_guard(&given.to)
}
