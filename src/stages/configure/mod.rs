//! `configure`: makes the volume's directories, fetches the inputs, and puts the algorithm in place.
//!
//! It reads only what the publisher's catalog names, so private addresses are fine here; what strangers name never comes to it.
//! It refuses to know where its plan comes from and who reads its answer.
//!
//! It also asks the network from a pod that may use it, which is what the guard's own asking is compared with (`super::network`).
//!
//! Layout: `fetch.rs` one input, from its URL to a verified file; `web.rs` those of web servers, `bucket.rs` those of object stores;
//! `transfer.rs` the half-written file with its running hash;
//! `layout.rs` directories; `error.rs` what failed, as exit code and reason.
//!
//! Invariants: a file under its final name is whole, of the declared checksum, and read-only; the sum of all files is at most
//! the plan's `disk_bytes`; details never hold a URL, since its query, user and path may be secrets; the headers of a Secret go to the
//! origin that the catalog names and to no other, whatever redirects say. Running it again on the
//! same volume keeps what is there and does the rest.

mod bucket;
mod error;
mod fetch;
mod layout;
mod transfer;
mod web;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub use error::Error;
use fetch::Fetcher;
use layout::Layout;

use super::network::{Control, Surroundings, Targets};
use super::{ConfigurePlan, Ending, ending};

/// What `configure` is told on its command line.
#[derive(Clone, Debug)]
pub struct Options {
    /// File with the [`ConfigurePlan`] as JSON.
    pub plan: PathBuf,
    /// The volume.
    pub data: PathBuf,
    /// Directory with the inputs' Secrets, each a directory of its name.
    pub secrets: PathBuf,
    /// Whether `file:` URLs are fetched; development only.
    pub allow_file: bool,
    /// What the pod is told of its surroundings.
    pub around: Surroundings,
    /// PEM file with certificate authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Where the termination message goes.
    pub message: PathBuf,
}

/// Does all of it and answers the process's exit code: 0, 31 (inputs), 32 (algorithm) or 42 (disk).
///
/// The process must have installed a rustls crypto provider. What failed goes into the termination message, and as one
/// sentence to standard error.
pub async fn run(options: &Options) -> ExitCode {
    let result = configure(options).await;
    let (ending, mut code) = match &result {
        Ok(()) => (
            Ending::Configure {
                reason: None,
                detail: None,
            },
            0,
        ),
        Err(error) => (
            Ending::Configure {
                reason: Some(error.reason()),
                detail: Some(ending::detail(error)),
            },
            error.exit_code(),
        ),
    };
    if let Err(error) = &result {
        say(&ending::detail(error));
    }
    if let Err(error) = ending.write(&options.message) {
        say(&format!("cannot write the termination message: {error}"));
        code = if code == 0 { error::DATA } else { code };
    }
    ExitCode::from(code)
}

fn say(text: &str) {
    if writeln!(std::io::stderr(), "configure: {text}").is_err() {
        // Nobody is there to be told.
    }
}

async fn configure(options: &Options) -> Result<(), Error> {
    let plan = read_plan(&options.plan)?;
    let layout = Layout::new(&options.data, plan.did);
    layout.make(plan.filtered)?;
    let around = options.around.clone();
    // Beside the fetching: where nothing answers it takes its whole time.
    let control = tokio::task::spawn_blocking(move || Control::take(&Targets::discover(&around)));
    let fetcher = Fetcher::new(options, plan.ipfs_gateway.as_deref())?;
    let mut left = plan.disk_bytes;
    for input in &plan.inputs {
        let size = fetcher
            .fetch(input, &layout.inputs(), left)
            .await
            .map_err(|source| Error::Input {
                index: input.index,
                source,
            })?;
        left = left.saturating_sub(size);
    }
    if let Some(code) = &plan.algorithm {
        layout.put_algorithm(code, left)?;
    }
    layout.describe()?;
    // A control that could not be taken is one that nothing answered: it proves nothing, and costs no job its inputs.
    let control = control.await.ok().and_then(Result::ok).unwrap_or_default();
    layout.put_control(&control)?;
    layout.close()
}

/// Errors name a place in the file, never its content: the plan is secret.
fn read_plan(path: &Path) -> Result<ConfigurePlan, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::ReadPlan {
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_slice(&bytes).map_err(|error| Error::Plan {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
    })
}
