use std::collections::HashSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy::primitives::B256;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::character::Character;
use super::delivery::Delivery;
use super::dice::Dice;
use super::honest::{Answer, Honest, Refusal};
use super::lies::Liar;
use super::stand::Stand;
use super::world::World;

/// A provider of the world's chain, over HTTP on an address of its own.
pub(super) struct Node {
    pub(super) url: String,
    inner: Arc<Inner>,
    server: JoinHandle<()>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "provider {} is {:?}", self.url, self.inner.character)
    }
}

/// How much a provider lies, in percent of requests and of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// HTTP requests that fail as a whole.
    pub(super) delivery: u32,
    /// Single answers that are refused or bent.
    pub(super) answers: u32,
}

struct Inner {
    world: Arc<Mutex<World>>,
    character: Character,
    place: (usize, usize),
    seed: u64,
    /// How late an answer is that is late.
    late: Duration,
    trouble: Mutex<Option<Trouble>>,
    /// Blocks whose logs were left out once, by a provider that is alone.
    forgotten: Mutex<HashSet<B256>>,
    requests: AtomicU64,
    asked: Notify,
}

impl Node {
    /// The provider number `place.0` of `place.1`, which begins as a liar. Each has a loopback address of its own, since whoever
    /// counts opinions counts hosts.
    pub(super) async fn start(
        world: &Arc<Mutex<World>>,
        seed: u64,
        place: (usize, usize),
        late: Duration,
        trouble: Trouble,
    ) -> Self {
        let mut dice = Dice::of(seed, format!("character {}", place.0));
        let tags = world.lock().unwrap().has_tags();
        let inner = Arc::new(Inner {
            world: Arc::clone(world),
            character: Character::thrown(&mut dice, tags, place),
            place,
            seed,
            late,
            trouble: Mutex::new(Some(trouble)),
            forgotten: Mutex::default(),
            requests: AtomicU64::new(0),
            asked: Notify::new(),
        });
        let host = Ipv4Addr::new(127, 0, 0, u8::try_from(place.0 + 1).unwrap());
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let app = Router::new()
            .route("/", post(serve))
            .with_state(Arc::clone(&inner));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, inner, server }
    }

    /// From now on it says what it knows.
    pub(super) fn become_honest(&self) {
        *self.inner.trouble.lock().unwrap() = None;
    }

    /// Whether it serves receipts of a block.
    pub(super) fn has_receipts(&self) -> bool {
        self.inner.character.receipts
    }

    /// HTTP requests that it was asked so far.
    pub(super) fn requests(&self) -> u64 {
        self.inner.requests.load(Ordering::Relaxed)
    }

    /// Ends when it is asked the next time.
    pub(super) fn asked(&self) -> impl Future<Output = ()> {
        self.inner.asked.notified()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(State(node): State<Arc<Inner>>, body: Bytes) -> Response {
    let turn = node.requests.fetch_add(1, Ordering::Relaxed);
    node.asked.notify_one();
    let (delivery, answers) = node.answer(turn, &body);
    deliver(delivery, answers.to_string(), node.late).await
}

impl Inner {
    /// What is answered to the request that came as number `turn`. Within one request the world stands still.
    fn answer(&self, turn: u64, body: &[u8]) -> (Delivery, Value) {
        let mut dice = Dice::of(self.seed, format!("request {turn} to {}", self.place.0));
        let asked: Value = serde_json::from_slice(body).expect("a follower sends JSON");
        let trouble = *self.trouble.lock().unwrap();
        let mut world = self.world.lock().unwrap();
        if trouble.is_some() && dice.percent(world.restless) {
            world.live();
        }
        let mut delivery = Delivery::Whole;
        if trouble.is_some_and(|trouble| dice.percent(trouble.delivery)) {
            delivery = Delivery::thrown(&mut dice);
        }
        let stand = self.stand(&world, &mut dice, trouble);
        let Value::Array(batch) = asked else {
            return (
                delivery,
                self.reply(&world, &stand, &mut dice, trouble, &asked),
            );
        };
        if let Err(refusal) = self.character.check_batch(batch.len()) {
            return (delivery, envelope(&Value::Null, Err(refusal)));
        }
        let mut answers: Vec<_> = batch
            .iter()
            .map(|one| self.reply(&world, &stand, &mut dice, trouble, one))
            .collect();
        match delivery {
            Delivery::Short => {
                answers.swap_remove(dice.place(answers.len()));
            }
            Delivery::Shuffled => answers.reverse(),
            _ => {}
        }
        (delivery, answers.into())
    }

    /// The chain that the provider believes in for the length of a request.
    fn stand(&self, world: &World, dice: &mut Dice, trouble: Option<Trouble>) -> Stand {
        match trouble {
            None => world.now().clone(),
            Some(trouble) if dice.percent(trouble.answers) => world.stale(dice),
            Some(_) => world.now().behind_by(self.character.lag),
        }
    }

    fn reply(
        &self,
        world: &World,
        stand: &Stand,
        dice: &mut Dice,
        trouble: Option<Trouble>,
        asked: &Value,
    ) -> Value {
        let method = asked["method"].as_str().unwrap();
        let params = &asked["params"];
        let honest = Honest {
            world,
            character: &self.character,
            stand,
        };
        let mut answer = honest.answer(method, params);
        if let Some(trouble) = trouble {
            let liar = Liar {
                world,
                character: &self.character,
                stand,
                place: self.place,
                seed: self.seed,
                forgotten: &self.forgotten,
            };
            answer = liar.distort(method, answer);
            if dice.percent(trouble.answers) {
                answer = if dice.percent(40) {
                    Err(Liar::refuse(dice))
                } else {
                    liar.bend(dice, method, params, answer)
                };
            }
        }
        envelope(&asked["id"], answer)
    }
}

pub(super) fn envelope(id: &Value, answer: Answer) -> Value {
    match answer {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(Refusal { code, message }) => {
            let error = json!({"code": code, "message": message});
            json!({"jsonrpc": "2.0", "id": id, "error": error})
        }
    }
}

async fn deliver(delivery: Delivery, text: String, late: Duration) -> Response {
    const PAGE: &str = "<html><body><h1>Please stand by</h1></body></html>";
    match delivery {
        Delivery::Whole | Delivery::Short | Delivery::Shuffled => text.into_response(),
        Delivery::Status(status, retry_after) => {
            let mut response = (StatusCode::from_u16(status).unwrap(), PAGE).into_response();
            if let Some(seconds) = retry_after {
                let headers = response.headers_mut();
                headers.insert("retry-after", seconds.parse().unwrap());
            }
            response
        }
        Delivery::Html => PAGE.into_response(),
        Delivery::Garbage(bytes) => bytes.into_response(),
        Delivery::Cut => {
            let half = Bytes::from(text[..text.len() / 2].to_owned());
            let broken = std::io::Error::other("the line is cut");
            Body::from_stream(stream::iter([Ok(half), Err(broken)])).into_response()
        }
        Delivery::Late => {
            tokio::time::sleep(late).await;
            text.into_response()
        }
    }
}
