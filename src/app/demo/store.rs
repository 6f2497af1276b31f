//! The demo's bucket, spoken to as any S3 client would. It holds the publisher's file and takes the results.

use anyhow::Context;
use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{ObjectStoreExt, path::Path};

/// What the demo's server takes as credentials: anything.
pub(super) const ANY_KEY: &str = "demo";

/// A bucket of the demo's own.
#[derive(Debug)]
pub(super) struct Bucket {
    url: String,
    store: AmazonS3,
}

impl Bucket {
    /// Makes the bucket `name`.
    pub(super) async fn make(server: &str, name: &str) -> anyhow::Result<Self> {
        let url = format!("{server}/{name}");
        let made = reqwest::Client::new().put(&url).send().await?;
        made.error_for_status().context("could not make a bucket")?;
        let store = AmazonS3Builder::new()
            .with_endpoint(server)
            .with_allow_http(true)
            .with_bucket_name(name)
            .with_region("us-east-1")
            .with_access_key_id(ANY_KEY)
            .with_secret_access_key(ANY_KEY)
            .build()?;
        Ok(Self { url, store })
    }

    /// Stores an object that anybody who knows its address may read, and answers the address.
    pub(super) async fn publish(&self, key: &str, body: &'static str) -> anyhow::Result<String> {
        let address = format!("{}/{key}", self.url);
        let request = reqwest::Client::new()
            .put(&address)
            .header("x-amz-acl", "public-read");
        let stored = request.body(body).send().await?;
        stored
            .error_for_status()
            .with_context(|| format!("could not store {key}"))?;
        Ok(address)
    }

    /// Reads an object.
    pub(super) async fn get(&self, key: &str) -> anyhow::Result<Bytes> {
        let read = self.store.get(&Path::from(key)).await;
        let object = read.with_context(|| format!("could not read {key}"))?;
        Ok(object.bytes().await?)
    }
}
