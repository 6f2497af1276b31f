//! A service in front of a real node that misbehaves as services do, with the node's own data behind it.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Response, StatusCode};
use axum::routing::post;
use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

/// What happens to a request.
#[derive(Clone, Debug)]
pub(super) enum Reaction {
    /// An HTTP status, perhaps with Retry-After, and a body.
    Status(u16, Option<u64>, &'static str),
    /// One error object in the place of all answers.
    Whole(i64, &'static str),
    /// An error for the calls of `eth_getLogs`; the others are answered.
    Logs(i64, String),
    /// Half of the true answer, then the connection ends.
    Cut,
    /// A page.
    Html,
    /// The true answer, but late.
    Late(Duration),
}

type Refuse = dyn Fn(&[Value]) -> Option<Reaction> + Send + Sync;
type Alter = dyn Fn(&Value, &mut Value) + Send + Sync;

/// The service.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) url: String,
    inner: Arc<Inner>,
}

struct Inner {
    node: Url,
    client: reqwest::Client,
    refuse: Mutex<Arc<Refuse>>,
    alter: Mutex<Arc<Alter>>,
    requests: AtomicU64,
    refused: AtomicU64,
}

impl Service {
    /// One that behaves.
    pub(super) async fn before(node: &Url) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let inner = Arc::new(Inner {
            node: node.clone(),
            client: reqwest::Client::new(),
            refuse: Mutex::new(Arc::new(|_: &[Value]| None)),
            alter: Mutex::new(Arc::new(|_: &Value, _: &mut Value| {})),
            requests: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        let app = Router::new()
            .route("/", post(serve))
            .with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, inner }
    }

    /// From now on requests meet this.
    pub(super) fn refuse(
        &self,
        refuse: impl Fn(&[Value]) -> Option<Reaction> + Send + Sync + 'static,
    ) {
        *self.inner.refuse.lock().unwrap() = Arc::new(refuse);
    }

    /// From now on the true answers are altered by this, given the call and its answer.
    pub(super) fn alter(&self, alter: impl Fn(&Value, &mut Value) + Send + Sync + 'static) {
        *self.inner.alter.lock().unwrap() = Arc::new(alter);
    }

    /// From now on it behaves.
    pub(super) fn behave(&self) {
        self.refuse(|_| None);
        self.alter(|_, _| {});
    }

    /// Requests so far.
    pub(super) fn requests(&self) -> u64 {
        self.inner.requests.load(Ordering::SeqCst)
    }

    /// Requests so far that met a reaction.
    pub(super) fn refused(&self) -> u64 {
        self.inner.refused.load(Ordering::SeqCst)
    }
}

async fn serve(State(inner): State<Arc<Inner>>, asked: Bytes) -> Response<Body> {
    inner.requests.fetch_add(1, Ordering::SeqCst);
    let asked: Value = serde_json::from_slice(&asked).unwrap();
    let (calls, is_batch) = match asked {
        Value::Array(calls) => (calls, true),
        call => (vec![call], false),
    };
    let refuse = Arc::clone(&inner.refuse.lock().unwrap());
    let reaction = refuse(&calls);
    if reaction.is_some() {
        inner.refused.fetch_add(1, Ordering::SeqCst);
    }
    match &reaction {
        Some(Reaction::Status(status, retry_after, text)) => {
            let mut response = Response::builder().status(StatusCode::from_u16(*status).unwrap());
            if let Some(seconds) = retry_after {
                response = response.header("retry-after", seconds.to_string());
            }
            return response.body(Body::from(*text)).unwrap();
        }
        Some(Reaction::Whole(code, message)) => {
            let error =
                json!({"jsonrpc": "2.0", "id": null, "error": {"code": code, "message": message}});
            return Response::new(Body::from(error.to_string()));
        }
        Some(Reaction::Html) => {
            return Response::new(Body::from("<html><body>One moment, please</body></html>"));
        }
        Some(Reaction::Late(wait)) => tokio::time::sleep(*wait).await,
        Some(Reaction::Logs(..) | Reaction::Cut) | None => {}
    }
    let alter = Arc::clone(&inner.alter.lock().unwrap());
    let mut answers = Vec::with_capacity(calls.len());
    for call in calls {
        if let Some(Reaction::Logs(code, message)) = &reaction
            && call["method"] == "eth_getLogs"
        {
            let error = json!({"code": code, "message": message});
            answers.push(json!({"jsonrpc": "2.0", "id": call["id"], "error": error}));
            continue;
        }
        let answer = inner
            .client
            .post(inner.node.clone())
            .json(&call)
            .send()
            .await
            .unwrap();
        let mut answer: Value = answer.json().await.unwrap();
        alter(&call, &mut answer);
        answers.push(answer);
    }
    let body = if is_batch {
        Value::Array(answers)
    } else {
        answers.remove(0)
    }
    .to_string();
    if matches!(reaction, Some(Reaction::Cut)) {
        let half = Bytes::from(body.into_bytes()).slice(..);
        let half = half.slice(..half.len() / 2);
        let lost = async {
            // The half is on its way before the connection breaks, or the asker would see no answer at all.
            tokio::time::sleep(Duration::from_millis(50)).await;
            Err(std::io::Error::other("the rest is lost"))
        };
        let parts = stream::iter([Ok(half)]).chain(stream::once(lost));
        return Response::new(Body::from_stream(parts));
    }
    Response::new(Body::from(body))
}

/// A number as JSON-RPC writes it.
pub(super) fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

/// The range that a request wants logs of, if it wants any by height.
pub(super) fn range(calls: &[Value]) -> Option<(u64, u64)> {
    let logs = calls.iter().find(|call| call["method"] == "eth_getLogs")?;
    let filter = &logs["params"][0];
    Some((number(&filter["fromBlock"])?, number(&filter["toBlock"])?))
}

/// Blocks of that range.
pub(super) fn width(calls: &[Value]) -> u64 {
    range(calls).map_or(0, |(from, to)| to - from + 1)
}

/// Whether a request holds a call of that method.
pub(super) fn asks(calls: &[Value], method: &str) -> bool {
    calls.iter().any(|call| call["method"] == method)
}
