//! People with accounts, and how they sign in.

use alloy::primitives::{Address, B256, Bytes, address, b256, keccak256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::SolValue;
use reqwest::Response;
use serde_json::{Value, json};
use tidewatch::app::anvil::Anvil;
use tidewatch::keeper::Call;

use super::service::Endpoint;
use crate::support::bytecode;
use crate::support::keeper::Chain;

/// The contract that anvil puts on every chain of its own: deploys what its input holds behind a salt (CREATE2).
const FACTORY: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");

/// What a signature of ERC-6492 ends with.
const SUFFIX: B256 = b256!("6492649264926492649264926492649264926492649264926492649264926492");

/// Somebody who can sign.
#[derive(Clone, Debug)]
pub(super) struct Person {
    key: PrivateKeySigner,
    hand: Hand,
}

/// By what somebody signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hand {
    Key,
    Wallet,
    /// A wallet that nobody has deployed.
    FutureWallet,
}

impl Person {
    /// Somebody with a key of their own.
    pub(super) fn new(name: &str) -> Self {
        Self {
            key: PrivateKeySigner::from_bytes(&keccak256(name)).unwrap(),
            hand: Hand::Key,
        }
    }

    /// One of the accounts that anvil funds.
    pub(super) fn of_anvil(number: usize) -> Self {
        let key = Anvil::key(number).unwrap();
        Self {
            key: PrivateKeySigner::from_bytes(&key).unwrap(),
            hand: Hand::Key,
        }
    }

    /// The owner of a wallet that is on the chain.
    pub(super) async fn with_wallet(name: &str, chain: &Chain) -> Self {
        let wallet = Self {
            hand: Hand::Wallet,
            ..Self::new(name)
        };
        let call = Call::to(FACTORY, wallet.deployment(), "deploy a wallet");
        chain.owner.send(call).await.unwrap();
        wallet
    }

    /// The owner of a wallet that is not.
    pub(super) fn with_future_wallet(name: &str) -> Self {
        Self {
            hand: Hand::FutureWallet,
            ..Self::new(name)
        }
    }

    /// The account that signs in.
    pub(super) fn address(&self) -> Address {
        match self.hand {
            Hand::Key => self.key.address(),
            Hand::Wallet | Hand::FutureWallet => {
                FACTORY.create2_from_code(B256::ZERO, bytecode::wallet(self.key.address()))
            }
        }
    }

    /// What the factory is called with to deploy the wallet: salt and code.
    fn deployment(&self) -> Bytes {
        let code = bytecode::wallet(self.key.address());
        [B256::ZERO.as_slice(), &code].concat().into()
    }

    /// This person's signature of a message, as the wallet software hands it over.
    pub(super) fn sign(&self, message: &str) -> Vec<u8> {
        let signature = self.key.sign_message_sync(message.as_bytes()).unwrap();
        let signature = Bytes::copy_from_slice(&signature.as_bytes());
        match self.hand {
            Hand::Key | Hand::Wallet => signature.to_vec(),
            Hand::FutureWallet => {
                let wrapped = (FACTORY, self.deployment(), signature).abi_encode_params();
                [&wrapped, SUFFIX.as_slice()].concat()
            }
        }
    }

    /// A challenge for this account.
    pub(super) async fn challenge(&self, api: &Endpoint) -> String {
        let mut asked = json!({"address": self.address()});
        if self.hand == Hand::FutureWallet {
            asked["contractWallet"] = json!(true);
        }
        challenge(api, &asked).await["message"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// An access token.
    pub(super) async fn sign_in(&self, api: &Endpoint) -> String {
        let message = self.challenge(api).await;
        let response = hand_in(api, &message, &self.sign(&message)).await;
        assert_eq!(response.status(), 200, "{self:?}");
        let session: Value = response.json().await.unwrap();
        assert_eq!(session["address"], self.address().to_checksum(None));
        assert_eq!(
            (&session["tokenType"], &session["expiresIn"]),
            (&json!("Bearer"), &json!(900))
        );
        session["accessToken"].as_str().unwrap().to_owned()
    }
}

/// What is answered to somebody who wants to sign in.
pub(super) async fn challenge(api: &Endpoint, asked: &Value) -> Value {
    let response = post(api, "/v1/sign-in/challenges", asked).await;
    assert_eq!(response.status(), 200, "{asked}");
    assert_eq!(response.headers()["cache-control"], "no-store");
    response.json().await.unwrap()
}

/// Hands in a message with a signature.
pub(super) async fn hand_in(api: &Endpoint, message: &str, signature: &[u8]) -> Response {
    let signed = json!({"message": message, "signature": alloy::hex::encode_prefixed(signature)});
    let response = post(api, "/v1/sessions", &signed).await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    response
}

pub(super) async fn post(api: &Endpoint, path: &str, body: &Value) -> Response {
    let request = api.client.post(format!("{}{path}", api.origin()));
    request.json(body).send().await.unwrap()
}
