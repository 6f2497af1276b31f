//! The demo's bucket, spoken to as any S3 client would. It holds the publisher's file and takes the results.

use anyhow::Context;
use bytes::Bytes;

/// A bucket of the demo's own on a server that takes any credentials.
#[derive(Debug)]
pub(super) struct Bucket {
    url: String,
}

impl Bucket {
    /// Makes the bucket `name`.
    pub(super) async fn make(server: &str, name: &str) -> anyhow::Result<Self> {
        let bucket = Self {
            url: format!("{server}/{name}"),
        };
        let made = reqwest::Client::new().put(&bucket.url).send().await?;
        made.error_for_status().context("could not make a bucket")?;
        Ok(bucket)
    }

    /// Where an object is.
    pub(super) fn address(&self, key: &str) -> String {
        format!("{}/{key}", self.url)
    }

    /// Stores an object.
    pub(super) async fn put(&self, key: &str, body: &'static str) -> anyhow::Result<()> {
        let stored = reqwest::Client::new()
            .put(self.address(key))
            .body(body)
            .send()
            .await?;
        stored
            .error_for_status()
            .with_context(|| format!("could not store {key}"))?;
        Ok(())
    }

    /// Reads an object.
    pub(super) async fn get(&self, key: &str) -> anyhow::Result<Bytes> {
        let read = reqwest::get(self.address(key)).await?;
        Ok(read
            .error_for_status()
            .with_context(|| format!("could not read {key}"))?
            .bytes()
            .await?)
    }
}
