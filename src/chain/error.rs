use std::fmt;
use std::time::Duration;

use alloy::primitives::Bytes;
use alloy::transports::{RpcError, TransportError, TransportErrorKind};

use super::refusal::Refusal;
use crate::fault::Fault;
use crate::ids::BlockRef;

/// Longest piece of a provider's own words that an error repeats.
const LONGEST_QUOTE: usize = 300;

/// What went wrong between us and a provider. `provider` is its host, never its URL, which may hold a key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configured URL cannot be used.
    #[error("the URL of a provider is not usable: {problem}")]
    Url {
        /// What is wrong; does not repeat the URL.
        problem: &'static str,
    },
    /// The HTTP client could not be made.
    #[error("could not set up the HTTP client for provider {provider}")]
    Client {
        /// The provider.
        provider: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// No answer: connection, time-out, or an answer cut short.
    #[error("provider {provider} could not be asked for {method}")]
    Unreachable {
        /// The provider.
        provider: String,
        /// The method, or methods of a batch.
        method: &'static str,
        /// Whether time ran out, rather than the connection failing.
        timed_out: bool,
        /// Why not, without the URL.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An HTTP status that is not success.
    #[error("provider {provider} answered {method} with HTTP status {status}: {text}")]
    Status {
        /// The provider.
        provider: String,
        /// The method.
        method: &'static str,
        /// The status.
        status: u16,
        /// How long the provider asks us to wait.
        retry_after: Option<Duration>,
        /// The beginning of the body.
        text: String,
    },
    /// A JSON-RPC error.
    #[error("provider {provider} refused {method} with code {code}: {message}")]
    Refused {
        /// The provider.
        provider: String,
        /// The method.
        method: &'static str,
        /// JSON-RPC code.
        code: i64,
        /// The provider's words.
        message: String,
        /// Data of a reverted call.
        data: Option<Bytes>,
    },
    /// A body that ended before its end.
    #[error("the answer of provider {provider} to {method} broke off after {read} bytes")]
    Cut {
        /// The provider.
        provider: String,
        /// The method.
        method: &'static str,
        /// Bytes read.
        read: usize,
        /// How it broke off, without the URL.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A body that is no JSON-RPC: a page of a proxy, or one cut short without a word.
    #[error("provider {provider} answered {method} with something that is no JSON-RPC: {text:?}")]
    NotJson {
        /// The provider.
        provider: String,
        /// The method.
        method: &'static str,
        /// The beginning of the body.
        text: String,
        /// Where reading it failed, if it began like JSON.
        source: Option<serde_json::Error>,
    },
    /// An answer larger than any that is read.
    #[error("the answer of provider {provider} to {method} is larger than {limit} bytes")]
    TooLarge {
        /// The provider.
        provider: String,
        /// The method.
        method: &'static str,
        /// Bytes.
        limit: usize,
    },
    /// A provider that must not be asked yet: it limits our rate, or has failed again and again.
    #[error("provider {provider} is not to be asked for another {wait:?}")]
    Resting {
        /// The provider.
        provider: String,
        /// How long.
        wait: Duration,
    },
    /// A provider that is on another chain than the one that is followed.
    #[error("provider {provider} is on another chain: {problem}")]
    OtherChain {
        /// The provider.
        provider: String,
        /// What differs.
        problem: String,
    },
    /// An answer that cannot be read or contradicts itself.
    #[error("provider {provider} answered {method} with something that cannot be right: {problem}")]
    Malformed {
        /// The provider.
        provider: String,
        /// The method.
        method: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Two readings of the same block that differ.
    #[error("providers {provider} and {other} gave different logs of block {block}")]
    Disagreement {
        /// The provider that was read first.
        provider: String,
        /// The one that was read second; it may be the same.
        other: String,
        /// The block.
        block: BlockRef,
    },
    /// A block whose logs no provider gives: not by range, not by address, not by receipts.
    #[error("no provider gives the logs of block {block}, neither at once nor in parts")]
    Poisoned {
        /// Its height.
        block: u64,
        /// The refusal of the block as a range of one.
        source: Box<Self>,
    },
    /// A block that the provider does not have: not yet, or not any more.
    #[error("provider {provider} does not have block {block}")]
    Missing {
        /// The provider.
        provider: String,
        /// The block, by number or hash.
        block: String,
    },
}

impl Error {
    /// What the error means for whoever asked. A provider that answers nonsense may answer better next time, or another may.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Url { .. } | Self::Client { .. } => Fault::Fatal,
            Self::Refused { .. } if self.refusal() == Refusal::Reverted => Fault::Rejected,
            Self::Unreachable { .. }
            | Self::Status { .. }
            | Self::Refused { .. }
            | Self::Cut { .. }
            | Self::NotJson { .. }
            | Self::TooLarge { .. }
            | Self::Resting { .. }
            | Self::OtherChain { .. }
            | Self::Malformed { .. }
            | Self::Disagreement { .. }
            | Self::Poisoned { .. }
            | Self::Missing { .. } => Fault::Transient,
        }
    }

    /// Whether a smaller question may be answered.
    pub fn asks_for_less(&self) -> bool {
        self.refusal().asks_for_less()
    }

    /// Whether the provider says that it does not know the method or its parameters (JSON-RPC 2.0, section 5.1).
    pub(super) fn is_unknown_method(&self) -> bool {
        self.refusal() == Refusal::Unsupported || matches!(self, Self::Refused { code: -32602, .. })
    }

    /// Reads alloy's error, without URLs and with the provider's words cut short.
    pub(super) fn of(provider: &str, method: &'static str, error: TransportError) -> Self {
        let provider = provider.to_owned();
        match error {
            RpcError::ErrorResp(payload) => Self::Refused {
                provider,
                method,
                code: payload.code,
                message: cut(&payload.message),
                data: payload
                    .data
                    .and_then(|data| serde_json::from_str(data.get()).ok()),
            },
            RpcError::Transport(kind) => Self::of_transport(provider, method, kind),
            RpcError::NullResp => Self::Malformed {
                provider,
                method,
                problem: "null".to_owned(),
            },
            RpcError::DeserError { err, text } => Self::Malformed {
                provider,
                method,
                problem: format!("{err} in {:?}", cut(&text)),
            },
            RpcError::SerError(source) => Self::Malformed {
                provider,
                method,
                problem: source.to_string(),
            },
            RpcError::UnsupportedFeature(problem) => Self::Malformed {
                provider,
                method,
                problem: problem.to_owned(),
            },
            RpcError::LocalUsageError(source) => Self::Unreachable {
                provider,
                method,
                timed_out: false,
                source,
            },
        }
    }

    fn of_transport(provider: String, method: &'static str, kind: TransportErrorKind) -> Self {
        match kind {
            TransportErrorKind::HttpError(error)
            | TransportErrorKind::HttpErrorWithRetryAfter { error, .. } => Self::Status {
                provider,
                method,
                status: error.status,
                retry_after: None,
                text: cut(&error.body),
            },
            // The URL, which can hold a key, may be in the words of whatever lies below.
            other => Self::Unreachable {
                provider,
                method,
                timed_out: false,
                source: other
                    .to_string()
                    .split("://")
                    .next()
                    .unwrap_or_default()
                    .to_owned()
                    .into(),
            },
        }
    }
}

pub(super) fn cut(text: &str) -> String {
    let mut quote: String = text.chars().take(LONGEST_QUOTE).collect();
    if quote.len() < text.len() {
        quote.push('…');
    }
    quote
}

/// Names a range in sentences.
pub(super) struct Range(pub(super) u64, pub(super) u64);

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: i64) -> Error {
        Error::Refused {
            provider: "node".to_owned(),
            method: "eth_getLogs",
            code,
            message: "query returned more than 10000 results".to_owned(),
            data: None,
        }
    }

    #[test]
    fn a_refusal_asks_for_less_and_passes() {
        assert!(refused(-32005).asks_for_less());
        assert_eq!(refused(-32005).fault(), Fault::Transient);
        assert_eq!(refused(3).fault(), Fault::Rejected);
    }

    #[test]
    fn a_rate_limit_does_not_ask_for_less() {
        let status = |status| Error::Status {
            provider: "node".to_owned(),
            method: "eth_getLogs",
            status,
            retry_after: None,
            text: String::new(),
        };
        assert!(!status(429).asks_for_less());
        assert!(!status(503).asks_for_less());
        assert!(status(413).asks_for_less());
    }

    #[test]
    fn long_words_are_cut() {
        assert_eq!(cut(&"x".repeat(1000)).chars().count(), LONGEST_QUOTE + 1);
        assert_eq!(cut("short"), "short");
    }
}
