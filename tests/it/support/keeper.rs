//! A chain with the real keeper contracts and people on it.
//!
//! ```ignore
//! let chain = Chain::start().await;
//! let did = chain.asset().await;
//! let purchase = chain.order(did);          // honest; change any field to make it hostile
//! chain.pay(&purchase).await;               // agreement created, tokens minted, approved and locked by the consumer
//! let fulfilled = chain.provider.send(purchase.fulfil()).await.unwrap();
//! ```

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use alloy::primitives::{Address, B256, U256, keccak256};
use serde_json::{Value, json};
use tidewatch::app::anvil::{Anvil, Options};
use tidewatch::app::packages;
use tidewatch::ids::{AgreementId, Did};
use tidewatch::keeper::{
    self, Account, Blueprint, Call, Deployed, Deployment, KeeperVersion, Mined, Order, Proxies,
    Purchase, purchase,
};

use tokio::sync::OnceCell;

use super::anvil::Node;

/// anvil, the contracts, and four funded accounts.
pub(crate) struct Chain {
    /// The node.
    pub(crate) node: Node,
    /// The contract set.
    pub(crate) deployment: Deployment,
    /// The token's faucet.
    pub(crate) dispenser: Address,
    /// Owns the contracts and mints tokens.
    pub(crate) owner: Account,
    /// Publishes assets.
    pub(crate) provider: Account,
    /// Buys.
    pub(crate) consumer: Account,
    /// Has no part in any agreement.
    pub(crate) stranger: Account,
    /// May replace the code behind the proxies, if there are any.
    pub(crate) admin: Account,
    numbers: AtomicU64,
}

/// The unpacked `artifacts` directory of the contracts' package.
pub(crate) async fn artifacts() -> PathBuf {
    artifacts_of(KeeperVersion::V0_13_2).await
}

/// The same of a version.
pub(crate) async fn artifacts_of(version: KeeperVersion) -> PathBuf {
    tokio::task::spawn_blocking(move || packages::keeper_artifacts(version, &super::cache()))
        .await
        .unwrap()
        .unwrap()
}

/// More blocks than any test's depth of what is irreversible looks back from its first block.
const WITHOUT_STATES: u64 = 8;

/// A chain as it was when its contracts had been deployed.
struct Settled {
    /// The node's state, as `anvil_dumpState` gives it: accounts, blocks and transactions.
    state: Value,
    deployed: Deployed,
}

/// Really deploys the contracts of the newer version, by the account that all tests deploy them by.
pub(crate) async fn deployed_anew(node: &Node) -> Deployment {
    let owner = Account::connect(node.url(), &Anvil::key(0).unwrap()).await;
    let version = KeeperVersion::V0_13_2;
    let blueprint = Blueprint::bare(version, artifacts_of(version).await);
    let deployed = keeper::deploy(&owner.unwrap(), &blueprint).await;
    deployed.unwrap().deployment
}

/// Brings the contracts onto a fresh node. The first chain of its kind in this process really deploys them; the others begin where
/// that one stood then, which takes a twentieth of the time.
async fn settled(
    node: &Node,
    (owner, admin): (&Account, &Account),
    version: KeeperVersion,
    proxied: bool,
) -> Deployed {
    static OLD: OnceCell<Settled> = OnceCell::const_new();
    static OLD_PROXIED: OnceCell<Settled> = OnceCell::const_new();
    static NEW: OnceCell<Settled> = OnceCell::const_new();
    let is_first = AtomicBool::new(false);
    let first = async || {
        let mut blueprint = Blueprint::bare(version, artifacts_of(version).await);
        if proxied {
            let fetched =
                tokio::task::spawn_blocking(|| packages::proxy_artifacts(&super::cache()));
            blueprint.proxies = Some(Proxies {
                admin: admin.address(),
                artifacts: fetched.await.unwrap().unwrap(),
            });
        }
        let deployed = keeper::deploy(owner, &blueprint).await.unwrap();
        is_first.store(true, Ordering::Relaxed);
        let state = node.request("anvil_dumpState", json!([])).await;
        Settled { state, deployed }
    };
    let kept = match (version, proxied) {
        (KeeperVersion::V0_12_7, false) => &OLD,
        (KeeperVersion::V0_12_7, true) => &OLD_PROXIED,
        (KeeperVersion::V0_13_2, _) => &NEW,
    };
    let settled = kept.get_or_init(first).await;
    if !is_first.into_inner() {
        let loaded = node
            .request("anvil_loadState", json!([settled.state]))
            .await;
        assert_eq!(loaded, Value::Bool(true));
    }
    // A node that begins there has no states of the blocks before, so nobody may have to ask for one.
    node.mine(WITHOUT_STATES).await;
    Deployed {
        deployment: settled.deployed.deployment.clone(),
        dispenser: settled.deployed.dispenser,
    }
}

impl Chain {
    /// A chain that makes a block per transaction.
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// A chain of a certain kind. One that mines on demand only does not get past the deployment: switch it with
    /// [`Node::automine`] afterwards instead.
    pub(crate) async fn with(options: Options) -> Self {
        Self::deployed(options, KeeperVersion::V0_13_2, false).await
    }

    /// A chain with the contracts of a version, at their own addresses or behind proxies.
    pub(crate) async fn deployed(options: Options, version: KeeperVersion, proxied: bool) -> Self {
        let node = Node::with(options).await;
        let account = async |number| {
            let key = Anvil::key(number).unwrap();
            Account::connect(node.url(), &key).await.unwrap()
        };
        let (owner, admin) = (account(0).await, account(4).await);
        let deployed = settled(&node, (&owner, &admin), version, proxied).await;
        Self {
            deployment: deployed.deployment,
            dispenser: deployed.dispenser,
            provider: account(1).await,
            consumer: account(2).await,
            stranger: account(3).await,
            owner,
            admin,
            node,
            numbers: AtomicU64::new(1),
        }
    }

    /// Upgrades proxied contracts of 0.12.7 to 0.13.2; whatever runs goes on.
    pub(crate) async fn upgrade(&mut self) {
        let artifacts = artifacts().await;
        let upgraded = keeper::upgrade(&self.owner, &self.admin, &self.deployment, &artifacts);
        self.deployment = upgraded.await.unwrap();
    }

    /// A hash that this chain has not given before.
    pub(crate) fn fresh(&self) -> B256 {
        keccak256(self.numbers.fetch_add(1, Ordering::Relaxed).to_be_bytes())
    }

    /// A fresh asset that the provider has registered, with a URL that answers nothing as its value. It has no checksum, so nobody
    /// looks there.
    pub(crate) async fn asset(&self) -> Did {
        let did = Did(self.fresh());
        let url = b"https://aquarius.example/ddo";
        let contracts = &self.deployment.contracts;
        let call = purchase::register_did(contracts, did, B256::ZERO, &[], url);
        self.provider.send(call).await.unwrap();
        did
    }

    /// Registers a value under a DID; its checksum is the value's keccak256.
    pub(crate) async fn register(&self, by: &Account, did: Did, value: &[u8]) -> Mined {
        let contracts = &self.deployment.contracts;
        by.send(purchase::register_did(
            contracts,
            did,
            keccak256(value),
            &[],
            value,
        ))
        .await
        .unwrap()
    }

    /// Registers a workflow document under the agreement's id, as the consumer; do it before the agreement is created.
    pub(crate) async fn document(&self, purchase: &Purchase, document: &[u8]) -> Mined {
        self.register(&self.consumer, Did(purchase.agreement.0), document)
            .await
    }

    /// An honest purchase of an asset by the consumer from the provider for 10 of the token's smallest units, under a fresh
    /// agreement id. Nothing is sent.
    pub(crate) fn order(&self, did: Did) -> Purchase {
        let order = Order {
            agreement: AgreementId(self.fresh()),
            did,
            consumer: self.consumer.address(),
            provider: self.provider.address(),
            amount: U256::from(10),
        };
        Purchase::new(&self.deployment, order)
    }

    /// Mints the amount for the consumer and approves it for the lock: what must come before [`Purchase::lock`].
    pub(crate) async fn fund(&self, purchase: &Purchase) {
        let contracts = &self.deployment.contracts;
        let minted = purchase::mint(contracts, self.consumer.address(), purchase.amount);
        self.owner.send(minted).await.unwrap();
        self.consumer.send(purchase.approve()).await.unwrap();
    }

    /// Creates the agreement and pays, as the consumer; answers the transaction of each.
    pub(crate) async fn pay(&self, purchase: &Purchase) -> (Mined, Mined) {
        let created = self.consumer.send(purchase.create()).await.unwrap();
        self.fund(purchase).await;
        let locked = self.consumer.send(purchase.lock()).await.unwrap();
        (created, locked)
    }

    /// The whole purchase up to the provider's answer, whose transaction is answered.
    pub(crate) async fn buy(&self, purchase: &Purchase) -> Mined {
        self.pay(purchase).await;
        self.provider.send(purchase.fulfil()).await.unwrap()
    }

    /// Puts calls of several accounts into one block, in that order.
    pub(crate) async fn in_one_block(&self, calls: Vec<(&Account, Call)>) -> Vec<Mined> {
        self.node.automine(false).await;
        let mut submitted = Vec::new();
        for (account, call) in calls {
            submitted.push((account, account.submit(vec![call]).await.unwrap()));
        }
        self.node.mine(1).await;
        self.node.automine(true).await;
        let mut mined = Vec::new();
        for (account, one) in submitted {
            mined.extend(account.mined(one).await.unwrap());
        }
        mined
    }
}
