use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use oci_client::client::{Certificate, CertificateEncoding, ClientConfig};
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use tokio::io::AsyncWrite;
use tokio::time::{Instant, timeout};

use super::Error;
use crate::workflows::{Finding, ImageFacts};

/// How long a connection to a registry may take, how long it may stay silent, and how long all of a question may take.
const CONNECT: Duration = Duration::from_secs(3);
const IDLE: Duration = Duration::from_secs(5);
const TOTAL: Duration = Duration::from_secs(15);

/// Largest image configuration that is read; real ones have some ten kilobytes.
const LARGEST_CONFIGURATION: usize = 4 * 1024 * 1024;

/// How long a registry that could not be reached is not asked about pinned images, which do not need it.
const AWAY: Duration = Duration::from_secs(60);

/// Most images whose facts are kept in memory.
const MOST_KNOWN: usize = 1000;

/// What registries say of images, asked without credentials.
///
/// Only images whose names the publisher allows come here, so registries are the publisher's choice and may lie anywhere. They
/// are asked over https only.
pub(super) struct Registry {
    client: Client,
    memory: Mutex<Memory>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registry")
    }
}

/// What need not be asked again. A digest means the same for ever.
#[derive(Default)]
struct Memory {
    facts: HashMap<(String, String), ImageFacts>,
    away_until: HashMap<String, Instant>,
}

impl Registry {
    pub(super) fn new(authorities: &[u8]) -> Result<Self, Error> {
        let config = ClientConfig {
            connect_timeout: Some(CONNECT),
            read_timeout: Some(IDLE),
            extra_root_certificates: certificates(authorities),
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).map_err(|error| match error {
            OciDistributionError::RequestError(source) => Error::Client(source),
            other => Error::Authorities(io::Error::other(other)),
        })?;
        Ok(Self {
            client,
            memory: Mutex::default(),
        })
    }

    /// The platform's digest and the declared volumes of an image. A pinned image of which nobody can tell is
    /// [`Finding::Unknown`]; it runs as it is pinned, or the cluster says that it is nowhere.
    pub(super) async fn find(
        &self,
        name: &str,
        tag: Option<&str>,
        digest: Option<&str>,
    ) -> Result<Finding, Error> {
        let Some((host, repository)) = name.split_once('/') else {
            return Ok(Finding::Wrong("The image has no registry.".to_owned()));
        };
        let (host, repository) = (host.to_owned(), repository.to_owned());
        let reference = match (digest, tag) {
            (Some(digest), _) => {
                if let Some(facts) = self.known(name, digest) {
                    return Ok(Finding::Image(facts));
                }
                if self.is_away(&host) {
                    return Ok(Finding::Unknown);
                }
                Reference::with_digest(host.clone(), repository, digest.to_owned())
            }
            (None, Some(tag)) => Reference::with_tag(host.clone(), repository, tag.to_owned()),
            (None, None) => return Ok(Finding::Wrong("The image has no tag.".to_owned())),
        };
        let answer = match timeout(TOTAL, self.ask(&reference)).await {
            Ok(answer) => answer,
            Err(_) => Err(Silence::Away(format!(
                "no answer within {} seconds",
                TOTAL.as_secs()
            ))),
        };
        match (answer, digest) {
            (Ok(facts), _) => {
                self.remember(name, digest, &facts);
                Ok(Finding::Image(facts))
            }
            (Err(Silence::Away(_)), Some(_)) => {
                self.memory().away_until.insert(host, Instant::now() + AWAY);
                Ok(Finding::Unknown)
            }
            (Err(Silence::Refused(_)), Some(_)) => Ok(Finding::Unknown),
            (Err(Silence::Away(problem)), None) => Err(Error::Registry {
                image: name.to_owned(),
                problem,
            }),
            (Err(Silence::Refused(problem)), None) => Ok(Finding::Wrong(format!(
                "The tag of the image {name} cannot be resolved to a digest: {problem}."
            ))),
        }
    }

    async fn ask(&self, reference: &Reference) -> Result<ImageFacts, Silence> {
        let anonymous = RegistryAuth::Anonymous;
        let (manifest, digest) = self
            .client
            .pull_image_manifest(reference, &anonymous)
            .await?;
        let mut configuration = Bounded(Vec::new());
        self.client
            .pull_blob(reference, &manifest.config, &mut configuration)
            .await?;
        let configuration: Configuration =
            serde_json::from_slice(&configuration.0).map_err(|_| {
                Silence::Refused("its configuration is not JSON of that kind".to_owned())
            })?;
        let declared = configuration.config.unwrap_or_default().volumes;
        Ok(ImageFacts {
            digest,
            volumes: declared.unwrap_or_default().into_keys().collect(),
        })
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, name: &str, digest: &str) -> Option<ImageFacts> {
        let key = (name.to_owned(), digest.to_owned());
        self.memory().facts.get(&key).cloned()
    }

    fn is_away(&self, host: &str) -> bool {
        let until = self.memory().away_until.get(host).copied();
        until.is_some_and(|until| Instant::now() < until)
    }

    fn remember(&self, name: &str, digest: Option<&str>, facts: &ImageFacts) {
        let Some(digest) = digest else { return };
        let mut memory = self.memory();
        if memory.facts.len() >= MOST_KNOWN {
            memory.facts.clear();
        }
        let key = (name.to_owned(), digest.to_owned());
        memory.facts.insert(key, facts.clone());
    }
}

/// Why a registry did not say.
enum Silence {
    /// It may another time.
    Away(String),
    /// It will not.
    Refused(String),
}

impl From<OciDistributionError> for Silence {
    /// The registry's own words stay out: they can hold anything.
    fn from(error: OciDistributionError) -> Self {
        match error {
            OciDistributionError::RequestError(error) => {
                Self::Away(crate::worker::Chain(&error.without_url()).to_string())
            }
            OciDistributionError::ServerError { code, .. } => {
                Self::Away(format!("it answered {code}"))
            }
            OciDistributionError::AuthenticationFailure(_)
            | OciDistributionError::UnauthorizedError { .. } => {
                Self::Refused("the registry does not answer without credentials".to_owned())
            }
            OciDistributionError::ImageManifestNotFoundError(_)
            | OciDistributionError::RegistryError { .. } => {
                Self::Refused("the registry has no such image for this platform".to_owned())
            }
            _ => Self::Refused(
                "the registry's answer is not one of the OCI distribution specification".to_owned(),
            ),
        }
    }
}

/// What of an image's configuration matters here (OCI image specification).
#[derive(serde::Deserialize)]
struct Configuration {
    config: Option<Execution>,
}

#[derive(Default, serde::Deserialize)]
struct Execution {
    #[serde(rename = "Volumes")]
    volumes: Option<HashMap<String, serde::de::IgnoredAny>>,
}

/// Takes bytes up to a bound and then fails.
struct Bounded(Vec<u8>);

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.0.len() + bytes.len() > LARGEST_CONFIGURATION {
            return Poll::Ready(Err(io::Error::other(
                "the image's configuration is too large",
            )));
        }
        self.0.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The certificates of a PEM bundle, one by one, as the client takes them.
fn certificates(bundle: &[u8]) -> Vec<Certificate> {
    const END: &str = "-----END CERTIFICATE-----";
    String::from_utf8_lossy(bundle)
        .split_inclusive(END)
        .filter(|text| text.contains(END))
        .map(|text| Certificate {
            encoding: CertificateEncoding::Pem,
            data: text.as_bytes().to_vec(),
        })
        .collect()
}
