use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use alloy::primitives::B256;
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

use super::error::Error;
use super::{ENDING_FILE, INDEX_FILE, LOG_FILE};
use crate::clock::{Clock, SystemClock};
use crate::engine::{Completeness, LogSummary};
use crate::stages::Ending;

/// Which stream bytes came from; the number is the descriptor that the algorithm wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout = 1,
    Stderr = 2,
}

/// Bytes of one stream that arrive within this time are one entry of the index.
const FRAME_MILLISECONDS: i64 = 100;

/// What the index may take even when the log may take less.
const INDEX_BYTES: u64 = 1024 * 1024;

/// Longest entry of the index: three numbers of 20 digits, the stream, brackets and commas.
const ENTRY_BYTES: u64 = 80;

/// The job log on disk: `log` holds exactly the bytes that arrived, in their order; `frames.jsonl` says for each run of them
/// `[sequence, milliseconds since 1970, stream, length]`, so that either stream can be had exactly.
///
/// Both files have a limit. A program that changes streams with every byte fills the index long before the log, so whichever
/// is full first ends both: what is kept stays exact, and the summary says `truncated`.
#[derive(Debug)]
pub(super) struct Record {
    directory: PathBuf,
    log: File,
    index: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
    limit: u64,
    index_bytes: u64,
    sequence: u64,
    frame: Option<Frame>,
    full: bool,
}

#[derive(Debug)]
struct Frame {
    started: i64,
    stream: Stream,
    length: u64,
}

impl Record {
    /// Makes the files of a new record.
    ///
    /// # Errors
    /// [`Error::AlreadyRan`] when there is a log already; [`Error::Record`] when a file cannot be made.
    pub(super) fn create(directory: &Path, limit: u64) -> Result<Self, Error> {
        Ok(Self {
            log: create_new(&directory.join(LOG_FILE))?,
            index: BufWriter::new(create_new(&directory.join(INDEX_FILE))?),
            directory: directory.to_owned(),
            hash: Sha256::new(),
            bytes: 0,
            limit,
            index_bytes: 0,
            sequence: 0,
            frame: None,
            full: false,
        })
    }

    /// Keeps what fits of `bytes`, and answers how many those were.
    ///
    /// A disk that takes no more ends the record as its limit would.
    pub(super) fn append(&mut self, stream: Stream, bytes: &[u8]) -> usize {
        self.append_at(stream, bytes, SystemClock.now().timestamp_millis())
    }

    fn append_at(&mut self, stream: Stream, bytes: &[u8], now: i64) -> usize {
        if !self.full && !self.frame_for(stream, now) {
            self.full = true;
        }
        if self.full {
            return 0;
        }
        let room = usize::try_from(self.limit - self.bytes).unwrap_or(usize::MAX);
        let kept = bytes.get(..room).unwrap_or(bytes);
        if kept.len() < bytes.len() {
            self.full = true;
        }
        if self.log.write_all(kept).is_err() {
            // A part may have been written; the file must hold what the hash says.
            self.full = true;
            if self.log.set_len(self.bytes).is_err() {
                // The final comparison with the disk will tell.
            }
            return 0;
        }
        self.hash.update(kept);
        self.bytes += kept.len() as u64;
        if let Some(frame) = &mut self.frame {
            frame.length += kept.len() as u64;
        }
        kept.len()
    }

    /// Sees to it that there is an open frame of the stream, young enough; false when the index has no room for it.
    fn frame_for(&mut self, stream: Stream, now: i64) -> bool {
        let fits = |frame: &Frame| {
            frame.stream == stream && (0..FRAME_MILLISECONDS).contains(&(now - frame.started))
        };
        if self.frame.as_ref().is_some_and(fits) {
            return true;
        }
        if !self.close_frame() || self.index_bytes + ENTRY_BYTES > self.limit.max(INDEX_BYTES) {
            return false;
        }
        self.frame = Some(Frame {
            started: now,
            stream,
            length: 0,
        });
        true
    }

    fn close_frame(&mut self) -> bool {
        let Some(frame) = self.frame.take() else {
            return true;
        };
        if frame.length == 0 {
            return true;
        }
        let entry = format!(
            "[{},{},{},{}]\n",
            self.sequence, frame.started, frame.stream as u8, frame.length
        );
        self.sequence += 1;
        self.index_bytes += entry.len() as u64;
        self.index.write_all(entry.as_bytes()).is_ok()
    }

    /// Completes the files and compares the log with the disk. `trusted` says that nobody else could write to it.
    ///
    /// # Errors
    /// The log cannot be read again.
    pub(super) fn finish(mut self, trusted: bool) -> Result<LogSummary, Error> {
        let whole = self.close_frame() && self.index.flush().is_ok();
        let path = self.directory.join(LOG_FILE);
        // Not fatal: it is a promise to a machine that loses power.
        let synced = self.log.sync_data().is_ok();
        let (bytes, sha256) = File::options()
            .read(true)
            .custom_flags(flags())
            .open(&path)
            .and_then(hash_file)
            .map_err(|source| Error::record("read again", &path, source))?;
        let same = bytes == self.bytes && sha256 == B256::from_slice(&self.hash.finalize());
        let completeness = if !(trusted && same && synced) {
            Completeness::Unverified
        } else if self.full || !whole {
            Completeness::Truncated
        } else {
            Completeness::Complete
        };
        Ok(LogSummary {
            bytes,
            sha256,
            completeness,
        })
    }
}

/// Summary of a log that holds nothing, because nothing ran.
pub(in crate::stages) fn empty() -> LogSummary {
    LogSummary {
        bytes: 0,
        sha256: B256::from_slice(&Sha256::digest([])),
        completeness: Completeness::Complete,
    }
}

/// Number and SHA-256 of a reader's bytes, with flat memory.
pub(in crate::stages) fn hash_file(mut file: impl Read) -> io::Result<(u64, B256)> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; 64 * 1024];
    let mut bytes = 0;
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok((bytes, B256::from_slice(&hash.finalize()))),
            Ok(read) => {
                hash.update(&piece[..read]);
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes the ending into the record, whole or not at all.
pub(super) fn write_ending(directory: &Path, ending: &Ending) -> Result<(), Error> {
    let path = directory.join(ENDING_FILE);
    let part = directory.join("ending.part");
    ending
        .write(&part)
        .and_then(|()| std::fs::rename(&part, &path))
        .map_err(|source| Error::record("write", &path, source))
}

fn create_new(path: &Path) -> Result<File, Error> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(flags())
        .open(path)
        .map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => Error::AlreadyRan(path.to_owned()),
            _ => Error::record("make", path, source),
        })
}

fn flags() -> i32 {
    OFlags::NOFOLLOW.bits().cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_can_be_told_apart_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut record = Record::create(directory.path(), 100).unwrap();
        record.append_at(Stream::Stdout, b"one ", 1000);
        record.append_at(Stream::Stdout, b"two\n", 1050);
        record.append_at(Stream::Stderr, b"\xff\n", 1060);
        record.append_at(Stream::Stdout, b"three", 1070);
        record.append_at(Stream::Stdout, b" four", 1170);
        let summary = record.finish(true).unwrap();
        let log = std::fs::read(directory.path().join(LOG_FILE)).unwrap();
        assert_eq!(log, b"one two\n\xff\nthree four");
        assert_eq!(
            std::fs::read_to_string(directory.path().join(INDEX_FILE)).unwrap(),
            "[0,1000,1,8]\n[1,1060,2,2]\n[2,1070,1,5]\n[3,1170,1,5]\n"
        );
        assert_eq!(summary.bytes, 20);
        assert_eq!(summary.sha256, B256::from_slice(&Sha256::digest(&log)));
        assert_eq!(summary.completeness, Completeness::Complete);
        let again = Record::create(directory.path(), 100);
        assert!(matches!(again, Err(Error::AlreadyRan(_))));
    }

    #[test]
    fn a_full_record_keeps_the_first_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let mut record = Record::create(directory.path(), 5).unwrap();
        assert_eq!(record.append_at(Stream::Stdout, b"123", 0), 3);
        assert_eq!(record.append_at(Stream::Stdout, b"45", 0), 2);
        assert!(!record.full);
        assert_eq!(record.append_at(Stream::Stderr, b"6", 0), 0);
        let summary = record.finish(true).unwrap();
        assert_eq!(
            (summary.bytes, summary.completeness),
            (5, Completeness::Truncated)
        );
    }

    #[test]
    fn an_index_without_room_ends_the_log_too() {
        let directory = tempfile::tempdir().unwrap();
        let mut record = Record::create(directory.path(), 10 * INDEX_BYTES).unwrap();
        record.index_bytes = 10 * INDEX_BYTES - ENTRY_BYTES + 1;
        assert_eq!(record.append_at(Stream::Stdout, b"x", 0), 0);
        let summary = record.finish(true).unwrap();
        assert_eq!(summary.completeness, Completeness::Truncated);
    }

    #[test]
    fn an_altered_log_is_unverified() {
        let directory = tempfile::tempdir().unwrap();
        let mut record = Record::create(directory.path(), 100).unwrap();
        record.append_at(Stream::Stdout, b"truth", 0);
        std::fs::write(directory.path().join(LOG_FILE), b"lies!").unwrap();
        let summary = record.finish(true).unwrap();
        assert_eq!(summary.completeness, Completeness::Unverified);
        assert_eq!(summary.sha256, B256::from_slice(&Sha256::digest(b"lies!")));
    }
}
