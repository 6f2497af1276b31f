use std::io::{self, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use alloy::primitives::B256;
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use super::fetch::Error;

/// A file on its way: written beside its final name, hashed while it is written, and never more than `limit` bytes.
#[derive(Debug)]
pub(super) struct Transfer {
    part: PathBuf,
    file: File,
    hash: Sha256,
    written: u64,
    limit: u64,
}

impl Transfer {
    /// Begins a file that will be named `target`, over whatever an interrupted run left.
    pub(super) async fn begin(target: &Path, limit: u64) -> Result<Self, Error> {
        let part = target.with_extension("part");
        let file = File::create(&part).await.map_err(Error::Write)?;
        Ok(Self {
            part,
            file,
            hash: Sha256::new(),
            written: 0,
            limit,
        })
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Refuses early what its sender says is too large.
    pub(super) fn expect(&self, more: u64) -> Result<(), Error> {
        if self.written.saturating_add(more) > self.limit {
            return Err(Error::TooLarge { limit: self.limit });
        }
        Ok(())
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.expect(bytes.len() as u64)?;
        self.file.write_all(bytes).await.map_err(Error::Write)?;
        self.hash.update(bytes);
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Forgets what was written.
    pub(super) async fn restart(&mut self) -> Result<(), Error> {
        let empty = async {
            // A buffered write must not land after the cut.
            self.file.flush().await?;
            self.file.set_len(0).await?;
            self.file.seek(SeekFrom::Start(0)).await
        };
        empty.await.map_err(Error::Write)?;
        self.hash = Sha256::new();
        self.written = 0;
        Ok(())
    }

    /// Checks the checksum, if one is declared, and gives the file its name, read-only. Answers its size.
    pub(super) async fn finish(
        mut self,
        target: &Path,
        expected: Option<B256>,
    ) -> Result<u64, Error> {
        let found = B256::from_slice(&self.hash.finalize_reset());
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            self.discard().await;
            return Err(Error::Checksum { expected, found });
        }
        let publish = async {
            self.file.flush().await?;
            self.file.sync_all().await?;
            let read_only = std::fs::Permissions::from_mode(0o444);
            self.file.set_permissions(read_only).await?;
            tokio::fs::rename(&self.part, target).await
        };
        publish.await.map_err(Error::Write)?;
        Ok(self.written)
    }

    /// Removes the half-written file, so that it takes no room.
    pub(super) async fn discard(self) {
        let removed: io::Result<()> = tokio::fs::remove_file(&self.part).await;
        if removed.is_err() {
            // The next run overwrites it.
        }
    }
}
