use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{
    Certificate, ClientOptions, ObjectStore, ObjectStoreExt, ObjectStoreScheme, PutMode,
    PutOptions, RetryConfig,
};
use url::Url;

use super::Options;
use super::error::Error;

/// How often a request is repeated; times of one request with its repetitions, and of one of them.
const RETRIES: usize = 6;
const RETRY_FOR: Duration = Duration::from_secs(120);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of one part of a large object, at least. S3 wants 5 MiB or more and takes at most 10,000 parts.
const PART_BYTES: u64 = 8 * 1024 * 1024;
const PARTS: u64 = 9_000;

/// Parts that travel at a time. With it, memory is bounded by five parts.
const PARTS_AT_ONCE: usize = 4;

/// The object store that results go to, below the publisher's prefix.
#[derive(Debug)]
pub(super) struct Store {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
}

/// What is known of an object that may be there.
#[derive(Debug)]
pub(super) enum Existing {
    /// Its bytes.
    Found(Bytes),
    /// There is none.
    None,
    /// The credential may not read.
    Unreadable,
}

impl Store {
    /// Reads the options and makes a client. Nothing is asked of the store yet.
    pub(super) fn open(results_url: &str, options: &Options) -> Result<Self, Error> {
        let unknown = || Error::Destination(results_url.to_owned());
        let url = Url::parse(results_url).map_err(|_| unknown())?;
        let (scheme, path) = ObjectStoreScheme::parse(&url).map_err(|_| unknown())?;
        let (store, prefix): (Arc<dyn ObjectStore>, _) = match scheme {
            ObjectStoreScheme::AmazonS3 => (Arc::new(s3(&url, options)?), path),
            ObjectStoreScheme::Local if options.allow_file => {
                let root = url.to_file_path().map_err(|()| unknown())?;
                std::fs::create_dir_all(&root).map_err(Error::volume("make", &root))?;
                let store = LocalFileSystem::new_with_prefix(&root).map_err(Error::Store)?;
                (Arc::new(store), Key::default())
            }
            _ => return Err(unknown()),
        };
        Ok(Self { store, prefix })
    }

    /// Reads a small object.
    pub(super) async fn read(&self, key: &str) -> Result<Existing, Error> {
        let failed = |source| Error::Object {
            verb: "read",
            key: key.to_owned(),
            source,
        };
        let answer = match self.store.get(&self.place(key)?).await {
            Ok(answer) => answer,
            Err(object_store::Error::NotFound { .. }) => return Ok(Existing::None),
            Err(
                object_store::Error::PermissionDenied { .. }
                | object_store::Error::Unauthenticated { .. },
            ) => return Ok(Existing::Unreadable),
            Err(error) => return Err(failed(error)),
        };
        answer.bytes().await.map(Existing::Found).map_err(failed)
    }

    /// Writes an object if there is none; false when there is one.
    pub(super) async fn create(&self, key: &str, bytes: Vec<u8>) -> Result<bool, Error> {
        let options = PutOptions::from(PutMode::Create);
        match self
            .store
            .put_opts(&self.place(key)?, bytes.into(), options)
            .await
        {
            Ok(_) => Ok(true),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => Ok(false),
            Err(source) => Err(Error::Object {
                verb: "write",
                key: key.to_owned(),
                source,
            }),
        }
    }

    /// A writer for an object of about `size` bytes: in one request when it is small, else in parts. Nothing is visible
    /// before it is shut down.
    pub(super) fn writer(&self, key: &str, size: u64) -> Result<BufWriter, Error> {
        let part = usize::try_from(PART_BYTES.max(size / PARTS)).unwrap_or(usize::MAX);
        let writer = BufWriter::with_capacity(Arc::clone(&self.store), self.place(key)?, part);
        Ok(writer.with_max_concurrency(PARTS_AT_ONCE))
    }

    /// The key below the prefix, as it is: names were checked before, and are not to be changed.
    fn place(&self, key: &str) -> Result<Key, Error> {
        let whole = if self.prefix.as_ref().is_empty() {
            key.to_owned()
        } else {
            format!("{}/{key}", self.prefix)
        };
        Key::parse(&whole).map_err(|error| Error::Object {
            verb: "name",
            key: whole,
            source: error.into(),
        })
    }
}

fn s3(url: &Url, options: &Options) -> Result<impl ObjectStore, Error> {
    let mut client = ClientOptions::new().with_timeout(REQUEST_TIMEOUT);
    if let Some(path) = &options.ca_file {
        let pem = read(path)?;
        for authority in Certificate::from_pem_bundle(pem.as_bytes()).map_err(Error::Store)? {
            client = client.with_root_certificate(authority);
        }
    }
    let retry = RetryConfig {
        max_retries: RETRIES,
        retry_timeout: RETRY_FOR,
        ..RetryConfig::default()
    };
    let mut builder = AmazonS3Builder::new()
        .with_client_options(client)
        .with_retry(retry)
        .with_url(url.as_str());
    for (key, value) in credentials(&options.credentials)? {
        builder = builder.with_config(key, value);
    }
    builder.build().map_err(Error::Store)
}

/// Options from a mounted Secret: one file each, named like the environment variable. Names that begin with a dot are
/// Kubernetes' own (the links by which it swaps a Secret's versions), names that do not begin with `AWS_` somebody else's.
fn credentials(directory: &Path) -> Result<Vec<(AmazonS3ConfigKey, String)>, Error> {
    let failed = |source| Error::Credentials {
        path: directory.to_owned(),
        source,
    };
    let mut options = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let name = name.to_string_lossy().to_ascii_lowercase();
        if name.starts_with("aws_") {
            let key = name
                .parse()
                .map_err(|_| Error::Option(name.to_ascii_uppercase()))?;
            options.push((key, read(&entry.path())?.trim().to_owned()));
        }
    }
    Ok(options)
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::Credentials {
        path: path.to_owned(),
        source,
    })
}
