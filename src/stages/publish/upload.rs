use std::fs::File;
use std::io::{self, Read};

use alloy::primitives::B256;
use bytes::Bytes;
use object_store::buffered::BufWriter;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::error::Error;
use super::manifest::{FileEntry, Manifest, Skip, media_type};
use super::tree::Tree;
use crate::results::{Store, keys};
use crate::stages::PublishPlan;

/// Bytes that are read at once, and how many such pieces are read ahead.
const PIECE: usize = 1024 * 1024;
const AHEAD: usize = 2;

/// Stores the tree's files in the order of their paths, as far as they fit, and enters them and every skip in the manifest.
///
/// One that does not fit is skipped, and those after it are still tried.
///
/// # Errors
/// The store fails. What the volume does is never an error but a skip.
pub(super) async fn upload(
    plan: &PublishPlan,
    mut tree: Tree,
    store: &Store,
    manifest: &mut Manifest,
) -> Result<(), Error> {
    let mut left = plan.result_bytes;
    for path in std::mem::take(&mut tree.files) {
        if manifest.file_count() >= plan.result_files {
            tree.skip(&path, Skip::TooManyFiles);
            continue;
        }
        match upload_one(plan, &tree, store, &path, left).await? {
            Ok(entry) => {
                left -= entry.size;
                manifest.files.push(entry);
            }
            Err(reason) => tree.skip(&path, reason),
        }
    }
    manifest.skip(tree.skipped);
    Ok(())
}

async fn upload_one(
    plan: &PublishPlan,
    tree: &Tree,
    store: &Store,
    path: &str,
    left: u64,
) -> Result<Result<FileEntry, Skip>, Error> {
    let (file, size) = match tree.open(path) {
        Ok(opened) => opened,
        Err(reason) => return Ok(Err(reason)),
    };
    // By its length, not by its blocks: a file of nothing but a hole is as long to send as any other.
    if size > left {
        return Ok(Err(Skip::TooManyBytes));
    }
    let key = keys::output(&plan.job, plan.attempt, path);
    let stored = store_file(file, Extent::Whole(size), &key, store).await?;
    Ok(stored.map(|sha256| FileEntry {
        path: path.to_owned(),
        size,
        sha256,
        media_type: media_type(path).to_owned(),
    }))
}

/// How much of a file is stored.
#[derive(Clone, Copy, Debug)]
pub(super) enum Extent {
    /// All of it, which is so many bytes; it has changed when there are more.
    Whole(u64),
    /// So many of its first bytes.
    Beginning(u64),
}

/// Stores a file under `key` and answers the SHA-256 of what was stored; a file that is shorter than it should be or cannot be
/// read is a skip.
///
/// # Errors
/// The store fails.
pub(super) async fn store_file(
    file: File,
    extent: Extent,
    key: &str,
    store: &Store,
) -> Result<Result<B256, Skip>, Error> {
    let failed = |source| Error::Upload {
        key: key.to_owned(),
        source,
    };
    let (Extent::Whole(size) | Extent::Beginning(size)) = extent;
    let mut writer = store.writer(key, size)?;
    match send(file, extent, &mut writer).await {
        Ok(Ok(sha256)) => {
            writer.shutdown().await.map_err(failed)?;
            Ok(Ok(sha256))
        }
        Ok(Err(reason)) => {
            abandon(&mut writer).await;
            Ok(Err(reason))
        }
        Err(error) => {
            abandon(&mut writer).await;
            Err(failed(error))
        }
    }
}

/// Sends the bytes and answers their SHA-256. The outer error is the store's.
///
/// A thread reads and hashes while what it read before is on its way: on a fast network hashing takes as long as sending.
async fn send(
    file: File,
    extent: Extent,
    writer: &mut BufWriter,
) -> io::Result<Result<B256, Skip>> {
    let (size, asked) = match extent {
        // One byte more is asked for, so that a file that grew is noticed.
        Extent::Whole(size) => (size, size.saturating_add(1)),
        Extent::Beginning(size) => (size, size),
    };
    let (sender, mut pieces) = mpsc::channel(AHEAD);
    let reading = tokio::task::spawn_blocking(move || read(file, asked, &sender));
    while let Some(piece) = pieces.recv().await {
        writer.put(piece).await?;
    }
    let Ok((read, sha256)) = reading.await? else {
        return Ok(Err(Skip::Unreadable));
    };
    Ok(if read == size {
        Ok(sha256)
    } else {
        Err(Skip::Changed)
    })
}

/// Hands on at most `asked` bytes, and answers how many those were and their SHA-256.
fn read(file: File, asked: u64, pieces: &mpsc::Sender<Bytes>) -> io::Result<(u64, B256)> {
    let mut source = file.take(asked);
    let mut hash = Sha256::new();
    let mut sum = 0;
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        let read = source.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
        if read == 0 {
            break;
        }
        hash.update(&piece);
        sum += read as u64;
        if pieces.blocking_send(piece.into()).is_err() {
            // The store failed, which whoever sends knows.
            break;
        }
    }
    Ok((sum, B256::from_slice(&hash.finalize())))
}

/// Takes back what was sent of an object that will not be. If even that fails, the store's own rule for unfinished uploads
/// removes it.
async fn abandon(writer: &mut BufWriter) {
    if writer.abort().await.is_err() {
        // Nothing more can be done here.
    }
}
