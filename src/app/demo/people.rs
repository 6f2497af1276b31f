//! The chain of the demo and the people on it. They only send transactions; each is told with its hash.

use std::path::Path;

use alloy::primitives::{B256, U256, keccak256};
use serde_json::Value;

use super::telling::Telling;
use crate::app::anvil::{Anvil, Mining, Options};
use crate::app::packages;
use crate::ids::{AgreementId, Did};
use crate::keeper::purchase::{self, Order, Purchase};
use crate::keeper::{self, Account, Blueprint, Call, Deployment, KeeperVersion};

/// What the publisher asks for a job, in the token's smallest unit.
pub(super) const PRICE: u64 = 10;

/// A development chain with the real contracts and two people.
#[derive(Debug)]
pub(super) struct People {
    /// The chain; it ends with this value.
    pub(super) chain: Anvil,
    /// The contracts.
    pub(super) deployment: Deployment,
    /// The publisher.
    pub(super) provider: Account,
    /// Who buys.
    pub(super) consumer: Account,
    /// The publisher's agent: an account of its own.
    pub(super) agent: Account,
}

impl People {
    /// Starts the chain, with a block a second, deploys the contracts and gives the consumer tokens.
    pub(super) async fn gather(cache: &Path, telling: &mut Telling) -> anyhow::Result<Self> {
        let cache = cache.to_owned();
        let fetched = tokio::task::spawn_blocking(move || {
            Ok::<_, anyhow::Error>((
                packages::anvil(&cache)?,
                packages::keeper_artifacts(KeeperVersion::V0_13_2, &cache)?,
            ))
        });
        let (program, artifacts) = fetched.await??;
        let options = Options {
            mining: Mining::Every(1),
            ..Options::default()
        };
        let chain = Anvil::start(&program, options).await?;
        telling.done(format_args!(
            "chain {} at {}, a block a second",
            options.chain_id,
            chain.url()
        ));
        let owner = Account::connect(chain.url(), &Anvil::key(0)?).await?;
        let blueprint = Blueprint::bare(KeeperVersion::V0_13_2, artifacts);
        let deployment = keeper::deploy(&owner, &blueprint).await?.deployment;
        let contracts = deployment.contracts.iter().count();
        telling.done(format_args!(
            "{contracts} contracts of keeper 0.13.2 deployed, from block {}",
            deployment.start_block
        ));
        let provider = Account::connect(chain.url(), &Anvil::key(1)?).await?;
        let consumer = Account::connect(chain.url(), &Anvil::key(2)?).await?;
        let agent = Account::connect(chain.url(), &Self::agent_key()?).await?;
        let tokens = U256::from(10 * PRICE);
        owner
            .send(purchase::mint(
                &deployment.contracts,
                consumer.address(),
                tokens,
            ))
            .await?;
        telling.done(format_args!(
            "the consumer {} has {tokens} tokens",
            consumer.address()
        ));
        Ok(Self {
            chain,
            deployment,
            provider,
            consumer,
            agent,
        })
    }

    /// The agent's key.
    pub(super) fn agent_key() -> anyhow::Result<B256> {
        Anvil::key(5)
    }

    /// The publisher registers an asset, and lets the agent answer for it.
    pub(super) async fn register_asset(&self, name: &str) -> anyhow::Result<Did> {
        let did = Did(keccak256(name));
        let url = b"https://publisher.example/ddo";
        let providers = [self.agent.address()];
        let call =
            purchase::register_did(&self.deployment.contracts, did, B256::ZERO, &providers, url);
        self.provider.send(call).await?;
        Ok(did)
    }

    /// An honest purchase under an agreement id that follows from its name.
    pub(super) fn purchase(&self, name: &str, did: Did) -> Purchase {
        let order = Order {
            agreement: AgreementId(keccak256(name)),
            did,
            consumer: self.consumer.address(),
            provider: self.provider.address(),
            amount: U256::from(PRICE),
        };
        Purchase::new(&self.deployment, order)
    }

    /// The consumer chooses the algorithm: the document becomes the value of the DID that is the agreement's id.
    pub(super) fn choice(&self, purchase: &Purchase, document: &Value) -> Call {
        let value = format!(
            "data:application/json;base64,{}",
            base64(document.to_string().as_bytes())
        );
        let did = Did(purchase.agreement.0);
        let checksum = keccak256(document.to_string());
        purchase::register_did(
            &self.deployment.contracts,
            did,
            checksum,
            &[],
            value.as_bytes(),
        )
    }

    /// Sends transactions one after another and tells each.
    pub(super) async fn send(
        &self,
        account: &Account,
        calls: Vec<Call>,
        telling: &mut Telling,
    ) -> anyhow::Result<()> {
        for call in calls {
            let what = call.what.clone();
            let mined = account.send(call).await?;
            let (hash, number) = (mined.transaction_hash, mined.block.number);
            telling.done(format_args!("{hash}  block {number}  {}", shortened(&what)));
        }
        Ok(())
    }
}

/// The sentence without the digits in the middle of its hashes.
fn shortened(what: &str) -> String {
    what.split(' ')
        .map(|word| {
            if word.len() > 60 {
                format!("{}…", &word[..word.len() - 54])
            } else {
                word.to_owned()
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
