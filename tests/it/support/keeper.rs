//! A chain with the real keeper contracts and people on it.

use alloy::primitives::{Address, B256, U256};
use tidewatch::app::anvil::{Anvil, Options};
use tidewatch::app::packages;
use tidewatch::keeper::{self, Account, Deployment};

use super::anvil::Node;

/// anvil, the contracts, and four funded accounts.
pub(crate) struct Chain {
    /// The node.
    pub(crate) node: Node,
    /// The contract set.
    pub(crate) deployment: Deployment,
    /// Owns the contracts and mints tokens.
    pub(crate) owner: Account,
    /// Publishes assets.
    pub(crate) provider: Account,
    /// Buys.
    pub(crate) consumer: Account,
    /// Has no part in any agreement.
    pub(crate) stranger: Account,
}

impl Chain {
    /// A chain that makes a block per transaction.
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// A chain of a certain kind.
    pub(crate) async fn with(options: Options) -> Self {
        let node = Node::with(options).await;
        let artifacts = tokio::task::spawn_blocking(|| packages::keeper_artifacts(&super::cache()))
            .await
            .unwrap()
            .unwrap();
        let account = async |number| {
            Account::connect(node.url(), &Anvil::key(number).unwrap())
                .await
                .unwrap()
        };
        let owner = account(0).await;
        let deployed = keeper::deploy(&owner, &artifacts).await.unwrap();
        Self {
            deployment: deployed.deployment,
            provider: account(1).await,
            consumer: account(2).await,
            stranger: account(3).await,
            owner,
            node,
        }
    }
}
