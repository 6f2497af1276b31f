//! Announcements over a WebSocket that goes wrong in between: they are for speed, looks are for truth.

use std::time::Duration;

use futures::future::join_all;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tidewatch::chain::{Provider, Providers};
use tidewatch::follower::{Follower, Following};
use tidewatch::worker::{self, Pace, Wake};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{accept_async, connect_async};
use tokio_util::sync::CancellationToken;

use super::{Bench, PATIENCE};
use crate::support::eventually;

/// What becomes of announcements on their way.
#[derive(Clone, Copy, Debug)]
enum Whim {
    /// After two of them none comes any more, and the connection stays as if it lived.
    Dies,
    /// Two of three are lost.
    Skips,
    /// Each comes three times.
    Repeats,
    /// Each is followed by a log that is said to be removed, as by nodes that announce a reorganisation.
    Invents,
}

#[tokio::test]
async fn whatever_a_subscription_says_the_rows_are_the_chains() {
    let whims = [Whim::Dies, Whim::Skips, Whim::Repeats, Whim::Invents];
    join_all(whims.map(the_rows_are_the_chains_under)).await;
}

async fn the_rows_are_the_chains_under(whim: Whim) {
    let bench = Bench::start().await;
    let pool = Providers::from(Provider::new(&before(bench.node.url(), whim).await).unwrap());
    let following = Following {
        act_from_block: Some(0),
        ..bench.following()
    };
    let ledger = bench.database.ledger.clone();
    let follower = Follower::new(ledger, pool.clone(), following);
    let (stop, wake) = (CancellationToken::new(), Wake::default());
    let pace = Pace::every(Duration::from_millis(200));
    let run = tokio::spawn(worker::run(follower, pace, wake.clone(), stop.clone()));
    let (announcing, stopped) = (pool.clone(), stop.clone());
    let listen = tokio::spawn(async move { announcing.announce(|| wake.wake(), stopped).await });
    eventually("blocks are announced", PATIENCE, async || {
        bench.node.mine(1).await;
        pool.announced()
    })
    .await;

    let caught_up = async || {
        let truth = bench.truth().await;
        let what = format!("every row is recorded ({whim:?})");
        eventually(&what, PATIENCE, async || {
            (bench.rows(true).await == truth).then_some(())
        })
        .await;
    };
    bench.echo(0..6).await;
    caught_up().await;
    let kept = bench.rows(true).await.len();
    // A rollback that nobody announces, another chain in its place, and a reorganisation that is announced.
    let snapshot = bench.node.snapshot().await;
    bench.echo(6..9).await;
    caught_up().await;
    bench.node.revert(snapshot).await;
    bench.echo(20..25).await;
    caught_up().await;
    let moved = json!([2, [[bench.call(30), 0]]]);
    bench.node.request("anvil_reorg", moved).await;
    bench.node.mine(1).await;
    caught_up().await;
    // Nothing that was recorded before was called removed on the strength of an announcement.
    let orphaned = bench.rows(false).await;
    let last = bench.rows(true).await[kept - 1].number;
    assert!(
        orphaned.iter().all(|row| row.number > last),
        "{whim:?}: {orphaned:?}"
    );
    stop.cancel();
    run.await.unwrap().unwrap();
    listen.await.unwrap();
}

/// Stands between a follower and a node's WebSocket; answers its URL.
async fn before(node: &url::Url, whim: Whim) -> String {
    let far = node.as_str().replace("http://", "ws://");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            tokio::spawn(relay(near, far.clone(), whim));
        }
    });
    url
}

async fn relay(near: TcpStream, far: String, whim: Whim) {
    let (mut to_near, mut from_near) = accept_async(near).await.unwrap().split();
    let (mut to_far, mut from_far) = connect_async(far).await.unwrap().0.split();
    let asked = async {
        while let Some(Ok(message)) = from_near.next().await {
            if to_far.send(message).await.is_err() {
                break;
            }
        }
    };
    let said = async {
        let mut announced = 0;
        while let Some(Ok(message)) = from_far.next().await {
            for message in whim.deliver(message, &mut announced) {
                if to_near.send(message).await.is_err() {
                    return;
                }
            }
        }
    };
    tokio::select! {
        () = asked => {}
        () = said => {}
    }
}

impl Whim {
    fn deliver(self, message: Message, announced: &mut u32) -> Vec<Message> {
        let told: Option<Value> = message
            .to_text()
            .ok()
            .and_then(|text| serde_json::from_str(text).ok());
        let Some(told) = told.filter(|told| told["method"] == "eth_subscription") else {
            return vec![message];
        };
        *announced += 1;
        match self {
            Self::Dies if *announced > 2 => Vec::new(),
            Self::Skips if !announced.is_multiple_of(3) => Vec::new(),
            Self::Dies | Self::Skips => vec![message],
            Self::Repeats => vec![message.clone(), message.clone(), message],
            Self::Invents => vec![message, Message::text(removed(told).to_string())],
        }
    }
}

/// A log of the first block, said to be removed.
fn removed(mut announcement: Value) -> Value {
    announcement["params"]["result"] = json!({
        "removed": true,
        "blockNumber": "0x1",
        "blockHash": announcement["params"]["result"]["hash"],
        "logIndex": "0x0",
        "topics": [],
        "data": "0x",
    });
    announcement
}
