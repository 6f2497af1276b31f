//! What a refusal means, told by its form and its words: pure, so that every form that is known stands in a table of tests.

use std::time::Duration;

use super::error::Error;

/// JSON-RPC's code of a reverted call (geth and its kin; the data holds the reason).
const REVERTED: i64 = 3;
/// JSON-RPC 2.0, section 5.1.
const UNKNOWN_METHOD: i64 = -32601;
/// "Limit exceeded" of EIP-1474. Services use it for a rate and for a range alike.
const LIMIT_EXCEEDED: i64 = -32005;
/// "Unknown block" of the Engine API, which some clients use here as well.
const UNKNOWN_BLOCK: i64 = -39001;

/// The kinds of refusal that call for different behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Too many questions; perhaps with the wait that is asked for.
    RateLimited(Option<Duration>),
    /// Too many blocks; perhaps with the number that is allowed.
    RangeTooWide(Option<u64>),
    /// Too many logs; perhaps with a number of blocks that would do.
    TooManyLogs(Option<u64>),
    /// Too many calls in one batch; perhaps with the number that is allowed.
    BatchTooLarge(Option<u64>),
    /// An answer, or a question, of too many bytes.
    TooLarge,
    /// An answer that broke off.
    Cut,
    /// Something that is no JSON-RPC, such as a proxy's page.
    NotJson,
    /// Time ran out, ours or the provider's.
    TimedOut,
    /// "Limit exceeded" without a word about which.
    Ambiguous,
    /// Words that nobody has met yet.
    Unknown,
    /// No connection, or an error of the server.
    Unreachable,
    /// A block that the provider does not have, not yet or not any more.
    Lagging,
    /// A method or parameter that the provider does not know.
    Unsupported,
    /// A contract's call that was reverted: an answer.
    Reverted,
    /// An answer that contradicts itself or the question.
    Nonsense,
    /// Not asked: the provider is given rest.
    Resting,
    /// Another chain, or a configuration that cannot work.
    Foreign,
}

impl Refusal {
    /// The word for metrics and for the ledger.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RateLimited(_) => "rate_limited",
            Self::RangeTooWide(_) => "range_too_wide",
            Self::TooManyLogs(_) => "too_many_logs",
            Self::BatchTooLarge(_) => "batch_too_large",
            Self::TooLarge => "too_large",
            Self::Cut => "cut",
            Self::NotJson => "not_json",
            Self::TimedOut => "timed_out",
            Self::Ambiguous => "ambiguous",
            Self::Unknown => "unknown",
            Self::Unreachable => "unreachable",
            Self::Lagging => "lagging",
            Self::Unsupported => "unsupported",
            Self::Reverted => "reverted",
            Self::Nonsense => "nonsense",
            Self::Resting => "resting",
            Self::Foreign => "foreign",
        }
    }

    /// Whether a smaller question may be answered. A rate limit and a lost connection would meet the smaller one as well.
    pub const fn asks_for_less(self) -> bool {
        match self {
            Self::RangeTooWide(_)
            | Self::TooManyLogs(_)
            | Self::BatchTooLarge(_)
            | Self::TooLarge
            | Self::Cut
            | Self::TimedOut
            | Self::Ambiguous
            | Self::Unknown => true,
            Self::RateLimited(_)
            | Self::NotJson
            | Self::Unreachable
            | Self::Lagging
            | Self::Unsupported
            | Self::Reverted
            | Self::Nonsense
            | Self::Resting
            | Self::Foreign => false,
        }
    }

    /// Whether the provider did its part: the answer is about the question, not about the provider.
    pub(super) const fn is_an_answer(self) -> bool {
        matches!(self, Self::Reverted | Self::Unsupported | Self::Lagging)
    }
}

impl Error {
    /// The kind of refusal that the error is.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Unreachable { timed_out, .. } => {
                if *timed_out {
                    Refusal::TimedOut
                } else {
                    Refusal::Unreachable
                }
            }
            Self::Status {
                status,
                retry_after,
                text,
                ..
            } => of_status(*status, *retry_after, text),
            Self::Refused { code, message, .. } => of_words(*code, message),
            Self::Cut { .. } => Refusal::Cut,
            // A body that begins like JSON and is none was cut without a word.
            Self::NotJson { text, .. } if text.trim_start().starts_with(['[', '{']) => Refusal::Cut,
            Self::NotJson { .. } => Refusal::NotJson,
            Self::TooLarge { .. } => Refusal::TooLarge,
            Self::Malformed { .. } | Self::Disagreement { .. } | Self::Poisoned { .. } => {
                Refusal::Nonsense
            }
            Self::Missing { .. } => Refusal::Lagging,
            Self::Resting { .. } => Refusal::Resting,
            Self::OtherChain { .. } | Self::Url { .. } | Self::Client { .. } => Refusal::Foreign,
        }
    }
}

fn of_status(status: u16, retry_after: Option<Duration>, text: &str) -> Refusal {
    match status {
        429 => Refusal::RateLimited(retry_after),
        413 => Refusal::TooLarge,
        408 | 504 | 524 => Refusal::TimedOut,
        // A service that asks for a wait is one that limits, whatever else it says.
        503 if retry_after.is_some() => Refusal::RateLimited(retry_after),
        400 | 414 | 422 => match of_words(0, text) {
            Refusal::Unsupported | Refusal::Lagging => Refusal::Unknown,
            refusal => refusal,
        },
        _ => Refusal::Unreachable,
    }
}

/// Words about a rate.
const RATE: &[&str] = &[
    "rate limit",
    "ratelimit",
    "too many requests",
    "per second",
    "per minute",
    "compute unit",
    "throughput",
    "capacity",
    "request count",
    "requests limit",
    "request limit",
    "quota",
    "credits",
    "slow down",
    "daily",
];
/// Words that say that something is too much.
const TOO_MUCH: &[&str] = &[
    "too many",
    "too large",
    "too big",
    "too wide",
    "exceed",
    "limit",
    "more than",
    "max",
    "greater than",
    "over ",
    "up to",
    "narrow",
    "wide",
    "restrict",
];
/// Words about logs, and about blocks.
const LOGS: &[&str] = &["result", " logs", "log response", "log entries", "events"];
const BLOCKS: &[&str] = &["range", "blocks", "block count", "distance"];
/// Words about bytes.
const BYTES: &[&str] = &[
    "response size",
    "response is too",
    "response too",
    "entity too large",
    "body too",
    "body size",
    "payload too",
];
/// Words about time.
const TIME: &[&str] = &["timeout", "timed out", "time out", "deadline", "too long"];
/// Words about a block, or a state, that is not there.
const NOT_THERE: &[&str] = &[
    "unknown block",
    "not found",
    "missing trie node",
    "current head",
    "pruned",
];
/// Words about a method.
const NO_METHOD: &[&str] = &[
    "method not found",
    "method not supported",
    "is not available",
    "unsupported method",
];

/// What the words of hosted services and clients say, most telling first: "retry with a narrower range" is about a range, "your
/// plan allows so many requests a second" is about a rate, and both come with any code.
fn of_words(code: i64, message: &str) -> Refusal {
    let words = message.to_lowercase();
    let any = |some: &[&str]| some.iter().any(|word| words.contains(word));
    if code == REVERTED || any(&["execution reverted", "vm execution error"]) {
        Refusal::Reverted
    } else if code == UNKNOWN_METHOD || any(NO_METHOD) {
        Refusal::Unsupported
    } else if any(&["batch"]) {
        Refusal::BatchTooLarge(number(&words))
    } else if any(RATE) {
        Refusal::RateLimited(None)
    } else if any(TOO_MUCH) && any(LOGS) {
        Refusal::TooManyLogs(between(&words))
    } else if any(TOO_MUCH) && any(BLOCKS) {
        Refusal::RangeTooWide(between(&words).or_else(|| number(&words)))
    } else if any(BYTES) {
        Refusal::TooLarge
    } else if any(TIME) {
        Refusal::TimedOut
    } else if code == UNKNOWN_BLOCK || any(NOT_THERE) {
        Refusal::Lagging
    } else if code == LIMIT_EXCEEDED {
        Refusal::Ambiguous
    } else {
        Refusal::Unknown
    }
}

/// Blocks of a range that is suggested as `[0x…, 0x…]`, both ends included.
fn between(words: &str) -> Option<u64> {
    let (_, rest) = words.split_once("[0x")?;
    let (from, rest) = rest.split_once(',')?;
    let (to, _) = rest.trim_start().strip_prefix("0x")?.split_once(']')?;
    let from = u64::from_str_radix(from.trim(), 16).ok()?;
    let to = u64::from_str_radix(to.trim(), 16).ok()?;
    to.checked_sub(from)?.checked_add(1)
}

/// The smallest number above zero that is written out, such as `2000`, `2,000`, `2k`: where what was asked for is repeated beside
/// what is allowed, the allowed one is smaller.
fn number(words: &str) -> Option<u64> {
    words
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == ','))
        .filter_map(|word| {
            let digits = word.trim_matches(',').replace(',', "");
            match digits.strip_suffix('k') {
                Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1_000),
                None => digits.parse().ok(),
            }
        })
        .filter(|number| *number > 0)
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words as hosted services and clients send them.
    const WORDS: &[(i64, &str, Refusal)] = &[
        (-32005, "limit exceeded", Refusal::Ambiguous),
        (
            -32005,
            "daily request count exceeded, request rate limited",
            Refusal::RateLimited(None),
        ),
        (
            -32005,
            "query returned more than 10000 results",
            Refusal::TooManyLogs(None),
        ),
        (
            -32005,
            "query returned more than 10000 results. Try with this block range [0x10, 0x1F].",
            Refusal::TooManyLogs(Some(16)),
        ),
        (
            -32005,
            "block range is too wide",
            Refusal::RangeTooWide(None),
        ),
        (
            -32005,
            "exceed maximum block range: 5000",
            Refusal::RangeTooWide(Some(5_000)),
        ),
        (
            -32000,
            "block range is limited to 2,000 blocks",
            Refusal::RangeTooWide(Some(2_000)),
        ),
        (
            -32600,
            "eth_getLogs is limited to 0 - 10 blocks range",
            Refusal::RangeTooWide(Some(10)),
        ),
        (
            -32614,
            "eth_getLogs is limited to a 10,000 range",
            Refusal::RangeTooWide(Some(10_000)),
        ),
        (
            -32602,
            "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on the \
                 response size. Based on your parameters, this block range should work: [0x1, 0x64]",
            Refusal::TooManyLogs(Some(100)),
        ),
        (
            -32602,
            "query exceeds max results 20000, retry with the range 100-200",
            Refusal::TooManyLogs(None),
        ),
        (
            -32701,
            "Please limit the query to at most 1000 blocks",
            Refusal::RangeTooWide(Some(1_000)),
        ),
        (
            -32000,
            "range 5001 exceeds limit of 5000",
            Refusal::RangeTooWide(Some(5_000)),
        ),
        (
            429,
            "Your app has exceeded its compute units per second capacity",
            Refusal::RateLimited(None),
        ),
        (-32029, "Too Many Requests", Refusal::RateLimited(None)),
        (
            -32600,
            "batch size 51 exceeds limit of 50",
            Refusal::BatchTooLarge(Some(50)),
        ),
        (-32008, "Response is too big", Refusal::TooLarge),
        (-32000, "query timeout exceeded", Refusal::TimedOut),
        (-32000, "unknown block", Refusal::Lagging),
        (-39001, "Unknown block", Refusal::Lagging),
        (-32601, "the method does not exist", Refusal::Unsupported),
        (3, "execution reverted: no", Refusal::Reverted),
        (
            -32000,
            "internal error of a kind that nobody has met",
            Refusal::Unknown,
        ),
    ];

    #[test]
    fn words_are_understood() {
        for (code, words, meaning) in WORDS {
            assert_eq!(of_words(*code, words), *meaning, "{code} {words}");
        }
    }

    #[test]
    fn statuses_are_understood() {
        let wait = Some(Duration::from_secs(7));
        for (status, retry_after, text, meaning) in [
            (429, None, "", Refusal::RateLimited(None)),
            (429, wait, "", Refusal::RateLimited(wait)),
            (503, wait, "", Refusal::RateLimited(wait)),
            (503, None, "<html>", Refusal::Unreachable),
            (500, None, "", Refusal::Unreachable),
            (502, None, "", Refusal::Unreachable),
            (504, None, "", Refusal::TimedOut),
            (413, None, "", Refusal::TooLarge),
            (400, None, "range of 10 blocks at most", Refusal::Unknown),
            (
                400,
                None,
                "block range limited to 10",
                Refusal::RangeTooWide(Some(10)),
            ),
        ] {
            assert_eq!(
                of_status(status, retry_after, text),
                meaning,
                "{status} {text}"
            );
        }
    }

    #[test]
    fn numbers_are_read_as_people_write_them() {
        assert_eq!(number("up to 2k"), Some(2_000));
        assert_eq!(number("of 5,001, at most 5,000"), Some(5_000));
        assert_eq!(number("0 - 10"), Some(10));
        assert_eq!(number("none"), None);
        assert_eq!(between("[0x5, 0x4]"), None);
    }
}
