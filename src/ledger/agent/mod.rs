//! What the agent does on chain: `agent_acts`, `agent_nonces`, `agent_transactions`, `agent_accounts`, `agent_cursors`,
//! `agent_documents`.
//! Written by: agent.
//!
//! Layout: one file per table, and `approvals.rs`: what of it the judge and the resolver ask. An act is taken under a lease and every write names its token, as with jobs; nonces of an account
//! are given out under a lock of the database, since two replicas may use one key.

pub mod accounts;
pub mod acts;
pub mod approvals;
pub mod discovery;
pub mod documents;
pub mod failed;
pub mod nonces;
pub mod transactions;

use alloy::primitives::{Address, B256};

/// An account on one chain: whose nonces are counted together, whatever deployments it acts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Hash of block 0: a restarted development chain counts from zero again.
    pub genesis_hash: B256,
    /// The key's address.
    pub address: Address,
}
