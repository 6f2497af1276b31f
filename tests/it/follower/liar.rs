//! A provider in front of a real node that leaves things out without saying so, as pruned and half-synchronised nodes do.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tidewatch::chain::Provider;
use tokio::net::TcpListener;

/// What it does not give, shared with the test.
#[derive(Clone, Default)]
pub(crate) struct Lies {
    /// Logs of blocks below it are not in the answers of `eth_getLogs`. Headers are there.
    pub(crate) logs_below: Arc<AtomicU64>,
    /// Receipts of no block are given.
    pub(crate) receipts: Arc<AtomicBool>,
    /// The state of blocks below it is gone.
    pub(crate) state_below: Arc<AtomicU64>,
    /// Headers that it goes on naming at their heights, though the chain has others there by now.
    pub(crate) headers: Arc<Mutex<BTreeMap<u64, Value>>>,
    /// It answers for headers by number alone, so that nobody follows it.
    pub(crate) headers_only: Arc<AtomicBool>,
    /// Questions that it was asked.
    pub(crate) asked: Arc<AtomicU64>,
}

/// Starts it on a port of its own, under a name that no other provider of the test has, and answers it.
pub(crate) async fn before(node: &url::Url, host: &str, lies: &Lies) -> Provider {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let app = Router::new().route("/", post(forward)).with_state((
        node.clone(),
        lies.clone(),
        reqwest::Client::new(),
    ));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Provider::new(&format!("http://{host}:{port}/")).unwrap()
}

type Shared = (url::Url, Lies, reqwest::Client);

async fn forward(State(shared): State<Shared>, Json(asked): Json<Value>) -> Json<Value> {
    let Value::Array(batch) = asked else {
        return Json(answer(&shared, asked).await);
    };
    let mut answers = Vec::new();
    for one in batch {
        answers.push(answer(&shared, one).await);
    }
    Json(answers.into())
}

async fn answer((node, lies, client): &Shared, asked: Value) -> Value {
    lies.asked.fetch_add(1, Ordering::SeqCst);
    let method = asked["method"].as_str().unwrap_or_default().to_owned();
    let refused = |code: i64, message: &str| {
        let error = json!({"code": code, "message": message});
        json!({"jsonrpc": "2.0", "id": asked["id"], "error": error})
    };
    if method == "eth_getBlockReceipts" && lies.receipts.load(Ordering::SeqCst) {
        return refused(-32601, "the method does not exist");
    }
    let is_header = method == "eth_getBlockByNumber" && number(&asked["params"][0]).is_some();
    if lies.headers_only.load(Ordering::SeqCst) && !is_header && method != "eth_chainId" {
        return refused(-32000, "not here");
    }
    if method == "eth_call" {
        let at = number(&asked["params"][1]);
        if at.is_some_and(|at| at < lies.state_below.load(Ordering::SeqCst)) {
            return refused(-32000, "missing trie node");
        }
    }
    let answer = client.post(node.clone()).json(&asked).send().await.unwrap();
    let mut answer: Value = answer.json().await.unwrap();
    let below = lies.logs_below.load(Ordering::SeqCst);
    if method == "eth_getLogs"
        && let Some(logs) = answer["result"].as_array_mut()
    {
        logs.retain(|log| number(&log["blockNumber"]).unwrap() >= below);
    }
    let headers = lies.headers.lock().unwrap();
    if method == "eth_getBlockByNumber"
        && let Some(header) = number(&asked["params"][0]).and_then(|number| headers.get(&number))
    {
        answer["result"] = header.clone();
    }
    answer
}

fn number(value: &Value) -> Option<u64> {
    let digits = value.as_str()?.strip_prefix("0x")?;
    u64::from_str_radix(digits, 16).ok()
}
