use std::time::Duration;

use crate::keeper::Call;
use crate::ledger::agent::acts::Judgement;

/// Codes of why an act waits or failed, beside those of jobs. They are shown and kept, so none is renamed.
pub(super) mod code {
    /// Something that decides cannot be read now.
    pub(crate) const UNDECIDED: &str = "undecided";
    /// The payment is not on the chain, or not any more.
    pub(crate) const UNPAID: &str = "unpaid";
    /// The condition's time lock is not over.
    pub(crate) const TOO_EARLY: &str = "too_early";
    /// The condition's window is over, or would be before a transaction is mined.
    pub(crate) const WINDOW_OVER: &str = "window_over";
    /// Somebody aborted the condition.
    pub(crate) const ABORTED: &str = "aborted";
    /// The agent's account is neither owner nor provider of the asset.
    pub(crate) const NOT_PROVIDER: &str = "not_provider";
    /// A node says that the transaction would have no effect.
    pub(crate) const REVERTS: &str = "reverts";
    /// The transaction was mined without effect.
    pub(crate) const REVERTED: &str = "reverted";
    /// Getting into a block costs more than the operator's limit.
    pub(crate) const FEE_TOO_HIGH: &str = "fee_too_high";
    /// The account cannot pay for it.
    pub(crate) const PURSE_EMPTY: &str = "purse_empty";
    /// The day's gas is spent.
    pub(crate) const DAILY_GAS: &str = "daily_gas";
    /// The act became pointless; its nonce is being used up.
    pub(crate) const CANCELLING: &str = "cancelling";
    /// Another account was configured; the nonce of the old one is not ours to use.
    pub(crate) const OTHER_KEY: &str = "other_key";
    /// The job's event is on no canonical block.
    pub(crate) const ORPHANED: &str = "orphaned";
    /// The terms of the escrow cannot be recomputed.
    pub(crate) const TERMS_UNKNOWN: &str = "terms_unknown";
}

/// What is to be done about an act that nothing was signed for.
#[derive(Debug)]
pub(super) enum Ruling {
    /// Do it.
    Act {
        call: Call,
        judgement: Option<Judgement>,
    },
    /// Do it never.
    Decline {
        reason: String,
        detail: String,
        judgement: Option<Judgement>,
    },
    /// It can no longer be done.
    Fail {
        reason: &'static str,
        detail: String,
    },
    /// Look again later.
    Wait {
        reason: &'static str,
        detail: String,
        again: Duration,
    },
    /// Somebody else did it.
    DoneByOther,
}

impl Ruling {
    pub(super) fn wait(reason: &'static str, detail: impl Into<String>) -> Self {
        Self::Wait {
            reason,
            detail: detail.into(),
            again: Duration::from_secs(5),
        }
    }

    pub(super) fn fail(reason: &'static str, detail: impl Into<String>) -> Self {
        Self::Fail {
            reason,
            detail: detail.into(),
        }
    }
}
