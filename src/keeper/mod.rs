//! What the keeper contracts say: where they are, what their logs mean, what their ids are of, what only a call tells; and how to
//! put them on a development chain and buy something there.
//!
//! It refuses to know Postgres and Kubernetes, and it decides nothing: whether a job is owed is `admission`'s verdict.
//!
//! # Layout
//!
//! | file | does | alloy's provider and signers |
//! |---|---|---|
//! | `deployment`, `deployment_file` | the deployment file: which contracts, since when, of which version | no |
//! | `abi` | bindings generated from `abi/*.json` | no |
//! | `event`, `decode` | a raw log → [`KeeperEvent`], for rules | no |
//! | `describe` | a raw log → names and arguments, for people | no |
//! | `condition_ids` | recomputes what a condition's id is of | no |
//! | [`facts`] | what events do not carry, through the port [`ContractCalls`] | no |
//! | [`counters`] | how much the contracts say was ever made, through the same port | no |
//! | [`purchase`] | the transactions of a purchase, as data | no |
//! | `account` | signs and sends them | yes |
//! | `deploy` | deploys the contracts, and upgrades them | through `account` |
//!
//! # Invariants
//!
//! - A log is decoded by address and signature together: two pairs of the contracts share a signature.
//! - Any bytes are safe: what does not fit its signature is [`Undecodable`], a value, and never stops a caller.
//! - Text of the chain is kept as bytes in [`KeeperEvent`]; only [`Described`] makes it safe, and no rule reads that.
//! - [`decode`] and [`Facts`] answer what a contract *says*. An event of a genuine address proves neither payment nor consent;
//!   condition ids must be recomputed, since the chain accepts any 32 bytes.
//!
//! # Why this way
//!
//! Bindings come from files with a source that a test compares with the published package, so no signature is typed by hand. They
//! are made without clients: calls are data ([`Call`]), which keeps all but one file free of I/O and lets a test send several in
//! one block, or ones that no honest party would send.

pub mod abi;
mod account;
mod condition_ids;
pub mod counters;
mod decode;
mod deploy;
mod deployment;
mod deployment_file;
mod describe;
mod event;
pub mod facts;
pub mod purchase;

pub use account::{Account, Call, Error as AccountError, Mined, Submitted};
pub use condition_ids::{EscrowTerms, compute_id, escrow_id, lock_id};
pub use decode::{DECODER, Undecodable, decode};
pub use deploy::{
    Blueprint, Deployed, Error as DeployError, Proxies, TEMPLATE, approve_template_contract,
    deploy, switch, template_id, upgrade,
};
pub use deployment::{Contract, Contracts, Deployment, Error as DeploymentError, KeeperVersion};
pub use describe::{Described, describe};
pub use event::{KeeperEvent, Subject};
pub use facts::{AgreementFact, At, ConditionFact, ContractCalls, Facts};
pub use purchase::{Order, Purchase};
