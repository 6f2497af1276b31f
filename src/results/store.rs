use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::buffered::BufWriter;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{
    Certificate, ClientOptions, GetOptions, GetRange, ObjectStore, ObjectStoreExt,
    ObjectStoreScheme, PutMode, PutOptions, RetryConfig,
};
use url::Url;

use super::{Error, Options};

/// How often a request is repeated; times of one request with its repetitions, and of one of them.
const RETRIES: usize = 6;
const RETRY_FOR: Duration = Duration::from_secs(120);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of one part of a large object, at least. S3 wants 5 MiB or more and takes at most 10,000 parts.
const PART_BYTES: u64 = 8 * 1024 * 1024;
const PARTS: u64 = 9_000;

/// Parts that travel at a time. With it, memory is bounded by five parts.
const PARTS_AT_ONCE: usize = 4;

/// The bytes of an object, in order, in pieces of no particular size.
pub type Pieces = BoxStream<'static, Result<Bytes, Error>>;

/// An object store below a prefix.
#[derive(Clone, Debug)]
pub struct Store {
    store: Arc<dyn ObjectStore>,
    prefix: Key,
}

/// How a store is come by.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Its options.
    pub options: Options,
    /// Whether options that the store does not know are left out, as in an environment, or refused, as in a Secret of its own.
    pub lenient: bool,
    /// Whether it may be a directory of this machine; development only.
    pub allow_file: bool,
    /// Certificate authorities to trust besides the system's, as PEM.
    pub authorities: Option<Vec<u8>>,
}

/// What is known of an object that may be there.
#[derive(Debug)]
pub enum Existing {
    /// Its bytes.
    Found(Bytes),
    /// There is none.
    None,
    /// The credential may not read.
    Unreadable,
}

impl Access {
    /// Reads the certificate authorities to trust besides the system's.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn trusting(mut self, ca_file: Option<&Path>) -> Result<Self, Error> {
        self.authorities = ca_file
            .map(|path| {
                std::fs::read(path).map_err(|source| Error::Read {
                    path: path.to_owned(),
                    source,
                })
            })
            .transpose()?;
        Ok(self)
    }

    fn options_of<K: std::str::FromStr>(&self, prefix: &str) -> Result<Vec<(K, String)>, Error> {
        if self.lenient {
            Ok(self.options.read_known(prefix))
        } else {
            self.options.read(prefix)
        }
    }

    fn client(&self) -> Result<ClientOptions, Error> {
        let mut client = ClientOptions::new().with_timeout(REQUEST_TIMEOUT);
        if let Some(pem) = &self.authorities {
            for authority in Certificate::from_pem_bundle(pem).map_err(Error::Client)? {
                client = client.with_root_certificate(authority);
            }
        }
        Ok(client)
    }
}

impl Store {
    /// The store behind `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`, or a directory where that is allowed.
    /// Nothing is asked of it yet.
    ///
    /// # Errors
    /// [`Error::Address`], [`Error::Option`], [`Error::Client`], [`Error::Directory`].
    pub fn open(address: &str, access: &Access) -> Result<Self, Error> {
        let unknown = || Error::Address(address.to_owned());
        let url = Url::parse(address).map_err(|_| unknown())?;
        let (store, prefix) = open_url(&url, access)?.ok_or_else(unknown)?;
        Ok(Self { store, prefix })
    }

    /// Reads a small object.
    ///
    /// # Errors
    /// [`Error::Object`].
    pub async fn read(&self, key: &str) -> Result<Existing, Error> {
        let answer = match self.store.get(&self.place(key)?).await {
            Ok(answer) => answer,
            Err(object_store::Error::NotFound { .. }) => return Ok(Existing::None),
            Err(
                object_store::Error::PermissionDenied { .. }
                | object_store::Error::Unauthenticated { .. },
            ) => return Ok(Existing::Unreadable),
            Err(error) => return Err(failed("read", key)(error)),
        };
        let bytes = answer.bytes().await;
        bytes.map(Existing::Found).map_err(failed("read", key))
    }

    /// The bytes of an object from `start` on, with its whole size; `None` when there is none. A connection that breaks is taken up
    /// again where it broke, as long as the object is the same.
    ///
    /// # Errors
    /// [`Error::Object`], now or from the stream.
    pub async fn stream(&self, key: &str, start: u64) -> Result<Option<(u64, Pieces)>, Error> {
        let options = GetOptions {
            range: (start > 0).then_some(GetRange::Offset(start)),
            ..GetOptions::default()
        };
        let answer = match self.store.get_opts(&self.place(key)?, options).await {
            Ok(answer) => answer,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed("read", key)(error)),
        };
        let (size, key) = (answer.meta.size, key.to_owned());
        let pieces = answer.into_stream();
        let pieces = pieces.map(move |piece| piece.map_err(failed("read", &key)));
        Ok(Some((size, pieces.boxed())))
    }

    /// Writes an object if there is none; false when there is one.
    ///
    /// # Errors
    /// [`Error::Object`].
    pub async fn create(&self, key: &str, bytes: Vec<u8>) -> Result<bool, Error> {
        let options = PutOptions::from(PutMode::Create);
        let place = self.place(key)?;
        match self.store.put_opts(&place, bytes.into(), options).await {
            Ok(_) => Ok(true),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => Ok(false),
            Err(error) => Err(failed("write", key)(error)),
        }
    }

    /// A writer for an object of about `size` bytes: in one request when it is small, else in parts. Nothing is visible
    /// before it is shut down.
    ///
    /// # Errors
    /// [`Error::Object`]: a key that is none.
    pub fn writer(&self, key: &str, size: u64) -> Result<BufWriter, Error> {
        let part = usize::try_from(PART_BYTES.max(size / PARTS)).unwrap_or(usize::MAX);
        let writer = BufWriter::with_capacity(Arc::clone(&self.store), self.place(key)?, part);
        Ok(writer.with_max_concurrency(PARTS_AT_ONCE))
    }

    /// Deletes everything whose key begins with `directory/`, and answers how many objects those were.
    ///
    /// # Errors
    /// [`Error::Object`]: some may be left.
    pub async fn erase(&self, directory: &str) -> Result<u64, Error> {
        let place = self.place(directory)?;
        let mut found = self.store.list(Some(&place));
        let mut erased = 0;
        while let Some(object) = found.next().await {
            let location = object.map_err(failed("list", directory))?.location;
            let deleted = self.store.delete(&location).await;
            deleted.map_err(failed("delete", location.as_ref()))?;
            erased += 1;
        }
        Ok(erased)
    }

    /// The key below the prefix, as it is: names were checked before, and are not to be changed.
    fn place(&self, key: &str) -> Result<Key, Error> {
        let whole = match (self.prefix.as_ref(), key) {
            ("", key) => key.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, key) => format!("{prefix}/{key}"),
        };
        Key::parse(&whole).map_err(|error| failed("name", &whole)(error.into()))
    }
}

fn failed(verb: &'static str, key: &str) -> impl FnOnce(object_store::Error) -> Error {
    let key = key.to_owned();
    move |source| Error::Object { verb, key, source }
}

/// A store, and what an address names in it.
type Opened = (Arc<dyn ObjectStore>, Key);

/// The store of an address, and what the address names in it; `None` for an address that is not one of a store.
fn open_url(url: &Url, access: &Access) -> Result<Option<Opened>, Error> {
    let Ok((scheme, path)) = ObjectStoreScheme::parse(url) else {
        return Ok(None);
    };
    let retry = RetryConfig {
        max_retries: RETRIES,
        retry_timeout: RETRY_FOR,
        ..RetryConfig::default()
    };
    let store: Arc<dyn ObjectStore> = match (scheme, url.scheme()) {
        (ObjectStoreScheme::AmazonS3, "s3") => {
            let builder = amazon(url, access)?.with_retry(retry);
            Arc::new(builder.build().map_err(Error::Client)?)
        }
        (ObjectStoreScheme::GoogleCloudStorage, "gs") => {
            let mut builder = GoogleCloudStorageBuilder::new()
                .with_client_options(access.client()?)
                .with_retry(retry)
                .with_url(url.as_str());
            for (key, value) in access.options_of("google_")? {
                builder = builder.with_config(key, value);
            }
            Arc::new(builder.build().map_err(Error::Client)?)
        }
        (ObjectStoreScheme::MicrosoftAzure, "az") => {
            let mut builder = MicrosoftAzureBuilder::new()
                .with_client_options(access.client()?)
                .with_retry(retry)
                .with_url(url.as_str());
            for (key, value) in access.options_of("azure_")? {
                builder = builder.with_config(key, value);
            }
            Arc::new(builder.build().map_err(Error::Client)?)
        }
        (ObjectStoreScheme::Local, _) if access.allow_file => {
            let Ok(root) = url.to_file_path() else {
                return Ok(None);
            };
            std::fs::create_dir_all(&root).map_err(|source| Error::Directory {
                path: root.clone(),
                source,
            })?;
            let store = LocalFileSystem::new_with_prefix(&root).map_err(Error::Client)?;
            return Ok(Some((Arc::new(store), Key::default())));
        }
        _ => return Ok(None),
    };
    Ok(Some((store, path)))
}

/// The builder of a store of Amazon's kind, with its options. What TLS protects is not hashed once more for the signature, as in Amazon's own
/// clients, unless an option says otherwise.
fn amazon(url: &Url, access: &Access) -> Result<AmazonS3Builder, Error> {
    let mut builder = AmazonS3Builder::new()
        .with_client_options(access.client()?)
        .with_url(url.as_str())
        .with_unsigned_payload(!access.options.allows_http("aws_"));
    for (key, value) in access.options_of("aws_")? {
        builder = builder.with_config(key, value);
    }
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use object_store::aws::AmazonS3ConfigKey;

    use super::*;

    #[test]
    fn payloads_are_signed_where_nothing_else_protects_them() {
        let http = ("AWS_ALLOW_HTTP", "true");
        for (options, unsigned) in [
            (vec![], "true"),
            (vec![("AWS_ALLOW_HTTP", "false")], "true"),
            (vec![http], "false"),
            (vec![http, ("AWS_UNSIGNED_PAYLOAD", "true")], "true"),
            (vec![("AWS_UNSIGNED_PAYLOAD", "false")], "false"),
        ] {
            let access = Access {
                options: Options::among(options.clone()),
                ..Access::default()
            };
            let url = "s3://bucket/prefix".parse().unwrap();
            let builder = amazon(&url, &access).unwrap();
            let set = builder.get_config_value(&AmazonS3ConfigKey::UnsignedPayload);
            assert_eq!(set.as_deref(), Some(unsigned), "{options:?}");
        }
    }
}
