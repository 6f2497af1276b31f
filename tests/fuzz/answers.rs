//! Any bytes as a node's answer over HTTP to any question that is asked of nodes: something is made of them or an error, never a
//! panic.
#![no_main]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use alloy::primitives::{Address, Bytes};
use libfuzzer_sys::fuzz_target;
use tidewatch::chain::{BlockId, LookAt, Provider};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

/// A node that says what it is told to say, and somebody who asks it.
struct Stage {
    runtime: Runtime,
    tasks: LocalSet,
    provider: Provider,
    said: Rc<RefCell<Vec<u8>>>,
}

thread_local! {
    static STAGE: Stage = Stage::set();
}

impl Stage {
    fn set() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let tasks = LocalSet::new();
        let said = Rc::new(RefCell::new(Vec::new()));
        let saying = Rc::clone(&said);
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tasks.spawn_local(async move {
            while let Ok((mut line, _)) = listener.accept().await {
                let mut asked = [0; 65_536];
                // One read: a question is short, and its length does not matter to what is said.
                let Ok(1..) = line.read(&mut asked).await else {
                    continue;
                };
                let body = saying.borrow().clone();
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                drop(line.write_all(head.as_bytes()).await);
                drop(line.write_all(&body).await);
            }
        });
        // Longer than any wait between two questions: the paused clock may jump while an answer is on its way.
        let provider = Provider::with_timeout(&url, Duration::from_secs(1_000_000)).unwrap();
        Self {
            runtime,
            tasks,
            provider,
            said,
        }
    }

    /// Asks, after whatever wait a refusal before has earned the node.
    async fn ask(&self, question: u8) {
        const HOURS: Duration = Duration::from_secs(10_000);
        tokio::time::advance(HOURS).await;
        let (provider, addresses) = (&self.provider, [Address::repeat_byte(1)]);
        match question % 7 {
            0 => drop(provider.chain_id().await),
            1 => self.look().await,
            2 => drop(provider.header_at(16).await),
            3 => drop(provider.finalized().await),
            4 => drop(provider.logs_in_range(&addresses, 1, 16).await),
            5 => drop(provider.code_at(addresses[0]).await),
            _ => {
                let call = provider.call(addresses[0], Bytes::new(), BlockId::latest());
                drop(call.await);
            }
        }
    }

    /// Everything that is asked at the head, receipts included.
    async fn look(&self) {
        let wanted = LookAt {
            recorded: 15,
            finalized: true,
            safe: true,
            ahead: 2,
            receipts: true,
        };
        let Ok(look) = self.provider.look(&wanted).await else {
            return;
        };
        if let Some(at) = look.at {
            let addresses = [Address::repeat_byte(1)];
            let window = self.provider.window(&addresses, at.at, 2, look.ahead, None);
            drop(window.await);
        }
    }
}

// The first byte chooses the question.
fuzz_target!(|bytes: &[u8]| {
    let [question, answer @ ..] = bytes else {
        return;
    };
    STAGE.with(|stage| {
        *stage.said.borrow_mut() = answer.to_vec();
        let asking = stage.tasks.run_until(stage.ask(*question));
        stage.runtime.block_on(asking);
    });
});
