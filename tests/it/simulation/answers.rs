//! Answers that are nearly right, and any bytes at all: a value is made of them or an error, never a panic.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy::primitives::{Bytes, keccak256};
use axum::Router;
use axum::body;
use axum::extract::State;
use axum::routing::post;
use chrono::DateTime;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use tidewatch::chain::{BlockId, Error, Header, LookAt, Provider};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::block::Block;
use super::change::{Change, change};
use super::character::Character;
use super::dice::Dice;
use super::haste;
use super::honest::Honest;
use super::node::envelope;
use super::world::World;

/// A world with some blocks, whose node can do everything.
const SEED: u64 = 1;

/// How many kinds of questions there are, see [`Stage::ask`].
const QUESTIONS: u8 = 10;

#[test]
fn whatever_a_node_answers_is_a_value_or_an_error() {
    let stage = Stage::set();
    for question in 0..QUESTIONS {
        let answer = stage.ask_with(question, None);
        assert!(answer.is_ok(), "question {question}: {answer:?}");
    }
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let cases = (0..QUESTIONS, change());
    let outcome = TestRunner::new(config).run(&cases, |(question, change)| {
        // Whether it is a value or an error is nobody's concern: that there is something is.
        drop(stage.ask_with(question, Some(change)));
        Ok(())
    });
    outcome.unwrap();
}

/// A node that knows a world and says what it is told to make of it, and somebody who asks it.
struct Stage {
    runtime: Runtime,
    provider: Provider,
    shared: Arc<Shared>,
}

struct Shared {
    world: World,
    character: Character,
    change: Mutex<Option<Change>>,
}

impl Stage {
    fn set() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let mut character = Character::thrown(&mut Dice::of(SEED, "able"), true, (0, 1));
        character.receipts = true;
        (character.blocks, character.logs, character.batch) = (None, None, None);
        character.state_from = 0;
        let shared = Arc::new(Shared {
            world: World::made_of(SEED),
            character,
            change: Mutex::default(),
        });
        let app = Router::new()
            .route("/", post(serve))
            .with_state(Arc::clone(&shared));
        let url = runtime.block_on(async {
            haste::make_haste();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/", listener.local_addr().unwrap());
            tokio::spawn(async move { axum::serve(listener, app).await });
            url
        });
        // No answer comes late by the world's clock, which is moved on by hours between questions.
        let patience = Duration::from_secs(1_000_000);
        Self {
            runtime,
            provider: Provider::with_timeout(&url, patience).unwrap(),
            shared,
        }
    }

    fn ask_with(&self, question: u8, change: Option<Change>) -> Result<(), Error> {
        /// Longer than any wait that a refusal has earned the node.
        const LONG: Duration = Duration::from_secs(10_000);
        *self.shared.change.lock().unwrap() = change;
        self.runtime.block_on(async {
            tokio::time::advance(LONG).await;
            self.ask(question).await
        })
    }

    async fn ask(&self, question: u8) -> Result<(), Error> {
        let (provider, world) = (&self.provider, &self.shared.world);
        let addresses = world.deployment.addresses();
        let head = world.now().head();
        let (from, to) = (head.at.number - 8, head.at.number);
        match question {
            0 => {
                provider.chain_id().await?;
            }
            1 => self.look(from).await?,
            2 => {
                provider.header_at(from).await?;
            }
            3 => {
                provider.finalized().await?;
            }
            4 => {
                let read = provider.logs_in_range(&addresses, from, to).await?;
                let asked = |number| (from..=to).contains(&number);
                assert!(read.logs.iter().all(|log| asked(log.block.number)));
                assert!(read.logs.iter().all(|log| addresses.contains(&log.address)));
            }
            5 => {
                provider.code_at(addresses[0]).await?;
            }
            6 => {
                let to = world.deployment.contracts.condition_store_manager;
                let data = keccak256("getConditionListSize()")[..4].to_vec();
                let called = provider.call(to, Bytes::from(data), BlockId::latest());
                called.await?;
            }
            7 => {
                provider.headers_at(&[from, to]).await?;
            }
            8 => {
                provider.logs_of_block(&addresses, &header(head)).await?;
            }
            _ => {
                let read = provider.logs_by_receipts(&addresses, head.at).await?;
                // What adds up to the hash is the block's, whatever was done to the answer.
                if let Some(read) = read.filter(|read| read.is_sealed) {
                    let indexes = read.logs.iter().map(|log| log.log_index);
                    assert!(indexes.eq(head.followed.iter().map(|log| log.index)));
                }
            }
        }
        Ok(())
    }

    /// Everything that is asked at the head, receipts included.
    async fn look(&self, recorded: u64) -> Result<(), Error> {
        let wanted = LookAt {
            recorded,
            finalized: true,
            safe: true,
            ahead: 8,
            receipts: true,
        };
        let look = self.provider.look(&wanted).await?;
        if let Some(at) = look.at {
            let addresses = self.shared.world.deployment.addresses();
            let window = self
                .provider
                .window(&addresses, at.at, 8, look.ahead, None)
                .await?;
            let numbers = window.iter().map(|block| block.header.at.number);
            assert!(numbers.eq(recorded + 1..=recorded + u64::try_from(window.len()).unwrap()));
        }
        Ok(())
    }
}

async fn serve(State(shared): State<Arc<Shared>>, asked: body::Bytes) -> Vec<u8> {
    let asked: Value = serde_json::from_slice(&asked).unwrap();
    let honest = Honest {
        world: &shared.world,
        character: &shared.character,
        stand: shared.world.now(),
    };
    let reply = |one: &Value| {
        let method = one["method"].as_str().unwrap();
        envelope(&one["id"], honest.answer(method, &one["params"]))
    };
    let answers = match &asked {
        Value::Array(batch) => batch.iter().map(reply).collect(),
        one => reply(one),
    };
    let change = shared.change.lock().unwrap().clone();
    change.map_or_else(
        || answers.to_string().into_bytes(),
        |change| change.apply(answers.clone()),
    )
}

fn header(block: &Block) -> Header {
    Header {
        at: block.at,
        parent: block.header.parent_hash,
        timestamp: DateTime::from_timestamp(block.header.timestamp.cast_signed(), 0).unwrap(),
        receipts_root: block.header.receipts_root,
        logs_bloom: block.header.logs_bloom,
    }
}
