//! A key that sends transactions over one node. `call.rs`: what is sent; `mined.rs`: what came of it; `error.rs`: why not.

mod call;
mod error;
mod mined;

pub use call::Call;
pub use error::Error;
pub use mined::{Mined, Submitted};

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alloy::eips::BlockId;
use alloy::eips::eip2718::Encodable2718;
use alloy::network::{Ethereum, EthereumWallet, NetworkTransactionBuilder, TransactionBuilder};
use alloy::primitives::{Address, B256, TxKind};
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::{TransactionReceipt, TransactionRequest};
use alloy::signers::local::PrivateKeySigner;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use url::Url;

use self::error::node;

/// How long a transaction may take to be mined: ten blocks of a slow public chain.
const PATIENCE: Duration = Duration::from_mins(2);
/// A key that sends transactions over one node: for deploying the contracts, for the demo and for tests.
///
/// Clones share a turn, so their transactions get consecutive nonces; two processes must not use one key at a time.
/// Transactions are of the oldest type with a price of twice what the node asks, and with fixed gas limits: they work on every
/// chain, and several can be sent ahead of their predecessors' effects.
#[derive(Clone)]
pub struct Account {
    provider: RootProvider,
    wallet: EthereumWallet,
    address: Address,
    chain_id: u64,
    turn: Arc<Mutex<()>>,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("address", &self.address)
            .field("chain_id", &self.chain_id)
            .finish_non_exhaustive()
    }
}

impl Account {
    /// Asks the node at `rpc` for its chain and binds the private key to it.
    ///
    /// # Errors
    /// [`Error::Key`] if it is none, [`Error::Node`] if the node does not answer.
    pub async fn connect(rpc: &Url, key: &B256) -> Result<Self, Error> {
        let key = PrivateKeySigner::from_bytes(key).map_err(|_| Error::Key)?;
        let provider = RootProvider::<Ethereum>::new_http(rpc.clone());
        let chain_id = provider
            .get_chain_id()
            .await
            .map_err(node("ask for the chain id"))?;
        Ok(Self {
            provider,
            address: key.address(),
            wallet: EthereumWallet::from(key),
            chain_id,
            turn: Arc::new(Mutex::new(())),
        })
    }

    /// The key's address.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// EIP-155 id of the node's chain.
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The nonce of the next transaction, those still waiting counted.
    ///
    /// # Errors
    /// [`Error::Node`].
    pub async fn next_nonce(&self) -> Result<u64, Error> {
        self.provider
            .get_transaction_count(self.address)
            .pending()
            .await
            .map_err(node("ask for the next nonce"))
    }

    /// Sends a call and waits until it is mined.
    ///
    /// # Errors
    /// [`Error::Reverted`] with the contract's reason if it was mined without effect, and what [`Account::submit`] answers.
    pub async fn send(&self, call: Call) -> Result<Mined, Error> {
        let submitted = {
            let _turn = self.turn.lock().await;
            let nonce = self.next_nonce().await?;
            let price = self.price().await?;
            self.submit_one(call, nonce, price).await?
        };
        self.mined_one(submitted).await
    }

    /// Sends calls ahead with consecutive nonces and waits until all are mined.
    ///
    /// # Errors
    /// As [`Account::send`], for the first call that failed; later ones may have been mined all the same.
    pub async fn send_all(&self, calls: Vec<Call>) -> Result<Vec<Mined>, Error> {
        let submitted = self.submit(calls).await?;
        self.mined(submitted).await
    }

    /// Sends calls with consecutive nonces and does not wait: on a node that mines on demand they share a block.
    ///
    /// # Errors
    /// [`Error::Node`] if the node refuses one; those before it stay sent.
    pub async fn submit(&self, calls: Vec<Call>) -> Result<Vec<Submitted>, Error> {
        let _turn = self.turn.lock().await;
        let first = self.next_nonce().await?;
        let price = self.price().await?;
        let mut submitted = Vec::with_capacity(calls.len());
        for (nonce, call) in (first..).zip(calls) {
            submitted.push(
                self.submit_one(call, nonce, price.saturating_mul(2))
                    .await?,
            );
        }
        Ok(submitted)
    }

    /// Twice the base fee and a tip of a gigawei where the chain has a base fee (EIP-1559), else twice what the node asks. What a
    /// node asks follows from what was paid lately, so that paying twice that again and again would double it without end.
    async fn price(&self) -> Result<u128, Error> {
        const TIP: u128 = 1_000_000_000;
        let head = self
            .provider
            .get_block(BlockId::latest())
            .await
            .map_err(node("ask for the base fee"))?;
        if let Some(base) = head.and_then(|block| block.header.base_fee_per_gas) {
            return Ok(u128::from(base).saturating_mul(2).saturating_add(TIP));
        }
        let asked = self
            .provider
            .get_gas_price()
            .await
            .map_err(node("ask for the gas price"))?;
        Ok(asked.saturating_mul(2))
    }

    async fn submit_one(&self, call: Call, nonce: u64, price: u128) -> Result<Submitted, Error> {
        let mut request = TransactionRequest::default()
            .with_from(self.address)
            .with_chain_id(self.chain_id)
            .with_nonce(nonce)
            .with_gas_price(price)
            .with_gas_limit(call.gas())
            .with_input(call.data.clone());
        request.set_kind(call.to.map_or(TxKind::Create, TxKind::Call));
        let envelope = request
            .build(&self.wallet)
            .await
            .map_err(|error| Error::Unsigned {
                what: call.what.clone(),
                detail: error.to_string(),
            })?;
        let pending = self
            .provider
            .send_raw_transaction(&envelope.encoded_2718())
            .await
            .map_err(node(&call.what))?;
        Ok(Submitted {
            transaction_hash: *pending.tx_hash(),
            call,
        })
    }

    /// Waits until every one of these is mined, and answers them in the same order.
    ///
    /// # Errors
    /// [`Error::Reverted`] for the first that had no effect, [`Error::NotMined`] after two minutes, [`Error::Node`].
    pub async fn mined(&self, submitted: Vec<Submitted>) -> Result<Vec<Mined>, Error> {
        let mut all = Vec::with_capacity(submitted.len());
        for one in submitted {
            all.push(self.mined_one(one).await?);
        }
        Ok(all)
    }

    async fn mined_one(&self, submitted: Submitted) -> Result<Mined, Error> {
        let receipt = self.receipt(&submitted).await?;
        if receipt.status() {
            Mined::read(&receipt)
        } else {
            Err(self.reverted(submitted, &receipt).await)
        }
    }

    async fn receipt(&self, submitted: &Submitted) -> Result<TransactionReceipt, Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(5);
        loop {
            let receipt = self
                .provider
                .get_transaction_receipt(submitted.transaction_hash)
                .await
                .map_err(node(&submitted.call.what))?;
            if let Some(receipt) = receipt {
                return Ok(receipt);
            }
            if Instant::now() > deadline {
                return Err(Error::NotMined {
                    what: submitted.call.what.clone(),
                    transaction: submitted.transaction_hash,
                });
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// Asks for the reason by calling again on the state after the block: best effort, the state may have changed in between.
    async fn reverted(&self, submitted: Submitted, receipt: &TransactionReceipt) -> Error {
        let mut again = TransactionRequest::default()
            .with_from(self.address)
            .with_input(submitted.call.data.clone());
        again.set_kind(submitted.call.to.map_or(TxKind::Create, TxKind::Call));
        let at = receipt.block_number.unwrap_or_default();
        let reason = match self.provider.call(again).block(at.into()).await {
            Ok(_) => "the node gives no reason".to_owned(),
            Err(error) => error.to_string(),
        };
        Error::Reverted {
            what: submitted.call.what,
            transaction: submitted.transaction_hash,
            reason,
        }
    }
}
