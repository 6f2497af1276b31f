//! A development chain of one's own, and what only a development node can be asked to do.

use alloy::primitives::B256;
use alloy::providers::{Provider, RootProvider};
use serde_json::{Value, json};
use tidewatch::app::anvil::{Anvil, Options};
use tidewatch::app::packages;
use url::Url;

/// A running anvil with a provider on it.
pub(crate) struct Node {
    anvil: Anvil,
    provider: RootProvider,
}

impl Node {
    /// A chain that makes a block per transaction.
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// A chain of a certain kind.
    pub(crate) async fn with(options: Options) -> Self {
        let program = tokio::task::spawn_blocking(|| packages::anvil(&super::cache()))
            .await
            .unwrap()
            .unwrap();
        let anvil = Anvil::start(&program, options).await.unwrap();
        let provider = RootProvider::new_http(anvil.url().clone());
        Self { anvil, provider }
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> &Url {
        self.anvil.url()
    }

    /// For asking the chain what it really says.
    pub(crate) fn provider(&self) -> &RootProvider {
        &self.provider
    }

    /// Asks for anything that has no typed call.
    pub(crate) async fn request(&self, method: &'static str, parameters: Value) -> Value {
        self.provider
            .raw_request(method.into(), parameters)
            .await
            .unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Makes that many blocks.
    pub(crate) async fn mine(&self, blocks: u64) {
        self.request("anvil_mine", json!([format!("{blocks:#x}")]))
            .await;
    }

    /// Whether each transaction gets a block at once (the default), or waits for [`Node::mine`].
    pub(crate) async fn automine(&self, on: bool) {
        self.request("evm_setAutomine", json!([on])).await;
    }

    /// Replaces the last blocks by as many empty ones.
    pub(crate) async fn reorganise(&self, depth: u64) {
        self.request("anvil_reorg", json!([depth, []])).await;
    }

    /// Replaces the last blocks by as many, with these transactions: pairs of a signed one and the number of its block among them.
    pub(crate) async fn reorganise_with(&self, depth: u64, transactions: Value) {
        self.request("anvil_reorg", json!([depth, transactions]))
            .await;
    }

    /// A mined transaction as it was signed.
    pub(crate) async fn raw(&self, transaction: B256) -> Value {
        self.request("eth_getRawTransactionByHash", json!([transaction]))
            .await
    }

    /// Remembers the state; [`Node::revert`] goes back to it, blocks included.
    pub(crate) async fn snapshot(&self) -> Value {
        self.request("evm_snapshot", json!([])).await
    }

    /// Goes back to a snapshot.
    pub(crate) async fn revert(&self, snapshot: Value) {
        let done = self.request("evm_revert", json!([snapshot])).await;
        assert_eq!(done, Value::Bool(true));
    }

    /// The head's number.
    pub(crate) async fn head(&self) -> u64 {
        self.provider.get_block_number().await.unwrap()
    }
}
