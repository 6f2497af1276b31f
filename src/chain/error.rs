use std::fmt;

use alloy::primitives::Bytes;
use alloy::transports::{RpcError, TransportError, TransportErrorKind};

use crate::fault::Fault;

/// JSON-RPC's code of a reverted call (geth and its kin since EIP-1474's reserved range was left; the data holds the reason).
const REVERTED: i64 = 3;
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
            Self::Refused { code, .. } if *code == REVERTED => Fault::Rejected,
            Self::Unreachable { .. }
            | Self::Status { .. }
            | Self::Refused { .. }
            | Self::Malformed { .. }
            | Self::Missing { .. } => Fault::Transient,
        }
    }

    /// Whether a smaller question may be answered: any refusal whose words we cannot know, an answer too large, time run out.
    /// A rate limit by HTTP status, a refused login and a lost connection would meet the smaller question as well.
    pub fn asks_for_less(&self) -> bool {
        match self {
            Self::Refused { .. } => true,
            Self::Unreachable { timed_out, .. } => *timed_out,
            Self::Status { status, .. } => matches!(status, 400 | 413 | 414 | 422 | 504),
            Self::Url { .. }
            | Self::Client { .. }
            | Self::Malformed { .. }
            | Self::Missing { .. } => false,
        }
    }

    /// Whether the provider says that it does not know the method or its parameters (JSON-RPC 2.0, section 5.1).
    pub(super) fn is_unknown_method(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                code: -32601 | -32602,
                ..
            }
        )
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
                text: cut(&error.body),
            },
            TransportErrorKind::MissingBatchResponse(_) => Self::Malformed {
                provider,
                method,
                problem: "the answer to one request of the batch is missing".to_owned(),
            },
            TransportErrorKind::Custom(source) | TransportErrorKind::NonRetryable(source) => {
                match source.downcast::<reqwest::Error>() {
                    Ok(error) => Self::Unreachable {
                        provider,
                        method,
                        timed_out: error.is_timeout() && !error.is_connect(),
                        source: Box::new(error.without_url()),
                    },
                    Err(source) => Self::Unreachable {
                        provider,
                        method,
                        timed_out: false,
                        source,
                    },
                }
            }
            other => Self::Unreachable {
                provider,
                method,
                timed_out: false,
                source: Box::new(other),
            },
        }
    }
}

fn cut(text: &str) -> String {
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
        assert_eq!(refused(REVERTED).fault(), Fault::Rejected);
    }

    #[test]
    fn a_rate_limit_does_not_ask_for_less() {
        let status = |status| Error::Status {
            provider: "node".to_owned(),
            method: "eth_getLogs",
            status,
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
