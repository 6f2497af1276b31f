//! Tidewatch follows the keeper contracts of Ocean Protocol, records what they say in Postgres, starts a Kubernetes workflow for
//! every fulfilled compute condition, and shows job status, history and logs through a read-only HTTP API.
//!
//! # The flow, one way
//!
//! ```text
//! chain → keeper → follower → LEDGER → judge → resolver → dispatcher → cluster (ComputeWorkflow) → operator → Jobs
//!   ↑                        ↓   ↑                                          │
//!   └─────── agent ──────────┘   └── observer, collector, reaper ←──────────┘          LEDGER → api → people
//! ```
//!
//! Workers meet only in the ledger. Each is a tick without input ([`worker`]), safe to run twice and on many replicas:
//! Postgres is the queue and the lock, Kubernetes is the engine.
//!
//! # Modules
//!
//! | module | kind | knows | refuses to know |
//! |---|---|---|---|
//! | [`ids`], [`clock`], [`fault`], [`meters`], [`worker`] | leaves | newtypes; time; what an error means; what is measured; the supervised loop | everything else |
//! | [`jobs`], [`admission`], [`workflows`], [`preflight`] | domain, pure | phases and legal moves; the verdict; document, catalog and policy → specification or refusal; the verdict before the event | any I/O |
//! | [`results`] | adapter | object stores: what lies where, reading and writing it | jobs, cluster, Postgres |
//! | [`chain`] | adapter | blocks, headers, raw logs, providers | agreements |
//! | [`keeper`] | adapter | ABIs, decoding, ids, facts, deploying the contracts | Postgres, Kubernetes |
//! | [`facts`] | adapter | asking a node for what events do not carry | who asks, and why |
//! | [`documents`] | adapter | fetching what strangers name: documents, files, image facts | what they mean |
//! | [`ledger`] | adapter | SQL, one file per table | chain, cluster |
//! | [`engine`] | port | what may be asked of any engine | how it is done |
//! | [`cluster`] | adapter | the Kubernetes engine: ComputeWorkflow, manifests, workload state | Postgres |
//! | [`process`] | adapter | the development engine: the same stages as guarded child processes; no wall | Postgres, Kubernetes |
//! | [`follower`] | worker | chain → ledger | cluster |
//! | [`scheduler`] | workers | judge, resolver, dispatcher, observer, collector, reaper | chain providers |
//! | [`operator`] | worker | ComputeWorkflow → claim, Jobs → status | Postgres, chain |
//! | [`stages`] | in the pods | configure, guard, publish | Postgres, Kubernetes |
//! | [`agent`] | worker | the publisher's transactions: approving, releasing | cluster |
//! | [`api`] | read-only | routes, legacy shapes; a narrow port to the world outside | cluster, chain |
//! | [`app`] | composition | everything: configuration, wiring, lifecycle, commands, demo | – |
//!
//! `tests/it/architecture.rs` keeps this table true.
#![forbid(unsafe_code)]

pub mod admission;
pub mod agent;
pub mod api;
pub mod app;
pub mod chain;
pub mod clock;
pub mod cluster;
pub mod documents;
pub mod engine;
pub mod facts;
pub mod fault;
pub mod follower;
pub mod ids;
pub mod jobs;
pub mod keeper;
pub mod ledger;
pub mod meters;
pub mod operator;
pub mod preflight;
pub mod process;
pub mod results;
pub mod scheduler;
pub mod stages;
pub mod worker;
pub mod workflows;
