use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::Error;
use super::stage_files::StageFiles;
use super::workflow::{StageRun, Workflow};
use crate::ids::JobName;

/// What a job's user, where it is another one, must be able to pass through but not list.
pub(super) const PASSABLE: u32 = 0o711;

/// The directory of the engine: where what is known of workflows is written down.
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    root: PathBuf,
}

/// A workflow that nobody else changes while this lives: its directory is locked (flock(2)), which the kernel ends with the process.
#[derive(Debug)]
pub(super) struct Held {
    directory: PathBuf,
    _lock: File,
}

impl Shelf {
    /// The shelf in a directory, which is made.
    pub(super) fn open(root: &Path) -> Result<Self, Error> {
        for path in [root.to_owned(), root.join("jobs"), root.join("trash")] {
            let mut builder = DirBuilder::new();
            let made = builder.recursive(true).mode(PASSABLE).create(&path);
            made.map_err(Error::file("make the directory", &path))?;
        }
        let path = root.join("secrets");
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&path);
        made.map_err(Error::file("make the directory", &path))?;
        let root = fs::canonicalize(root).map_err(Error::file("find", root))?;
        Ok(Self { root })
    }

    /// The directory above the one that others cannot pass through, if there is one.
    pub(super) fn closed(&self) -> Option<PathBuf> {
        let is_closed = |path: &&Path| {
            fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o001 == 0)
        };
        self.root.ancestors().find(is_closed).map(Path::to_owned)
    }

    /// Where it is.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn directory(&self, job: &JobName) -> PathBuf {
        self.root.join("jobs").join(job.as_str())
    }

    /// The jobs that have a workflow.
    pub(super) fn list(&self) -> Result<Vec<JobName>, Error> {
        let path = self.root.join("jobs");
        let entries = fs::read_dir(&path).map_err(Error::file("list", &path))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter_map(|name| name.parse().ok()).collect())
    }

    /// Makes a workflow if there is none of that name: it appears whole or not at all.
    pub(super) fn create(&self, workflow: &Workflow) -> Result<(), Error> {
        let half = self
            .root
            .join("trash")
            .join(format!("new-{}", workflow.uid));
        let mut builder = DirBuilder::new();
        let made = builder.mode(PASSABLE).create(&half);
        made.map_err(Error::file("make the directory", &half))?;
        write(&half.join(STATE), workflow)?;
        let target = self.directory(&workflow.job);
        match fs::rename(&half, &target) {
            Ok(()) => {
                let jobs = self.root.join("jobs");
                let kept = File::open(&jobs).and_then(|jobs| jobs.sync_all());
                kept.map_err(Error::file("write", &jobs))
            }
            // Somebody was faster; rename(2) never replaces a directory that holds something.
            Err(error) if is_taken(&error) => erase(&half),
            Err(error) => Err(Error::file("make", &target)(error)),
        }
    }

    /// Reads a workflow.
    pub(super) fn find(&self, job: &JobName) -> Result<Option<Workflow>, Error> {
        read(&self.directory(job).join(STATE))
    }

    /// Locks a workflow; `None` when there is none. It waits for whoever has it, which takes milliseconds.
    pub(super) fn hold(&self, job: &JobName) -> Result<Option<Held>, Error> {
        let directory = self.directory(job);
        loop {
            let lock = match File::open(&directory) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                opened => opened.map_err(Error::file("open", &directory))?,
            };
            flock(&lock, FlockOperation::LockExclusive).map_err(Error::file("lock", &directory))?;
            // It may have been removed, and another one made, while this waited.
            let locked = lock
                .metadata()
                .map_err(Error::file("look at", &directory))?;
            let there = fs::metadata(&directory).ok();
            if there.is_some_and(|there| there.ino() == locked.ino()) {
                return Ok(Some(Held {
                    directory,
                    _lock: lock,
                }));
            }
        }
    }

    /// Takes a workflow off the shelf at once, then deletes what it held.
    pub(super) fn remove(&self, held: Held, uid: &str) -> Result<(), Error> {
        let trash = self.root.join("trash").join(uid);
        fs::rename(&held.directory, &trash).map_err(Error::file("remove", &held.directory))?;
        erase(&trash)
    }

    /// Deletes what a removal that was cut off left.
    pub(super) fn sweep(&self) -> Result<(), Error> {
        let path = self.root.join("trash");
        for entry in fs::read_dir(&path)
            .map_err(Error::file("list", &path))?
            .flatten()
        {
            erase(&entry.path())?;
        }
        Ok(())
    }

    /// Where an attempt's stage has its files.
    pub(super) fn files(&self, workflow: &Workflow, stage: &StageRun) -> StageFiles {
        let attempt = self.attempt(&workflow.job, workflow.attempt);
        StageFiles {
            data: attempt.join("data"),
            tmp: attempt.join("tmp"),
            plan: attempt.join("plan.json"),
            filter_record: attempt.join("filter-record"),
            own: attempt.join(format!("{}-{}", stage.stage, stage.repetition)),
        }
    }

    /// The record of an algorithm's log, while there is a volume.
    pub(super) fn log(&self, job: &JobName, attempt: u32) -> PathBuf {
        self.attempt(job, attempt).join("data/record/log")
    }

    fn attempt(&self, job: &JobName, attempt: u32) -> PathBuf {
        self.directory(job)
            .join("attempts")
            .join(attempt.to_string())
    }
}

impl Held {
    /// Reads the workflow.
    pub(super) fn read(&self) -> Result<Option<Workflow>, Error> {
        read(&self.directory.join(STATE))
    }

    /// Writes the workflow, whole or not at all.
    pub(super) fn write(&self, workflow: &Workflow) -> Result<(), Error> {
        write(&self.directory.join(STATE), workflow)
    }
}

/// Name of the file with what is known of a workflow.
const STATE: &str = "workflow.json";

fn read(path: &Path) -> Result<Option<Workflow>, Error> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(Error::state(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("read", path)(error)),
    }
}

fn write(path: &Path, workflow: &Workflow) -> Result<(), Error> {
    let bytes = serde_json::to_vec(workflow).map_err(Error::state(path))?;
    write_private(path, &bytes)
}

/// Writes a file for its owner alone, whole or not at all, and on the disk before anything that follows from it is done.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let part = path.with_extension("part");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(&part).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let replaced = written.and_then(|()| fs::rename(&part, path));
    // The new name is on the disk only once its directory is (fsync(2)): a machine that loses power must not forget what was begun.
    let kept = replaced.and_then(|()| match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    });
    kept.map_err(Error::file("write", path))
}

fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
    )
}

/// Deletes a directory that `configure` closed and an algorithm filled: its directories are opened on the way down. Links are not
/// followed.
fn erase(path: &Path) -> Result<(), Error> {
    open_directories(path);
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::file("delete", path)(error))
        }
        _ => Ok(()),
    }
}

fn open_directories(path: &Path) {
    let mut waiting = vec![path.to_owned()];
    while let Some(directory) = waiting.pop() {
        let is_directory = fs::symlink_metadata(&directory).is_ok_and(|found| found.is_dir());
        if !is_directory || fs::set_permissions(&directory, Permissions::from_mode(0o700)).is_err()
        {
            continue;
        }
        let inside = fs::read_dir(&directory).into_iter().flatten().flatten();
        let inside = inside.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        waiting.extend(inside.map(|entry| entry.path()));
    }
}
