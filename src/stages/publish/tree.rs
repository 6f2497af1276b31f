use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use object_store::path::PathPart;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::error::Error;
use super::manifest::{Skip, SkippedEntry};

/// Deepest directory that is entered.
const DEPTH: usize = 32;

/// Longest path under `outputs`, in bytes: a key of S3 has at most 1024, and the job, the attempt and the publisher's own
/// prefix come before it.
const PATH_BYTES: usize = 800;

/// Most entries that are looked at in all, so that neither memory nor time is the algorithm's to choose.
const ENTRIES: usize = 100_000;

/// What an algorithm left under `outputs`, as far as it may be looked at.
///
/// Opening is by `openat2` alone: no symbolic link anywhere on the way, nothing outside the directory, no other file system
/// (openat2(2)). Pipes and devices do not block, and are not read.
#[derive(Debug)]
pub(super) struct Tree {
    root: OwnedFd,
    /// Paths of what looked like regular files, in the order of their bytes.
    pub(super) files: Vec<String>,
    /// What is not one, in no order.
    pub(super) skipped: Vec<SkippedEntry>,
}

/// What the walk makes of one directory entry.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    File(String),
    Directory(String),
    Skipped(SkippedEntry),
}

impl Tree {
    /// Looks at everything under `outputs`. A directory that does not exist is empty.
    ///
    /// # Errors
    /// The directory itself cannot be opened, or the kernel has no `openat2` (before 5.6).
    pub(super) fn walk(outputs: &Path) -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, outputs, flags, Mode::empty())
            .map_err(Error::volume("open", outputs))?;
        let mut tree = Self {
            root,
            files: Vec::new(),
            skipped: Vec::new(),
        };
        let mut left = ENTRIES;
        let mut directories = vec![String::new()];
        while let Some(directory) = directories.pop() {
            match tree.list(&directory, &mut left) {
                Ok(found) => tree.sort_in(found, &mut directories),
                // Without it nothing can be read safely, so nothing is.
                Err(Errno::NOSYS) => {
                    return Err(Error::volume("open safely", outputs)(Errno::NOSYS));
                }
                Err(_) => tree.skip(&directory, Skip::Unreadable),
            }
            if left == 0 {
                tree.skip(&directory, Skip::TooManyEntries);
                for unseen in std::mem::take(&mut directories) {
                    tree.skip(&unseen, Skip::TooManyEntries);
                }
            }
        }
        tree.files.sort();
        Ok(tree)
    }

    /// Opens a file that the walk found, if it still is one; answers its size besides.
    pub(super) fn open(&self, path: &str) -> Result<(File, u64), Skip> {
        let descriptor = self
            .open_beneath(path, OFlags::RDONLY)
            .map_err(|_| Skip::Unreadable)?;
        let status = rustix::fs::fstat(&descriptor).map_err(|_| Skip::Unreadable)?;
        if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
            return Err(Skip::NotAFile);
        }
        let size = u64::try_from(status.st_size).map_err(|_| Skip::Unreadable)?;
        Ok((File::from(descriptor), size))
    }

    fn open_beneath(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { "." } else { path };
        rustix::fs::openat2(
            &self.root,
            path,
            flags | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH
                | ResolveFlags::NO_SYMLINKS
                | ResolveFlags::NO_MAGICLINKS
                | ResolveFlags::NO_XDEV,
        )
    }

    /// The entries of one directory, at most as many as are `left` in all.
    fn list(&self, directory: &str, left: &mut usize) -> Result<Vec<Found>, Errno> {
        let descriptor = self.open_beneath(directory, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut found = Vec::new();
        for entry in Dir::read_from(&descriptor)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if *left == 0 {
                break;
            }
            *left -= 1;
            // Vanished or not: what it is is asked of the opened file again.
            let kind = rustix::fs::statat(&descriptor, name, AtFlags::SYMLINK_NOFOLLOW)
                .map_or(FileType::Unknown, |status| {
                    FileType::from_raw_mode(status.st_mode)
                });
            found.push(judge(directory, name.to_bytes(), kind));
        }
        Ok(found)
    }

    fn sort_in(&mut self, found: Vec<Found>, directories: &mut Vec<String>) {
        for found in found {
            match found {
                Found::File(path) => self.files.push(path),
                Found::Directory(path) => directories.push(path),
                Found::Skipped(entry) => self.skipped.push(entry),
            }
        }
    }

    /// Lists a path as skipped.
    pub(super) fn skip(&mut self, path: &str, reason: Skip) {
        self.skipped.push(SkippedEntry {
            path: path.to_owned(),
            name_hex: None,
            reason,
        });
    }
}

/// The rules, in their order: the name, the length, the kind, the depth.
fn judge(directory: &str, name: &[u8], kind: FileType) -> Found {
    let hidden = |reason| {
        Found::Skipped(SkippedEntry {
            path: directory.to_owned(),
            name_hex: Some(alloy::hex::encode(name)),
            reason,
        })
    };
    let Some(name) = std::str::from_utf8(name)
        .ok()
        .filter(|name| PathPart::parse(name).is_ok())
    else {
        return hidden(Skip::Name);
    };
    let path = if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    };
    if path.len() > PATH_BYTES {
        return hidden(Skip::PathTooLong);
    }
    let reason = match kind {
        FileType::RegularFile => return Found::File(path),
        FileType::Directory if path.split('/').count() <= DEPTH => return Found::Directory(path),
        FileType::Directory => Skip::TooDeep,
        FileType::Symlink => Skip::Link,
        FileType::Unknown => Skip::Unreadable,
        FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice => {
            Skip::NotAFile
        }
    };
    Found::Skipped(SkippedEntry {
        path,
        name_hex: None,
        reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped(path: &str, name_hex: Option<&str>, reason: Skip) -> Found {
        Found::Skipped(SkippedEntry {
            path: path.to_owned(),
            name_hex: name_hex.map(str::to_owned),
            reason,
        })
    }

    #[test]
    fn rules_for_entries() {
        let file = FileType::RegularFile;
        let deep = vec!["d"; DEPTH - 1].join("/");
        let long = "x".repeat(PATH_BYTES - 1);
        let table = [
            (judge("", b"a", file), Found::File("a".to_owned())),
            (judge("d", b"a%b", file), Found::File("d/a%b".to_owned())),
            (
                judge("d", b"e", FileType::Directory),
                Found::Directory("d/e".to_owned()),
            ),
            (
                judge("d", b"l", FileType::Symlink),
                skipped("d/l", None, Skip::Link),
            ),
            (
                judge("", b"f", FileType::Fifo),
                skipped("f", None, Skip::NotAFile),
            ),
            (
                judge("d", b"\xff\n", file),
                skipped("d", Some("ff0a"), Skip::Name),
            ),
            (
                judge("", b"a\nb", file),
                skipped("", Some("610a62"), Skip::Name),
            ),
            (
                judge("d", long.as_bytes(), file),
                skipped("d", Some(&"78".repeat(long.len())), Skip::PathTooLong),
            ),
            (
                judge(&deep, b"d", FileType::Directory),
                Found::Directory(format!("{deep}/d")),
            ),
            (
                judge(&format!("{deep}/d"), b"d", FileType::Directory),
                skipped(&format!("{deep}/d/d"), None, Skip::TooDeep),
            ),
        ];
        for (found, expected) in table {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_link_is_never_opened_even_where_a_file_was_found() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("file"), "1").unwrap();
        std::fs::create_dir(directory.path().join("inner")).unwrap();
        std::fs::write(directory.path().join("inner/file"), "2").unwrap();
        let tree = Tree::walk(directory.path()).unwrap();
        assert_eq!(tree.files, ["file", "inner/file"]);
        assert_eq!(tree.open("inner/file").unwrap().1, 1);
        std::fs::rename(
            directory.path().join("inner"),
            directory.path().join("other"),
        )
        .unwrap();
        std::os::unix::fs::symlink("other", directory.path().join("inner")).unwrap();
        assert_eq!(tree.open("inner/file").unwrap_err(), Skip::Unreadable);
        assert_eq!(tree.open("../etc/passwd").unwrap_err(), Skip::Unreadable);
        assert_eq!(tree.open("other").unwrap_err(), Skip::NotAFile);
    }
}
