//! The API as a whole, on a port of its own, under the reader's login.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use reqwest::{Client, Method, Response, StatusCode};
use serde_json::Value;
use sqlx::PgConnection;
use tempfile::TempDir;
use tidewatch::api::{self, Settings};
use tidewatch::ledger::{Reader, roles};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::database::{Database, PASSWORD, give_passwords};
use super::events::Events;
use super::rows;
use crate::judging::bench::Bench;

pub(super) const TOKEN: &str = "an-operators-token";

/// An API that answers.
pub(super) struct Endpoint {
    pub(super) client: Client,
    pub(super) directory: TempDir,
    pub(super) stop: CancellationToken,
    pub(super) served: JoinHandle<Result<(), api::Error>>,
    origin: String,
}

/// An API over a database of its own.
pub(super) struct Service {
    pub(super) database: Database,
    endpoint: Endpoint,
}

impl Deref for Service {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl DerefMut for Service {
    fn deref_mut(&mut self) -> &mut Endpoint {
        &mut self.endpoint
    }
}

impl Service {
    /// The API over a migrated database with one deployment, and the superuser's connection to fill it.
    pub(super) async fn start() -> (Self, PgConnection) {
        let database = Database::migrated().await;
        let mut connection = database.connect().await;
        rows::deployment(&mut connection).await;
        (Self::over(database).await, connection)
    }

    pub(super) async fn over(database: Database) -> Self {
        Self::with(database, Settings::default()).await
    }

    /// The same with other settings; the operators' token is always the tests' own.
    pub(super) async fn with(database: Database, settings: Settings) -> Self {
        let url = database.url_as("tidewatch_reader");
        let endpoint = Endpoint::start(&url, settings).await;
        Self { database, endpoint }
    }
}

impl Endpoint {
    /// An API that logs in by this URL.
    pub(super) async fn start(url: &str, settings: Settings) -> Self {
        // Another test may have installed it already.
        drop(rustls::crypto::ring::default_provider().install_default());
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        fs::write(&file, format!("{TOKEN}\n")).unwrap();
        let settings = Settings {
            operator_token_file: Some(file),
            ..settings
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let reader = Reader::connect(url).await.unwrap();
        let stop = CancellationToken::new();
        let served = tokio::spawn(api::serve(listener, reader, settings, stop.clone()));
        Self {
            client: Client::new(),
            directory,
            stop,
            served,
            origin,
        }
    }

    /// An API beside the workers of a bench, with their contracts and catalog.
    pub(super) async fn beside(bench: &Bench, settings: Settings) -> Self {
        assert_eq!(
            roles::ensure(&bench.ledger).await.unwrap(),
            roles::Ensured::Done
        );
        give_passwords(&bench.ledger).await;
        let mut url: Url = bench.url().parse().unwrap();
        url.set_username("tidewatch_reader").unwrap();
        url.set_password(Some(PASSWORD)).unwrap();
        let settings = Settings {
            keeper: Some(Arc::new(bench.chain.deployment.clone())),
            catalog: Some(bench.catalog.subscribe()),
            ..settings
        };
        Self::start(url.as_str(), settings).await
    }

    /// A stream of events.
    pub(super) async fn events(&self, path: &str, last: Option<&str>) -> Events {
        let request = self.client.get(format!("{}{path}", self.origin));
        let request = request
            .header("accept", "text/event-stream")
            .bearer_auth(TOKEN);
        let request = match last {
            Some(last) => request.header("last-event-id", last),
            None => request,
        };
        Events::new(request.send().await.unwrap())
    }

    pub(super) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path, None).await
    }

    pub(super) async fn request(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
    ) -> Response {
        let request = self
            .client
            .request(method, format!("{}{path}", self.origin));
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        request.send().await.unwrap()
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// The JSON body of a success.
    pub(super) async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.unwrap()
    }

    /// The JSON body of a success, for the operator.
    pub(super) async fn json_for_operator(&self, path: &str) -> Value {
        let response = self.request(Method::GET, path, Some(TOKEN)).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.unwrap()
    }

    /// The status and code of a refusal, which must be a problem document.
    pub(super) async fn problem(&self, path: &str) -> (u16, String) {
        problem(self.get(path).await).await
    }
}

/// The status and code of a refusal, which must be a problem document.
pub(super) async fn problem(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json"
    );
    assert!(response.headers().contains_key("x-request-id"));
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["status"], status);
    (status, body["code"].as_str().unwrap().to_owned())
}
