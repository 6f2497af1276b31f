use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::error::Error;
use crate::engine::{Completeness, LogSummary};
use crate::stages::guard::{ENDING_FILE, LOG_FILE, empty_log, hash_file};
use crate::stages::{Ending, ending};

/// The guard's record. Where the kernel has no Landlock the algorithm could reach it, so it is opened as warily as the results.
#[derive(Debug)]
pub(super) struct JobRecord {
    log: Option<File>,
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
                    told: None,
                });
            }
            Err(error) => return Err(Error::volume("open", &directory)(error)),
        };
        let log = open(&root, LOG_FILE).map_err(Error::volume("open", directory.join(LOG_FILE)))?;
        let told = open(&root, ENDING_FILE).ok().flatten().and_then(told);
        Ok(Self { log, told })
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
}

/// Prints the log's bytes on standard output.
pub(super) fn print(data: &Path) -> Result<(), Error> {
    let Some(mut log) = JobRecord::open(data)?.log else {
        return Ok(());
    };
    let mut output = io::stdout().lock();
    log.rewind()
        .and_then(|()| io::copy(&mut log, &mut output))
        .and_then(|_| output.flush())
        .map_err(Error::Print)
}

fn unverified(summary: LogSummary) -> LogSummary {
    LogSummary {
        completeness: Completeness::Unverified,
        ..summary
    }
}

/// A regular file of the record; nothing when there is none.
fn open(root: &OwnedFd, name: &str) -> Result<Option<File>, Errno> {
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
