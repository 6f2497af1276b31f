//! Strangers' servers on this machine: https under a CA of the test's own, names that answer as the test says, and replies that no
//! honest server gives.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::NamedTempFile;
use tidewatch::documents::{Documents, Names, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The name under which the tests' servers are reached.
pub(crate) const HOST: &str = "documents.example";

/// What a server answers.
#[derive(Clone)]
pub(crate) enum Reply {
    /// These bytes, as an honest server sends them.
    Bytes(Vec<u8>),
    /// These bytes as they are, status line included; then the connection ends.
    Raw(Vec<u8>),
    /// A redirect to there.
    To(String),
    /// A body that never ends, as fast as it is taken.
    Endless,
    /// The head, then a byte of the body from time to time.
    Trickle(Duration),
    /// Nothing at all, while the connection stays open.
    Silence,
}

/// A server; it ends with the test's runtime.
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) port: u16,
    replies: Arc<Mutex<HashMap<String, Reply>>>,
    asked: Arc<AtomicUsize>,
}

impl Server {
    /// The address of a path on it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{HOST}:{}{path}", self.port)
    }

    /// Sets what it answers at a path, and answers the address.
    pub(crate) fn put(&self, path: &str, reply: Reply) -> String {
        self.replies.lock().unwrap().insert(path.to_owned(), reply);
        self.url(path)
    }

    /// Serves bytes at a path, and answers the address.
    pub(crate) fn serve(&self, path: &str, bytes: impl Into<Vec<u8>>) -> String {
        self.put(path, Reply::Bytes(bytes.into()))
    }

    /// How many requests came.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Whom the test's fetchers trust, and how they look names up.
pub(crate) struct Web {
    /// Names; [`HOST`] is this machine.
    pub(crate) names: Arc<Book>,
    issuer: CertifiedIssuer<'static, KeyPair>,
    ca_file: NamedTempFile,
}

impl Web {
    /// A web without servers.
    pub(crate) fn new() -> Self {
        // Whoever comes first in this process chooses; all choose the same.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let ca_file = NamedTempFile::new().unwrap();
        std::fs::write(ca_file.path(), issuer.pem()).unwrap();
        let names = Arc::new(Book::default());
        names.always(HOST, &[Ipv4Addr::LOCALHOST.into()]);
        Self {
            names,
            issuer,
            ca_file,
        }
    }

    /// Settings that trust its authority.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            ipfs_gateway: None,
            ca_file: Some(self.ca_file.path().to_owned()),
            ..Settings::default()
        }
    }

    /// The real fetcher, which may connect to 127.0.0.1 beside public addresses.
    pub(crate) fn documents(&self) -> Documents {
        self.documents_with(&self.settings())
    }

    /// The same with other settings.
    pub(crate) fn documents_with(&self, settings: &Settings) -> Documents {
        let reach = vec![Ipv4Addr::LOCALHOST.into()];
        let names: Arc<dyn Names> = Arc::clone(&self.names) as _;
        Documents::reaching(settings, reach, names).unwrap()
    }

    /// A certificate for these names, with its key, in PEM.
    pub(crate) fn certificate(&self, names: &[&str]) -> (String, String) {
        let (certificate, key) = self.issue(names);
        (certificate.pem(), key.serialize_pem())
    }

    fn issue(&self, names: &[&str]) -> (rcgen::Certificate, KeyPair) {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(names).unwrap();
        (parameters.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// Starts a server that answers to [`HOST`] and to 127.0.0.1.
    pub(crate) async fn server(&self) -> Server {
        let (certificate, key) = self.issue(&[HOST, "other.example", "127.0.0.1"]);
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server {
            port: listener.local_addr().unwrap().port(),
            replies: Arc::default(),
            asked: Arc::default(),
        };
        let (replies, asked) = (Arc::clone(&server.replies), Arc::clone(&server.asked));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, replies) = (acceptor.clone(), Arc::clone(&replies));
                let asked = Arc::clone(&asked);
                tokio::spawn(async move {
                    // A client that goes away in the middle is what many of these tests are about.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        _ = answer(stream, &replies, &asked).await;
                    }
                });
            }
        });
        server
    }
}

async fn answer(
    mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin,
    replies: &Mutex<HashMap<String, Reply>>,
    asked: &AtomicUsize,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    asked.fetch_add(1, Ordering::SeqCst);
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let reply = replies.lock().unwrap().get(path).cloned();
    match reply {
        None => {
            stream
                .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                .await?;
        }
        Some(Reply::Bytes(bytes)) => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len());
            stream
                .write_all(&[head.as_bytes(), &bytes].concat())
                .await?;
        }
        Some(Reply::Raw(bytes)) => stream.write_all(&bytes).await?,
        Some(Reply::To(location)) => {
            let head =
                format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
        }
        Some(Reply::Endless) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            loop {
                stream.write_all(&[b'x'; 64 * 1024]).await?;
            }
        }
        Some(Reply::Trickle(pause)) => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                .await?;
            loop {
                stream.write_all(b"x").await?;
                stream.flush().await?;
                tokio::time::sleep(pause).await;
            }
        }
        Some(Reply::Silence) => std::future::pending().await,
    }
    stream.flush().await?;
    stream.shutdown().await
}

/// Names as the test says them.
#[derive(Debug, Default)]
pub(crate) struct Book {
    answers: Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>,
    looked_up: AtomicUsize,
}

impl Book {
    /// A name stands for these addresses, whenever it is asked.
    pub(crate) fn always(&self, name: &str, addresses: &[IpAddr]) {
        self.then(name, &[addresses]);
    }

    /// A name stands for the first addresses the first time, for the second ones the second time, and so on; the last ones stay.
    pub(crate) fn then(&self, name: &str, answers: &[&[IpAddr]]) {
        let answers = answers.iter().map(|it| it.to_vec()).collect();
        self.answers
            .lock()
            .unwrap()
            .insert(name.to_owned(), answers);
    }

    /// How many lookups there were.
    pub(crate) fn looked_up(&self) -> usize {
        self.looked_up.load(Ordering::SeqCst)
    }
}

impl Names for Book {
    fn addresses(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        self.looked_up.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let answer = answers
            .get_mut(&name)
            .and_then(|answers| match answers.len() {
                0 | 1 => answers.front().cloned(),
                _ => answers.pop_front(),
            });
        async move { answer.ok_or_else(|| io::Error::other("no such name")) }.boxed()
    }
}
