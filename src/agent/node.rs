use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U64, U256};
use alloy::rpc::client::RpcClient;
use alloy::transports::{RpcError, TransportError, TransportErrorKind};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use super::Error;
use super::fees::{Market, USUAL_TIP};
use crate::chain::RawLog;
use crate::ids::BlockRef;
use crate::keeper::Call;
use crate::ledger::agent::accounts::Reading;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait for an answer: every question here is a small one.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);
/// JSON-RPC's codes of an unknown method or unknown parameters (section 5.1 of its specification).
const UNKNOWN_METHOD: [i64; 2] = [-32601, -32602];

/// The nodes that the agent's transactions go through, in the order in which they are asked.
///
/// Sending is to all of them, since a node that takes a transaction and dies tells nobody of it; everything else is asked of the
/// first that answers. Apart from the follower's providers: what is asked here concerns the account, and answers differ between
/// nodes only in how far they are.
#[derive(Clone, Debug)]
pub struct Node {
    nodes: Vec<(String, RpcClient)>,
}

/// What a node said of a call that was tried without being sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trial {
    /// Gas that it takes.
    Gas(u64),
    /// It would have no effect; the contract's reason.
    Reverts(String),
}

/// A transaction that is in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Receipt {
    pub(super) block: BlockRef,
    pub(super) succeeded: bool,
    pub(super) gas_used: u64,
    pub(super) logs: Vec<RawLog>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireReceipt {
    block_number: U64,
    block_hash: B256,
    transaction_index: U64,
    status: U64,
    gas_used: U64,
    logs: Vec<WireLog>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireLog {
    transaction_hash: B256,
    log_index: U64,
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireHead {
    number: U64,
    base_fee_per_gas: Option<U256>,
}

impl Node {
    /// Nodes at these URLs, those of WebSockets taken for their twins over HTTP. Asks nothing yet.
    ///
    /// # Errors
    /// [`Error::Url`], fatal, which does not repeat the URL.
    pub fn new<'a>(urls: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let nodes = urls.into_iter().map(|url| {
            let problem = |problem| Error::Url { problem };
            // nodes answer at the same address over HTTP as over WebSocket, and nothing here is subscribed to
            let url = match url.split_once("://") {
                Some(("ws", rest)) => format!("http://{rest}"),
                Some(("wss", rest)) => format!("https://{rest}"),
                _ => url.to_owned(),
            };
            let url = Url::parse(&url).map_err(|_| problem("it cannot be parsed"))?;
            if !matches!(url.scheme(), "http" | "https") {
                return Err(problem("its scheme is none of http, https, ws, wss"));
            }
            let host = url.host_str().ok_or_else(|| problem("it names no host"))?;
            let name = url
                .port()
                .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
            let http = reqwest::Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(ANSWER_TIMEOUT)
                .build()
                .map_err(|_| problem("no HTTP client can be made for it"))?;
            Ok((name, RpcClient::new_http_with_client(http, url)))
        });
        let nodes: Vec<_> = nodes.collect::<Result<_, Error>>()?;
        if nodes.is_empty() {
            return Err(Error::Url {
                problem: "there is none",
            });
        }
        Ok(Self { nodes })
    }

    /// Number of the newest block, and what it costs to get into the next one.
    pub(super) async fn market(&self) -> Result<(u64, Market), Error> {
        let head: WireHead = self
            .ask("eth_getBlockByNumber", json!(["latest", false]))
            .await?;
        let number = head.number.to();
        let Some(base) = head.base_fee_per_gas else {
            let price: U256 = self.ask("eth_gasPrice", json!([])).await?;
            let tip = price.saturating_to();
            return Ok((number, Market { base: None, tip }));
        };
        let tip = match self
            .first::<U256>("eth_maxPriorityFeePerGas", json!([]))
            .await
        {
            Ok(tip) => tip.saturating_to(),
            Err((_, RpcError::ErrorResp(refusal))) if UNKNOWN_METHOD.contains(&refusal.code) => {
                USUAL_TIP
            }
            Err((node, error)) => return Err(told(&node, "eth_maxPriorityFeePerGas", &error)),
        };
        let base = Some(base.saturating_to());
        Ok((number, Market { base, tip }))
    }

    /// Balance and transaction counts of an account.
    pub(super) async fn reading(&self, account: Address) -> Result<Reading, Error> {
        let count = async |tag| -> Result<u64, Error> {
            let count: U64 = self
                .ask("eth_getTransactionCount", json!([account, tag]))
                .await?;
            Ok(count.to())
        };
        Ok(Reading {
            balance: self
                .ask("eth_getBalance", json!([account, "latest"]))
                .await?,
            latest_count: count("latest").await?,
            pending_count: count("pending").await?,
        })
    }

    /// Transactions of an account that are mined as of a block.
    pub(super) async fn count_at(&self, account: Address, number: u64) -> Result<u64, Error> {
        let at = json!([account, format!("{number:#x}")]);
        let count: U64 = self.ask("eth_getTransactionCount", at).await?;
        Ok(count.to())
    }

    /// Tries a call on the newest state.
    pub(super) async fn try_call(&self, from: Address, call: &Call) -> Result<Trial, Error> {
        const METHOD: &str = "eth_estimateGas";
        let asked = json!([{"from": from, "to": call.to, "data": call.data}]);
        match self.first::<U64>(METHOD, asked).await {
            Ok(gas) => Ok(Trial::Gas(gas.to())),
            // geth and its kin say 3; others say -32000 or their own, always with these words
            Err((_, RpcError::ErrorResp(refusal)))
                if refusal.code == 3 || refusal.message.contains("revert") =>
            {
                Ok(Trial::Reverts(refusal.message.into_owned()))
            }
            Err((node, error)) => Err(told(&node, METHOD, &error)),
        }
    }

    /// Where a transaction was mined; `None` when it is in no block of the node's chain.
    pub(super) async fn receipt(&self, hash: B256) -> Result<Option<Receipt>, Error> {
        let found: Option<WireReceipt> =
            self.ask("eth_getTransactionReceipt", json!([hash])).await?;
        Ok(found.map(|wire| {
            let block = BlockRef {
                number: wire.block_number.to(),
                hash: wire.block_hash,
            };
            let transaction_index = wire.transaction_index.to();
            let logs = wire.logs.into_iter().map(|log| RawLog {
                block,
                transaction_hash: log.transaction_hash,
                transaction_index,
                log_index: log.log_index.to(),
                address: log.address,
                topics: log.topics,
                data: log.data,
            });
            Receipt {
                block,
                succeeded: wire.status.to::<u64>() == 1,
                gas_used: wire.gas_used.to(),
                logs: logs.collect(),
            }
        }))
    }

    /// Sends signed bytes to every node. The node's words when none took them; that a node has them already is as good.
    pub(super) async fn send(&self, raw: &Bytes) -> Result<Result<(), String>, Error> {
        const METHOD: &str = "eth_sendRawTransaction";
        let mut failed = None;
        let mut refused = None;
        let mut taken = false;
        for (name, client) in &self.nodes {
            match client.request::<_, B256>(METHOD, json!([raw])).await {
                Ok(_) => taken = true,
                Err(RpcError::ErrorResp(refusal)) if is_known(&refusal.message) => taken = true,
                Err(RpcError::ErrorResp(refusal)) => refused = Some(refusal.message.into_owned()),
                Err(error) => failed = Some(told(name, METHOD, &error)),
            }
        }
        match (taken, refused, failed) {
            (true, ..) => Ok(Ok(())),
            (false, Some(refusal), _) => Ok(Err(refusal)),
            (false, None, Some(error)) => Err(error),
            (false, None, None) => Ok(Ok(())),
        }
    }

    pub(super) async fn ask<T: Answer>(
        &self,
        method: &'static str,
        parameters: Value,
    ) -> Result<T, Error> {
        self.first(method, parameters)
            .await
            .map_err(|(node, error)| told(&node, method, &error))
    }

    /// The answer of the first node that gives one; the last node's error otherwise.
    async fn first<T: Answer>(
        &self,
        method: &'static str,
        parameters: Value,
    ) -> Result<T, (String, TransportError)> {
        let mut failed = None;
        for (name, client) in &self.nodes {
            match client.request(method, parameters.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => failed = Some((name.clone(), error)),
            }
        }
        Err(failed.unwrap_or_else(|| (String::new(), RpcError::NullResp)))
    }
}

/// What a node's answer can be read as.
pub(super) trait Answer:
    DeserializeOwned + std::fmt::Debug + Send + Sync + Unpin + 'static
{
}

impl<T: DeserializeOwned + std::fmt::Debug + Send + Sync + Unpin + 'static> Answer for T {}

/// Words of nodes that have a transaction in their pool or on their chain: geth and anvil "already known" or "already imported",
/// Nethermind "AlreadyKnown", Erigon "already known", Besu "Known transaction".
fn is_known(message: &str) -> bool {
    let message = message.to_lowercase().replace(' ', "");
    ["alreadyknown", "alreadyimported", "knowntransaction"]
        .iter()
        .any(|words| message.contains(words))
}

fn told(node: &str, method: &'static str, error: &TransportError) -> Error {
    let detail = match error {
        RpcError::ErrorResp(refusal) => {
            let words: String = refusal.message.chars().take(300).collect();
            format!("it refused with code {}: {words}", refusal.code)
        }
        RpcError::Transport(TransportErrorKind::HttpError(status)) => {
            format!("HTTP status {}", status.status)
        }
        // the transport's own words repeat the URL
        RpcError::Transport(_) => "it could not be reached in time".to_owned(),
        _ => "its answer is not of the expected form".to_owned(),
    };
    Error::Node {
        node: node.to_owned(),
        method,
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_that_a_node_has_is_as_good_as_taken() {
        for words in [
            "already known",
            "AlreadyKnown",
            "transaction already imported",
            "Known transaction",
        ] {
            assert!(is_known(words), "{words}");
        }
        for words in [
            "nonce too low",
            "replacement transaction underpriced",
            "insufficient funds",
        ] {
            assert!(!is_known(words), "{words}");
        }
    }

    #[test]
    fn a_url_is_never_repeated() {
        let error = Node::new(["ftp://user:secret@node.example"]).unwrap_err();
        assert!(!error.to_string().contains("secret"));
        assert!(Node::new([]).is_err());
    }
}
