//! The real program, killed without warning between signing, sending, mining and recording.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use serde_json::Value;
use tidewatch::keeper::Purchase;
use tidewatch::ledger::roles;
use tokio::net::TcpListener;

use super::bench::{Post, until};
use crate::support::database::Database;
use crate::support::eventually;
use crate::support::holding::Held;
use crate::support::service::Service;

/// What the node before the node does with a transaction.
const PASS: u8 = 0;
const SWALLOW: u8 = 1;
const FORWARD_AND_HANG: u8 = 2;

/// A node that passes everything on, and at will no transactions, or no answers to them.
struct Gate {
    mode: Arc<AtomicU8>,
    url: String,
}

impl Gate {
    async fn before(node: &url::Url) -> Self {
        let mode = Arc::new(AtomicU8::new(PASS));
        let (shared, node) = (Arc::clone(&mode), node.clone());
        let router = axum::Router::new().fallback(move |body: Bytes| {
            let (mode, node) = (Arc::clone(&shared), node.clone());
            async move { pass(&mode, &node, body).await }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { mode, url }
    }

    fn set(&self, mode: u8) {
        self.mode.store(mode, Ordering::SeqCst);
    }
}

async fn pass(mode: &AtomicU8, node: &url::Url, body: Bytes) -> Vec<u8> {
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let sends = asked["method"] == "eth_sendRawTransaction";
    let mode = if sends {
        mode.load(Ordering::SeqCst)
    } else {
        PASS
    };
    if mode == SWALLOW {
        std::future::pending::<()>().await;
    }
    let request = reqwest::Client::new()
        .post(node.clone())
        .header("content-type", "application/json")
        .body(body);
    let answer = request.send().await.unwrap().bytes().await.unwrap();
    if mode == FORWARD_AND_HANG {
        std::future::pending::<()>().await;
    }
    answer.to_vec()
}

/// A chain, a ledger, and the follower, the judge and the agent as one process.
struct Stage {
    post: Post,
    gate: Gate,
    directory: tempfile::TempDir,
}

impl Stage {
    async fn set() -> Self {
        let post = Post::start().await;
        roles::ensure(&post.ledger).await.unwrap();
        let gate = Gate::before(post.chain.node.url()).await;
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &[u8]| {
            std::fs::write(directory.path().join(name), text).unwrap();
        };
        write(
            "keeper.yaml",
            post.chain.deployment.to_yaml().unwrap().as_bytes(),
        );
        write("catalog.yaml", &post.catalog.borrow().bytes);
        let key = alloy::hex::encode(post.key.to_bytes());
        write("key", key.as_bytes());
        Self {
            post,
            gate,
            directory,
        }
    }

    fn start(&self, name: &str) -> Service {
        let path = |name: &str| {
            self.directory
                .path()
                .join(name)
                .to_str()
                .unwrap()
                .to_owned()
        };
        let variables = [
            ("DATABASE_URL", self.post.database().url.clone()),
            ("TIDEWATCH_RPC_URLS", self.gate.url.clone()),
            ("TIDEWATCH_KEEPER", path("keeper.yaml")),
            ("TIDEWATCH_CATALOG", path("catalog.yaml")),
            ("TIDEWATCH_ACT_AT", "latest".to_owned()),
            ("TIDEWATCH_ACT_FROM_BLOCK", "0".to_owned()),
            ("TIDEWATCH_IRREVERSIBLE_AT", "5".to_owned()),
            ("TIDEWATCH_AGENT", "approve,release".to_owned()),
            ("TIDEWATCH_AGENT_KEY_FILE", path("key")),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        Service::spawn_role(
            "follower,judge,agent",
            &variables,
            self.directory.path(),
            name,
        )
    }

    fn database(&self) -> &Database {
        self.post.database()
    }

    /// A new process does the act; the chain has it once, by one transaction.
    async fn started_again_it_is_done_once(&self, purchase: &Purchase) {
        self.gate.set(PASS);
        let second = self.start("second");
        until(&self.post, purchase.agreement, "done agent").await;
        let signed = self.post.signed(purchase.agreement).await;
        assert_eq!(signed.len(), 1, "{signed:?}");
        assert_eq!(self.post.sent_by_agent().await, 1);
        assert_eq!(self.post.fulfilments(purchase).await, 1);
        drop(second);
    }
}

async fn signed_count(stage: &Stage, purchase: &Purchase, wanted: usize) {
    eventually("it is signed", Duration::from_secs(120), || async {
        let signed = stage.post.signed(purchase.agreement).await;
        (signed.len() == wanted).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_signing_and_recording() {
    let stage = Stage::set().await;
    let held = Held::updates(stage.database(), "agent_transactions", "raw").await;
    let mut first = stage.start("first");
    let purchase = stage.post.paid().await;
    held.reached().await;
    first.kill();
    held.release().await;
    assert!(stage.post.signed(purchase.agreement).await.is_empty());
    stage.started_again_it_is_done_once(&purchase).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_recording_and_sending() {
    let stage = Stage::set().await;
    stage.gate.set(SWALLOW);
    let mut first = stage.start("first");
    let purchase = stage.post.paid().await;
    signed_count(&stage, &purchase, 1).await;
    first.kill();
    assert_eq!(stage.post.sent_by_agent().await, 0);
    stage.started_again_it_is_done_once(&purchase).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_sending_and_hearing_of_it() {
    let stage = Stage::set().await;
    stage.gate.set(FORWARD_AND_HANG);
    let mut first = stage.start("first");
    let purchase = stage.post.paid().await;
    eventually("the node has it", Duration::from_secs(120), || async {
        (stage.post.sent_by_agent().await == 1).then_some(())
    })
    .await;
    first.kill();
    assert_eq!(stage.post.state(purchase.agreement).await, "sent");
    stage.started_again_it_is_done_once(&purchase).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_mining_and_recording() {
    let stage = Stage::set().await;
    let held = Held::updates(stage.database(), "agent_acts", "block_number").await;
    let mut first = stage.start("first");
    let purchase = stage.post.paid().await;
    held.reached().await;
    first.kill();
    held.release().await;
    assert_eq!(stage.post.compute_state(&purchase).await, 2);
    stage.started_again_it_is_done_once(&purchase).await;
}
