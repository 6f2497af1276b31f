use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::error::Error;
use super::upload::{self, Extent};
use crate::engine::{Completeness, LogSummary, Stage};
use crate::results::{Store, keys};
use crate::stages::guard::{ENDING_FILE, INDEX_FILE, LOG_FILE, empty_log, hash_file};
use crate::stages::{Ending, PublishPlan, ending};

/// Name of the file that says which bytes came when, for messages.
const FRAMES: &str = "record/frames.jsonl";

/// The guard's record. Where the kernel has no Landlock the algorithm could reach it, so it is opened as warily as the results.
#[derive(Debug)]
pub(super) struct JobRecord {
    log: Option<File>,
    frames: Option<File>,
    told: Option<LogSummary>,
}

impl JobRecord {
    /// Opens the record of the volume at `data`. Nothing there means that no algorithm was started.
    pub(super) fn open(data: &Path) -> Result<Self, Error> {
        let directory = data.join("record");
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = match rustix::fs::openat(CWD, &directory, flags, Mode::empty()) {
            Ok(root) => root,
            Err(Errno::NOENT) => {
                return Ok(Self {
                    log: None,
                    frames: None,
                    told: None,
                });
            }
            Err(error) => return Err(Error::volume("open", &directory)(error)),
        };
        let log = open(&root, LOG_FILE).map_err(Error::volume("open", directory.join(LOG_FILE)))?;
        let told = open(&root, ENDING_FILE).ok().flatten().and_then(told);
        let frames = open(&root, INDEX_FILE).ok().flatten();
        Ok(Self { log, frames, told })
    }

    /// The guard's own words where the bytes agree with them; else what is there, `unverified`.
    pub(super) fn summary(&self) -> Result<LogSummary, Error> {
        let Some(log) = &self.log else {
            return Ok(match self.told {
                Some(told) if told.bytes > 0 => unverified(empty_log()),
                _ => empty_log(),
            });
        };
        let (bytes, sha256) =
            hash_file(log).map_err(Error::volume("read", Path::new("record").join(LOG_FILE)))?;
        let found = LogSummary {
            bytes,
            sha256,
            completeness: Completeness::Unverified,
        };
        Ok(self
            .told
            .filter(|told| told.bytes == bytes && told.sha256 == sha256)
            .unwrap_or(found))
    }

    /// Stores the log's bytes, which are those of `summary`, and which of them came when.
    ///
    /// # Errors
    /// The store fails; [`Error::LogChanged`].
    pub(super) async fn store(
        self,
        plan: &PublishPlan,
        summary: &LogSummary,
        store: &Store,
    ) -> Result<(), Error> {
        if let Some(frames) = self.frames {
            let size = frames
                .metadata()
                .map_err(Error::volume("read", FRAMES))?
                .len();
            let key = keys::frames(&plan.job, plan.attempt);
            // An index that cannot be read is missed less than the log.
            upload::store_file(frames, Extent::Beginning(size), &key, store)
                .await?
                .ok();
        }
        let Some(log) = self.log.filter(|_| summary.bytes > 0) else {
            return Ok(());
        };
        let key = keys::record(&plan.job, plan.attempt, Stage::Algorithm);
        store_log(log, summary, &key, store).await
    }
}

/// Stores a log under `key` if its bytes are those of `summary`.
pub(super) async fn store_log(
    mut log: File,
    summary: &LogSummary,
    key: &str,
    store: &Store,
) -> Result<(), Error> {
    log.rewind().map_err(Error::volume("read", key))?;
    match upload::store_file(log, Extent::Beginning(summary.bytes), key, store).await? {
        Ok(sha256) if sha256 == summary.sha256 => Ok(()),
        _ => Err(Error::LogChanged),
    }
}

fn unverified(summary: LogSummary) -> LogSummary {
    LogSummary {
        completeness: Completeness::Unverified,
        ..summary
    }
}

/// A regular file of the record; nothing when there is none.
pub(super) fn open(root: &OwnedFd, name: &str) -> Result<Option<File>, Errno> {
    let descriptor = match rustix::fs::openat2(
        root,
        name,
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV,
    ) {
        Ok(descriptor) => descriptor,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error),
    };
    let status = rustix::fs::fstat(&descriptor)?;
    if FileType::from_raw_mode(status.st_mode) == FileType::RegularFile {
        Ok(Some(File::from(descriptor)))
    } else {
        Err(Errno::INVAL)
    }
}

/// What the guard said of the log when the algorithm had ended.
fn told(file: File) -> Option<LogSummary> {
    let mut bytes = Vec::new();
    file.take(ending::MESSAGE_BYTES as u64)
        .read_to_end(&mut bytes)
        .ok()?;
    match serde_json::from_slice(&bytes).ok()? {
        Ending::Algorithm { log, .. } => Some(log),
        Ending::Configure { .. } | Ending::Publish { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guard_is_believed_only_where_the_bytes_agree() {
        let data = tempfile::tempdir().unwrap();
        let summary = || JobRecord::open(data.path()).unwrap().summary().unwrap();
        assert_eq!(summary(), empty_log());

        let record = data.path().join("record");
        std::fs::create_dir(&record).unwrap();
        std::fs::write(record.join(LOG_FILE), "text").unwrap();
        let dead = summary();
        assert_eq!(
            (dead.bytes, dead.completeness),
            (4, Completeness::Unverified)
        );

        let complete = LogSummary {
            completeness: Completeness::Complete,
            ..dead
        };
        let ending = Ending::Algorithm {
            exit_code: Some(0),
            signal: None,
            reason: None,
            isolation: None,
            log: complete,
        };
        ending.write(&record.join(ENDING_FILE)).unwrap();
        assert_eq!(summary(), complete);

        std::fs::write(record.join(LOG_FILE), "lies").unwrap();
        assert_eq!(summary().completeness, Completeness::Unverified);
        std::fs::remove_file(record.join(LOG_FILE)).unwrap();
        assert_eq!(summary().completeness, Completeness::Unverified);
        std::os::unix::fs::symlink("/etc/passwd", record.join(LOG_FILE)).unwrap();
        assert!(JobRecord::open(data.path()).is_err());
    }
}
