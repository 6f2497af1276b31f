use alloy::primitives::{Address, Bytes};

/// A call to be sent, as data: what is to be done stays apart from who does it and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What it does, in words for people: "lock the reward of agreement 0x…".
    pub what: String,
    /// The contract; `None` creates one.
    pub to: Option<Address>,
    /// The call's data, or the creation code.
    pub data: Bytes,
    /// Gas limit; `None`: what the dearest single call or creation takes.
    pub gas_limit: Option<u64>,
}

impl Call {
    /// A call of a contract's function.
    pub fn to(contract: Address, data: impl Into<Bytes>, what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            to: Some(contract),
            data: data.into(),
            gas_limit: None,
        }
    }

    /// The creation of a contract.
    pub fn create(code: impl Into<Bytes>, what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            to: None,
            data: code.into(),
            gas_limit: None,
        }
    }

    /// The same with another gas limit: for what does several things at once.
    #[must_use]
    pub const fn with_gas_limit(mut self, gas: u64) -> Self {
        self.gas_limit = Some(gas);
        self
    }

    pub(super) const fn gas(&self) -> u64 {
        if let Some(limit) = self.gas_limit {
            return limit;
        }
        match self.to {
            Some(_) => CALL_GAS,
            None => CREATION_GAS,
        }
    }
}

/// Gas limit of a call; the dearest of them (creating an agreement with three conditions) takes less than half.
const CALL_GAS: u64 = 2_000_000;
/// Gas limit of a creation; the dearest keeper contract takes about two thirds.
const CREATION_GAS: u64 = 6_000_000;
