//! What the keeper contracts say: ABIs, decoding, ids, facts, and how to deploy them on a development chain.

pub mod abi;
mod account;
mod deploy;
mod deployment;
mod event;

pub use account::{Account, Call, Error as AccountError, Mined, Submitted};
pub use deploy::{Deployed, Error as DeployError, TEMPLATE, deploy, template_id};
pub use deployment::{Contract, Contracts, Deployment, Error as DeploymentError, KeeperVersion};
pub use event::{KeeperEvent, Subject};
