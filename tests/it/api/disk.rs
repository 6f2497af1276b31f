//! Results in a directory, through the store that the workers use too.

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tidewatch::api::{CannotSee, Files, Pieces};
use tidewatch::ids::JobName;
use tidewatch::results::{Access, Existing, Store, keys};

/// A store in a directory of its own.
#[derive(Debug)]
pub(super) struct Disk {
    store: Store,
    directory: TempDir,
}

impl Disk {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let access = Access {
            allow_file: true,
            ..Access::default()
        };
        let address = format!("file://{}", directory.path().display());
        let store = Store::open(&address, &access).unwrap();
        Self { store, directory }
    }

    /// Puts files there as publishing does; answers the manifest's key and hash.
    pub(super) async fn publish(
        &self,
        job: &JobName,
        files: &[(&str, &[u8])],
    ) -> (String, Vec<u8>) {
        let mut listed = Vec::new();
        for (path, bytes) in files {
            let key = keys::output(job, 1, path);
            assert!(self.store.create(&key, bytes.to_vec()).await.unwrap());
            let sha256 = alloy::hex::encode_prefixed(Sha256::digest(bytes));
            listed.push(json!({"path": path, "size": bytes.len(), "sha256": sha256, "mediaType": "text/html"}));
        }
        let manifest: Value = json!({"job": job, "attempt": 1, "files": listed,
            "skipped": [{"path": "link", "reason": "link"}], "moreSkipped": 0});
        let bytes = manifest.to_string().into_bytes();
        let (key, hash) = (keys::manifest(job, 1), Sha256::digest(&bytes).to_vec());
        assert!(self.store.create(&key, bytes).await.unwrap());
        (key, hash)
    }

    /// Where an object lies.
    pub(super) fn path(&self, key: &str) -> std::path::PathBuf {
        self.directory.path().join(key)
    }
}

impl Files for Disk {
    fn manifest<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Bytes>, CannotSee>> {
        async move {
            match self.store.read(key).await {
                Ok(Existing::Found(bytes)) => Ok(Some(bytes)),
                Ok(Existing::None) => Ok(None),
                Ok(Existing::Unreadable) | Err(_) => Err(CannotSee),
            }
        }
        .boxed()
    }

    fn open<'a>(
        &'a self,
        (job, attempt, path): (&'a JobName, u32, &'a str),
        start: u64,
    ) -> BoxFuture<'a, Result<Option<(u64, Pieces)>, CannotSee>> {
        async move {
            let opened = self
                .store
                .stream(&keys::output(job, attempt, path), start)
                .await;
            Ok(opened.map_err(|_| CannotSee)?.map(|(size, pieces)| {
                (
                    size,
                    pieces.map(|piece| piece.map_err(|_| CannotSee)).boxed(),
                )
            }))
        }
        .boxed()
    }
}
