//! What the publisher's filter left in its part of the volume. It is the publisher's own program, but it read what a stranger left,
//! so its files are opened as warily.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::error::Error;
use super::record::{open, store_log};
use crate::engine::{Completeness, LogSummary, Stage};
use crate::results::{Store, keys};
use crate::stages::PublishPlan;
use crate::stages::guard::{empty_log, hash_file};
use crate::workflows::Release;

/// Where the filter leaves result files.
pub(super) const OUTPUTS: &str = "filtered/outputs";

/// Where it leaves the log, under [`LOG_FILE`].
const LOGS: &str = "filtered/logs";

/// Name of the log that the parties may have.
const LOG_FILE: &str = "log";

/// The log that the filter left, up to the publisher's limit; `None` where the parties do not get it.
///
/// # Errors
/// It cannot be read.
pub(super) fn summary(plan: &PublishPlan, data: &Path) -> Result<Option<LogSummary>, Error> {
    if plan.logs != Release::Filtered {
        return Ok(None);
    }
    let Some(log) = open_log(data)? else {
        return Ok(Some(empty_log()));
    };
    let path = data.join(LOGS).join(LOG_FILE);
    let whole = log.metadata().map_err(Error::volume("read", &path))?.len();
    let (bytes, sha256) =
        hash_file(log.take(plan.log_bytes)).map_err(Error::volume("read", &path))?;
    Ok(Some(LogSummary {
        bytes,
        sha256,
        completeness: if bytes < whole {
            Completeness::Truncated
        } else {
            Completeness::Complete
        },
    }))
}

/// Stores that log.
///
/// # Errors
/// It cannot be read again, or the store fails.
pub(super) async fn store(
    plan: &PublishPlan,
    data: &Path,
    summary: &LogSummary,
    store: &Store,
) -> Result<(), Error> {
    let Some(log) = open_log(data)?.filter(|_| summary.bytes > 0) else {
        return Ok(());
    };
    let key = keys::record(&plan.job, plan.attempt, Stage::Filter);
    store_log(log, summary, &key, store).await
}

fn open_log(data: &Path) -> Result<Option<File>, Error> {
    let directory = data.join(LOGS);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(CWD, &directory, flags, Mode::empty()) {
        Ok(root) => open(&root, LOG_FILE).map_err(Error::volume("open", directory.join(LOG_FILE))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(Error::volume("open", &directory)(error)),
    }
}
