//! What the keeper contracts say: ABIs, decoding, ids, facts, and how to deploy them on a development chain.

pub mod abi;
mod account;
mod condition_ids;
mod decode;
mod deploy;
mod deployment;
mod describe;
mod event;
pub mod facts;
pub mod purchase;

pub use account::{Account, Call, Error as AccountError, Mined, Submitted};
pub use condition_ids::{EscrowTerms, compute_id, escrow_id, lock_id};
pub use decode::{Undecodable, decode};
pub use deploy::{Deployed, Error as DeployError, TEMPLATE, deploy, template_id};
pub use deployment::{Contract, Contracts, Deployment, Error as DeploymentError, KeeperVersion};
pub use describe::{Described, describe};
pub use event::{KeeperEvent, Subject};
pub use facts::{AgreementFact, ConditionFact, ContractCalls, Facts};
pub use purchase::{Order, Purchase};
