use std::collections::HashSet;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::error::Error;

/// Shortest time between two measurements; a long one is followed by a pause ten times as long, so that measuring a large
/// tree never takes more than a tenth of a core.
const INTERVAL: Duration = Duration::from_secs(1);
const PAUSE_FACTOR: u32 = 10;

/// Deepest nesting that is counted. What lies deeper cannot be counted with a bounded number of open directories, so it
/// counts as too much.
const DEPTH: usize = 128;

/// How many files with several names are remembered, so that they count once. Beyond it every name counts.
const LINKED_FILES: usize = 65_536;

/// `st_blocks` is in units of 512 bytes whatever the file system's own blocks are (stat(3)).
const BLOCK_BYTES: u64 = 512;

/// Stack of the measuring thread. Fixed, because the default would be read from the image's environment.
const STACK_BYTES: usize = 4 * 1024 * 1024;

/// Measures the disk use of directories from time to time, in a thread of its own that ends with the process.
///
/// Needed because a claim's size is no limit with many volume drivers.
#[derive(Debug)]
pub(super) struct Watch {
    directories: Vec<PathBuf>,
    limit: u64,
    exceeded: Arc<AtomicBool>,
}

impl Watch {
    /// Begins to measure.
    ///
    /// # Errors
    /// No thread can be made.
    pub(super) fn start(directories: Vec<PathBuf>, limit: u64) -> Result<Self, Error> {
        let exceeded = Arc::new(AtomicBool::new(false));
        let (paths, tell) = (directories.clone(), Arc::clone(&exceeded));
        thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn(move || {
                while !is_over(&paths, limit) {}
                tell.store(true, Ordering::Relaxed);
            })
            .map_err(Error::system("make the measuring thread"))?;
        Ok(Self {
            directories,
            limit,
            exceeded,
        })
    }

    /// Whether the last measurement was over the limit.
    pub(super) fn is_exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }

    /// Measures once more, now.
    pub(super) fn measure_now(&self) -> bool {
        self.is_exceeded() || measure(&self.directories, self.limit) > self.limit
    }
}

/// Measures once and pauses.
fn is_over(directories: &[PathBuf], limit: u64) -> bool {
    let start = Instant::now();
    let over = measure(directories, limit) > limit;
    if !over {
        thread::sleep(INTERVAL.max(start.elapsed().saturating_mul(PAUSE_FACTOR)));
    }
    over
}

/// Bytes on disk under the directories; stops counting once over the limit. What vanishes meanwhile does not count.
fn measure(directories: &[PathBuf], limit: u64) -> u64 {
    let mut count = Count {
        bytes: 0,
        limit,
        linked: HashSet::new(),
    };
    for directory in directories {
        if let Some(directory) = open(CWD, directory) {
            count.add_directory(&directory, DEPTH);
        }
    }
    count.bytes
}

struct Count {
    bytes: u64,
    limit: u64,
    linked: HashSet<(u64, u64)>,
}

impl Count {
    fn add_directory(&mut self, directory: &OwnedFd, depth: usize) {
        if depth == 0 {
            self.bytes = u64::MAX;
            return;
        }
        let Ok(entries) = Dir::read_from(directory) else {
            return;
        };
        for entry in entries {
            if self.bytes > self.limit {
                return;
            }
            let Ok(entry) = entry else { return };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let Ok(status) = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            self.add(&status);
            if FileType::from_raw_mode(status.st_mode) == FileType::Directory
                && let Some(inner) = open(directory, name)
            {
                self.add_directory(&inner, depth - 1);
            }
        }
    }

    fn add(&mut self, status: &Stat) {
        let several_names =
            status.st_nlink > 1 && FileType::from_raw_mode(status.st_mode) != FileType::Directory;
        if several_names
            && self.linked.len() < LINKED_FILES
            && !self.linked.insert((status.st_dev, status.st_ino))
        {
            return;
        }
        let bytes = u64::try_from(status.st_blocks).unwrap_or(0) * BLOCK_BYTES;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// Opens a directory without following a link. One that its owner, the algorithm, closed to itself is opened again by its
/// mode: it is the same user's.
fn open<F: AsFd + Copy, P: rustix::path::Arg + Copy>(parent: F, name: P) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let attempt = || rustix::fs::openat(parent, name, flags, Mode::empty());
    match attempt() {
        Ok(directory) => Some(directory),
        Err(Errno::ACCESS) => {
            rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty()).ok()?;
            attempt().ok()
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn usage(path: &Path) -> u64 {
        measure(&[path.to_owned()], u64::MAX - 1)
    }

    #[test]
    fn blocks_count_not_lengths_and_a_file_with_two_names_counts_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let sparse = std::fs::File::create(path.join("sparse")).unwrap();
        sparse.set_len(1 << 40).unwrap();
        assert!(usage(path) < 1 << 20);
        std::fs::create_dir(path.join("inner")).unwrap();
        std::fs::write(path.join("inner/full"), vec![1; 1 << 20]).unwrap();
        let once = usage(path);
        assert!((1 << 20..1 << 21).contains(&once), "{once}");
        std::fs::hard_link(path.join("inner/full"), path.join("again")).unwrap();
        assert_eq!(usage(path), once);
        std::os::unix::fs::symlink("/usr", path.join("link")).unwrap();
        assert!(usage(path) < 1 << 21);
    }

    #[test]
    fn what_is_too_deep_to_count_is_too_much() {
        let directory = tempfile::tempdir().unwrap();
        let deep: PathBuf = std::iter::repeat_n("d", DEPTH + 1).collect();
        std::fs::create_dir_all(directory.path().join(deep)).unwrap();
        assert_eq!(usage(directory.path()), u64::MAX);
    }
}
