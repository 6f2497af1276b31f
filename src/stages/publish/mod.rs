//! `publish`: stores the results with a manifest, and prints the job log.
//!
//! It holds a credential and reads what an algorithm left, so it trusts nothing there: no link is followed, nothing but regular
//! files is opened, every number is bounded (`tree.rs`). It refuses to know the cluster and the ledger.
//!
//! Layout: `tree.rs` finds what may be stored; `upload.rs` stores it; `manifest.rs` what is said of it; `store.rs` the object
//! store; `record.rs` the guard's record; `error.rs` what failed.
//!
//! Invariants:
//! - the manifest comes last, by a conditional put: where there is a manifest, everything it names is stored. A second run
//!   finds it, changes nothing and reports the same, so publishing can be repeated after any crash;
//! - the manifest follows from the plan and the volume alone: no time, no host, no order of directory entries;
//! - standard output gets the job log's bytes and nothing else, standard error nothing: a pod's log is both of them mixed.
//!
//! Filtering comes with the filter stage. Until then nothing of an asset whose results must be filtered leaves.

mod error;
mod manifest;
mod record;
mod store;
mod tree;
mod upload;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub use error::Error;
pub use manifest::{FileEntry, Manifest, Skip, SkippedEntry};

use super::{Ending, PublishPlan, ending};
use crate::engine::Published;
use crate::ids::JobName;
use crate::jobs::Reason;
use crate::workflows::Release;
use record::JobRecord;
use store::{Existing, Store};
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

/// Does all of it and answers the process's exit code: 0 or 61.
///
/// The log is printed whatever becomes of the results. The process must have installed a rustls crypto provider.
pub async fn run(options: &Options) -> ExitCode {
    let stored = publish(options).await;
    let printed = record::print(&options.data);
    let ending = match stored.and_then(|done| printed.map(|()| done)) {
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
    let store = Store::open(&plan.results_url, options)?;
    let key = format!("{}/{}/manifest.json", plan.job, plan.attempt);
    // Looked for first: once it is there, nothing that it names may be overwritten.
    if let Existing::Found(bytes) = store.read(&key).await? {
        return done(&plan, &key, &bytes, None);
    }
    let log = JobRecord::open(&options.data)?.summary()?;
    let mut manifest = Manifest::new(&plan, log);
    if plan.results == Release::Raw {
        let tree = Tree::walk(&options.data.join("outputs"))?;
        upload::upload(&plan, tree, &store, &mut manifest).await?;
    }
    let bytes = manifest.to_bytes()?;
    if store.create(&key, bytes.clone()).await? {
        return done(&plan, &key, &bytes, None);
    }
    // Another run was faster.
    match store.read(&key).await? {
        Existing::Found(bytes) => done(&plan, &key, &bytes, None),
        Existing::None => Err(Error::Vanished(key)),
        // A credential that may only write. The other run read the same volume with the same program.
        Existing::Unreadable => {
            let note = "a manifest was there already, taken to be the same: it may not be read";
            done(&plan, &key, &bytes, Some(note))
        }
    }
}

/// Reports the manifest that is in the store, whoever put it there.
fn done(plan: &PublishPlan, key: &str, bytes: &[u8], note: Option<&str>) -> Result<Done, Error> {
    let manifest = Manifest::read(key, bytes, plan)?;
    Ok(Done {
        published: Published {
            manifest_key: key.to_owned(),
            manifest_sha256: Manifest::digest(bytes),
            files: manifest.file_count(),
            bytes: manifest.byte_count(),
            log: manifest.log,
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
