//! `publish`: stores the results with a manifest, and the record of the job log.
//!
//! It holds a credential and reads what an algorithm left, so it trusts nothing there: no link is followed, nothing but regular
//! files is opened, every number is bounded (`tree.rs`). It refuses to know the cluster and the ledger.
//!
//! Layout: `tree.rs` finds what may be stored; `upload.rs` stores it; `manifest.rs` what is said of it; `record.rs` the guard's
//! record; `filtered.rs` what the publisher's filter left; `error.rs` what failed. The object store is [`crate::results`].
//!
//! What may leave is decided by the plan: the results, and the log for the parties, each raw, as the filter left it, or not at
//! all. The record of the log is stored in any case, apart from the results, since operators see it in any case.
//!
//! Invariants:
//! - the manifest comes last, by a conditional put: where there is a manifest, everything it names is stored, and the records as
//!   well. A second run finds it, changes nothing and reports the same, so publishing can be repeated after any crash;
//! - the manifest follows from the plan and the volume alone: no time, no host, no order of directory entries. It says nothing of
//!   a log that may not leave: its number of bytes and its hash would be words of the algorithm;
//! - nothing is printed: what an algorithm printed is nobody's who may read a pod's log.

mod error;
mod filtered;
mod manifest;
mod record;
mod tree;
mod upload;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub use error::Error;
pub use manifest::{FileEntry, Manifest, Skip, SkippedEntry};

use super::{Ending, PublishPlan, ending};
use crate::engine::{LogSummary, Published};
use crate::ids::JobName;
use crate::jobs::Reason;
use crate::results::{self, Access, Existing, Store, keys};
use crate::workflows::Release;
use record::JobRecord;
use tree::Tree;

/// What `publish` is told on its command line.
#[derive(Clone, Debug)]
pub struct Options {
    /// The [`PublishPlan`] as JSON, or `@` and the path of a file that holds it.
    pub plan: String,
    /// The volume.
    pub data: PathBuf,
    /// Directory with one file per option of the object store, named like the usual environment variables.
    pub credentials: PathBuf,
    /// Whether results may go to a `file:` URL; development only.
    pub allow_file: bool,
    /// PEM file with certificate authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Where the termination message goes.
    pub message: PathBuf,
}

/// Exit code for "publishing failed": OEP-12's status code.
const FAILED: u8 = 61;

/// What a finished run hands over, and what people should know of it.
struct Done {
    published: Published,
    note: Option<String>,
}

/// The logs of a job, as they were found.
struct Logs {
    /// What the algorithm printed.
    raw: LogSummary,
    /// What the filter left of it, where the parties get that.
    filtered: Option<LogSummary>,
}

impl Logs {
    /// The log that the parties may have, if any.
    fn released(&self, plan: &PublishPlan) -> Option<LogSummary> {
        match plan.logs {
            Release::Raw => Some(self.raw),
            Release::Filtered => self.filtered,
            Release::None => None,
        }
    }
}

/// Does all of it and answers the process's exit code: 0 or 61. The process must have installed a rustls crypto provider.
pub async fn run(options: &Options) -> ExitCode {
    let ending = match publish(options).await {
        Ok(done) => Ending::Publish {
            published: Some(done.published),
            reason: None,
            detail: done.note,
        },
        Err(error) => Ending::Publish {
            published: None,
            reason: Some(Reason::PublishingFailed),
            detail: Some(ending::detail(&error)),
        },
    };
    let told = ending.write(&options.message).is_ok();
    match ending {
        Ending::Publish {
            published: Some(_), ..
        } if told => ExitCode::SUCCESS,
        _ => ExitCode::from(FAILED),
    }
}

async fn publish(options: &Options) -> Result<Done, Error> {
    let plan = read_plan(&options.plan)?;
    erase_inputs(&options.data);
    let store = open(&plan, options)?;
    let key = keys::manifest(&plan.job, plan.attempt);
    // Looked for first: once it is there, nothing that it names may be overwritten.
    let existing = store.read(&key).await?;
    let record = JobRecord::open(&options.data)?;
    let logs = Logs {
        raw: record.summary()?,
        filtered: filtered::summary(&plan, &options.data)?,
    };
    if let Existing::Found(bytes) = existing {
        return done(&plan, &logs, &bytes, None);
    }
    record.store(&plan, &logs.raw, &store).await?;
    if let Some(summary) = &logs.filtered {
        filtered::store(&plan, &options.data, summary, &store).await?;
    }
    let mut manifest = Manifest::new(&plan, logs.released(&plan));
    let outputs = match plan.results {
        Release::Raw => Some("outputs"),
        Release::Filtered => Some(filtered::OUTPUTS),
        Release::None => None,
    };
    if let Some(outputs) = outputs {
        let tree = Tree::walk(&options.data.join(outputs))?;
        upload::upload(&plan, tree, &store, &mut manifest).await?;
    }
    let bytes = manifest.to_bytes()?;
    if store.create(&key, bytes.clone()).await? {
        return done(&plan, &logs, &bytes, None);
    }
    // Another run was faster.
    match store.read(&key).await? {
        Existing::Found(bytes) => done(&plan, &logs, &bytes, None),
        Existing::None => Err(Error::Vanished(key)),
        // A credential that may only write. The other run read the same volume with the same program.
        Existing::Unreadable => {
            let note = "a manifest was there already, taken to be the same: it may not be read";
            done(&plan, &logs, &bytes, Some(note))
        }
    }
}

fn open(plan: &PublishPlan, options: &Options) -> Result<Store, Error> {
    let access = Access {
        // A directory of this machine needs no credentials.
        options: if options.allow_file {
            results::Options::of_directory(&options.credentials).unwrap_or_default()
        } else {
            results::Options::of_directory(&options.credentials)?
        },
        allow_file: options.allow_file,
        ..Access::default()
    };
    let access = access.trusting(options.ca_file.as_deref())?;
    Ok(Store::open(&plan.results_url, &access)?)
}

/// Deletes the inputs: no stage needs them any more. Where that fails they go with the volume.
fn erase_inputs(data: &Path) {
    let inputs = data.join("inputs");
    let Ok(entries) = std::fs::read_dir(&inputs) else {
        return;
    };
    make_writable(&inputs);
    for entry in entries.flatten() {
        make_writable(&entry.path());
        if std::fs::remove_dir_all(entry.path()).is_err() {
            // They are the publisher's own data, on the job's own volume.
        }
    }
}

/// `configure` closed what the algorithm only reads.
fn make_writable(path: &Path) {
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    if std::fs::set_permissions(path, open).is_err() {
        // Then deleting fails as well.
    }
}

/// Reports the manifest that is in the store, whoever put it there.
fn done(plan: &PublishPlan, logs: &Logs, bytes: &[u8], note: Option<&str>) -> Result<Done, Error> {
    let key = keys::manifest(&plan.job, plan.attempt);
    let manifest = Manifest::read(&key, bytes, plan)?;
    Ok(Done {
        published: Published {
            manifest_key: key,
            manifest_sha256: Manifest::digest(bytes),
            files: manifest.file_count(),
            bytes: manifest.byte_count(),
            log: logs.raw,
            filtered_log: logs.filtered,
        },
        note: note.map(str::to_owned),
    })
}

fn read_plan(argument: &str) -> Result<PublishPlan, Error> {
    let text = match argument.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).map_err(|source| Error::ReadPlan {
            path: Path::new(path).to_owned(),
            source,
        })?,
        None => argument.to_owned(),
    };
    let plan: PublishPlan = serde_json::from_str(&text).map_err(Error::Plan)?;
    // It becomes part of every key, so it is not taken on trust.
    match plan.job.as_str().parse::<JobName>() {
        Ok(_) => Ok(plan),
        Err(error) => Err(Error::Job(error)),
    }
}
