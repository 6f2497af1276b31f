use std::fmt;
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U64};
use alloy::rpc::client::RpcClient;
use alloy::transports::TransportResult;
use serde_json::json;
use url::Url;

use super::block::Header;
use super::error::Error;
use super::look::Tag;
use super::wire::WireHeader;
use super::{BlockId, look};

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for an answer, its body included: hosted providers cut expensive requests off at 10 to 30 seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// An Ethereum node, or a service in front of many, reached over HTTP. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Provider {
    pub(super) client: RpcClient,
    pub(super) name: String,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Provider").field(&self.name).finish()
    }
}

impl Provider {
    /// A provider at an `http` or `https` URL. Asks nothing yet.
    ///
    /// # Errors
    /// [`Error::Url`] and [`Error::Client`], both fatal; neither repeats the URL.
    pub fn new(url: &str) -> Result<Self, Error> {
        let url = Url::parse(url).map_err(|_| Error::Url {
            problem: "it cannot be parsed",
        })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::Url {
                problem: "its scheme is neither http nor https",
            });
        }
        let name = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => {
                return Err(Error::Url {
                    problem: "it names no host",
                });
            }
        };
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .build()
            .map_err(|source| Error::Client {
                provider: name.clone(),
                source: source.without_url(),
            })?;
        Ok(Self {
            client: RpcClient::new_http_with_client(http, url),
            name,
        })
    }

    /// The provider's host and port: its name wherever people read.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// EIP-155 chain id.
    ///
    /// # Errors
    /// [`Error`], transient.
    pub async fn chain_id(&self) -> Result<u64, Error> {
        let answer: TransportResult<U64> = self.client.request("eth_chainId", json!([])).await;
        Ok(self.heard("eth_chainId", answer)?.to())
    }

    /// Hash of block 0.
    ///
    /// # Errors
    /// [`Error`], transient; [`Error::Missing`] if the provider has no block 0.
    pub async fn genesis_hash(&self) -> Result<B256, Error> {
        let genesis = self.header_at(0).await?;
        Ok(genesis.ok_or_else(|| self.missing(&0))?.at.hash)
    }

    /// The newest block.
    ///
    /// # Errors
    /// [`Error`], transient.
    pub async fn head(&self) -> Result<Header, Error> {
        let head = self.block_by("latest").await?;
        head.ok_or_else(|| self.missing(&"latest"))
    }

    /// The newest block that the chain's consensus calls final.
    ///
    /// # Errors
    /// [`Error`], transient. A provider without the tag, or without such a block yet, is no error: see [`Tag`].
    pub async fn finalized(&self) -> Result<Tag, Error> {
        look::tag(self.block_by("finalized").await)
    }

    /// The newest block that the chain's consensus calls safe.
    ///
    /// # Errors
    /// As [`Self::finalized`].
    pub async fn safe(&self) -> Result<Tag, Error> {
        look::tag(self.block_by("safe").await)
    }

    /// The block at a height of the provider's chain; `None` if it has none there.
    ///
    /// # Errors
    /// [`Error`], transient; an answer about another height is malformed.
    pub async fn header_at(&self, number: u64) -> Result<Option<Header>, Error> {
        let header = self.block_by(&quantity(number)).await?;
        self.at_height(number, header)
    }

    /// The block of a hash; `None` if the provider does not know it, as for orphaned blocks.
    ///
    /// # Errors
    /// [`Error`], transient; an answer about another block is malformed.
    pub async fn header_of(&self, hash: B256) -> Result<Option<Header>, Error> {
        let answer: TransportResult<Option<WireHeader>> = self
            .client
            .request("eth_getBlockByHash", json!([hash, false]))
            .await;
        let header = self.header("eth_getBlockByHash", answer)?;
        match &header {
            Some(header) if header.at.hash != hash => {
                Err(self.malformed("eth_getBlockByHash", format!("block {}", header.at)))
            }
            _ => Ok(header),
        }
    }

    /// The blocks at many heights, in one batch and in the order of `numbers`.
    ///
    /// # Errors
    /// As [`Self::header_at`].
    pub async fn headers_at(&self, numbers: &[u64]) -> Result<Vec<Option<Header>>, Error> {
        const METHOD: &str = "eth_getBlockByNumber";
        let mut batch = self.client.new_batch();
        let mut waiters = Vec::with_capacity(numbers.len());
        for number in numbers {
            let waiter = batch.add_call(METHOD, &json!([quantity(*number), false]));
            waiters.push(self.heard(METHOD, waiter)?);
        }
        if waiters.is_empty() {
            return Ok(Vec::new());
        }
        self.heard(METHOD, batch.send().await)?;
        let mut headers = Vec::with_capacity(numbers.len());
        for (number, waiter) in numbers.iter().zip(waiters) {
            let header = self.header(METHOD, waiter.await)?;
            headers.push(self.at_height(*number, header)?);
        }
        Ok(headers)
    }

    /// The blocks of many hashes, in one batch and in the order of `hashes`.
    ///
    /// # Errors
    /// As [`Self::header_of`]; [`Error::Missing`] if one is not known.
    pub async fn headers_of(&self, hashes: &[B256]) -> Result<Vec<Header>, Error> {
        const METHOD: &str = "eth_getBlockByHash";
        let mut batch = self.client.new_batch();
        let mut waiters = Vec::with_capacity(hashes.len());
        for hash in hashes {
            let waiter = batch.add_call(METHOD, &json!([hash, false]));
            waiters.push(self.heard(METHOD, waiter)?);
        }
        if waiters.is_empty() {
            return Ok(Vec::new());
        }
        self.heard(METHOD, batch.send().await)?;
        let mut headers = Vec::with_capacity(hashes.len());
        for (hash, waiter) in hashes.iter().zip(waiters) {
            let header = self.header(METHOD, waiter.await)?;
            let header = header.ok_or_else(|| self.missing(hash))?;
            if header.at.hash != *hash {
                return Err(self.malformed(METHOD, format!("block {}", header.at)));
            }
            headers.push(header);
        }
        Ok(headers)
    }

    /// The code at an address as of the newest block; empty where there is no contract.
    ///
    /// # Errors
    /// [`Error`], transient.
    pub async fn code_at(&self, address: Address) -> Result<Bytes, Error> {
        let answer = self
            .client
            .request("eth_getCode", json!([address, "latest"]))
            .await;
        self.heard("eth_getCode", answer)
    }

    /// What a contract's function answers, without a transaction.
    ///
    /// # Errors
    /// [`Error`]: rejected if the call was reverted, else transient.
    pub async fn call(&self, to: Address, data: Bytes, at: BlockId) -> Result<Bytes, Error> {
        let call = json!([{"to": to, "data": data}, at]);
        let answer = self.client.request("eth_call", call).await;
        self.heard("eth_call", answer)
    }

    async fn block_by(&self, at: &str) -> Result<Option<Header>, Error> {
        let answer: TransportResult<Option<WireHeader>> = self
            .client
            .request("eth_getBlockByNumber", json!([at, false]))
            .await;
        self.header("eth_getBlockByNumber", answer)
    }

    pub(super) fn at_height(
        &self,
        number: u64,
        header: Option<Header>,
    ) -> Result<Option<Header>, Error> {
        match &header {
            Some(header) if header.at.number != number => Err(self.malformed(
                "eth_getBlockByNumber",
                format!("block {} instead of {number}", header.at),
            )),
            _ => Ok(header),
        }
    }

    pub(super) fn header(
        &self,
        method: &'static str,
        answer: TransportResult<Option<WireHeader>>,
    ) -> Result<Option<Header>, Error> {
        self.heard(method, answer)?
            .map(WireHeader::read)
            .transpose()
            .map_err(|problem| self.malformed(method, problem))
    }

    pub(super) fn heard<T>(
        &self,
        method: &'static str,
        answer: TransportResult<T>,
    ) -> Result<T, Error> {
        answer.map_err(|error| Error::of(&self.name, method, error))
    }

    pub(super) fn malformed(&self, method: &'static str, problem: String) -> Error {
        Error::Malformed {
            provider: self.name.clone(),
            method,
            problem,
        }
    }

    pub(super) fn missing(&self, block: &dyn fmt::Display) -> Error {
        Error::Missing {
            provider: self.name.clone(),
            block: block.to_string(),
        }
    }
}

/// A number as JSON-RPC writes it (EIP-1474: `0x`, no leading zeros).
pub(super) fn quantity(number: u64) -> String {
    format!("{number:#x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_named_by_its_host_alone() {
        let provider = Provider::new("https://user:secret@node.example:8545/v3/key?x=1").unwrap();
        assert_eq!(provider.name(), "node.example:8545");
        assert_eq!(format!("{provider:?}"), r#"Provider("node.example:8545")"#);
        let error = Provider::new("ftp://user:secret@node.example").unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }

    #[test]
    fn quantities_have_no_leading_zeros() {
        assert_eq!(quantity(0), "0x0");
        assert_eq!(quantity(1024), "0x400");
    }
}
