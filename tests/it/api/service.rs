//! The API as a whole, on a port of its own, under the reader's login.

use std::fs;

use reqwest::{Client, Method, Response, StatusCode};
use serde_json::Value;
use sqlx::PgConnection;
use tempfile::TempDir;
use tidewatch::api::{self, Settings};
use tidewatch::ledger::Reader;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::database::Database;
use super::rows;

pub(super) const TOKEN: &str = "an-operators-token";

pub(super) struct Service {
    pub(super) database: Database,
    pub(super) client: Client,
    pub(super) directory: TempDir,
    pub(super) stop: CancellationToken,
    pub(super) served: JoinHandle<Result<(), api::Error>>,
    origin: String,
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
        // Another test may have installed it already.
        drop(rustls::crypto::ring::default_provider().install_default());
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        fs::write(&file, format!("{TOKEN}\n")).unwrap();
        let settings = Settings {
            operator_token_file: Some(file),
            followed: None,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let reader = Reader::connect(&database.url_as("tidewatch_reader"))
            .await
            .unwrap();
        let stop = CancellationToken::new();
        let served = tokio::spawn(api::serve(listener, reader, settings, stop.clone()));
        Self {
            database,
            client: Client::new(),
            directory,
            stop,
            served,
            origin,
        }
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
