//! Configuration: read once, from flags, the environment and `.env`, checked as a whole, every fault told at once.
//!
//! A flag stands for the variable of the same name (`--rpc-urls` for `TIDEWATCH_RPC_URLS`) and wins over it. What can hold a
//! secret has no flag (a command line is public on its machine); it has a twin `…_FILE` instead. A variable beginning with
//! `TIDEWATCH_` that nobody knows is a fault, since it is most likely a misspelt one.
//!
//! Layout:
//! - `options.rs`: flags and their variables as clap sees them;
//! - `source.rs`: looking a value up, with its `…_FILE` twin, and collecting faults;
//! - `endpoints.rs`: the chain's nodes, and how many must agree;
//! - `service.rs`: what `run` needs, role by role; `roles.rs`: the roles; `engine.rs`, `turns.rs`, `agent.rs`, `api.rs`: the
//!   engine's, the dispatcher's, the agent's and the API's part.

mod agent;
mod api;
mod endpoints;
mod engine;
mod options;
mod roles;
mod service;
mod source;
mod turns;

pub use agent::AgentConfig;
pub use api::{ApiConfig, ResultsConfig};
pub(super) use endpoints::read_endpoints;
pub use engine::EngineConfig;
pub use options::ServiceOptions;
pub use roles::Role;
pub use service::{ChainConfig, ServiceConfig};
pub use source::{Environment, Faults, Secret};
