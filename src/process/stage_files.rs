use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use rustix::fs::{FlockOperation, flock};

use super::Error;
use super::shelf::PASSABLE;
use crate::engine::Stage;

/// Where an attempt's stage has its files.
#[derive(Debug)]
pub(super) struct StageFiles {
    /// The attempt's volume.
    pub(super) data: PathBuf,
    /// What the algorithm has as `/tmp` in a pod.
    pub(super) tmp: PathBuf,
    /// The plan with the source URLs.
    pub(super) plan: PathBuf,
    /// The guard's record of what the filter printed, which nobody gets.
    pub(super) filter_record: PathBuf,
    /// The stage's own directory.
    pub(super) own: PathBuf,
}

impl StageFiles {
    /// The lock that the stage's program holds while it lives.
    pub(super) fn lock(&self) -> PathBuf {
        self.own.join("lock")
    }

    /// Where the stage's program leaves its ending.
    pub(super) fn message(&self) -> PathBuf {
        self.own.join("ending.json")
    }

    /// Its words to operators.
    pub(super) fn stderr(&self) -> PathBuf {
        self.own.join("stderr")
    }

    /// The directory of the guard's record of a stage.
    pub(super) fn record(&self, stage: Stage) -> PathBuf {
        match stage {
            Stage::Filter => self.filter_record.clone(),
            _ => self.data.join("record"),
        }
    }

    /// Makes the directories that every stage needs.
    pub(super) fn make(&self) -> Result<(), Error> {
        for path in [&self.data, &self.tmp, &self.own] {
            let mut builder = DirBuilder::new();
            let made = builder.recursive(true).mode(PASSABLE).create(path);
            made.map_err(Error::file("make the directory", path))?;
        }
        Ok(())
    }

    /// Opens the stage's lock, without locking it.
    pub(super) fn open_lock(&self) -> Result<File, Error> {
        let path = self.lock();
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(true).create(true).truncate(false);
        let opened = opened.mode(0o600).open(&path);
        opened.map_err(Error::file("open", &path))
    }

    /// Whether the stage's program lives. To be asked under the workflow's lock, so that nobody else who asks is taken for it.
    pub(super) fn is_alive(&self) -> Result<bool, Error> {
        if !self.lock().exists() {
            return Ok(false);
        }
        match flock(self.open_lock()?, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(false),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
            Err(error) => Err(Error::file("lock", &self.lock())(error)),
        }
    }
}
