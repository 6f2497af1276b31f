//! The programs that run inside a job's pods: `configure`, `guard` and `publish`.
//!
//! They refuse to know Postgres and Kubernetes: what they need comes in as files and arguments ([`ConfigurePlan`],
//! [`PublishPlan`], the guard's command line), what they have to say goes out as an exit code and one small JSON message
//! ([`Ending`]) in the file that Kubernetes calls the termination message.
//!
//! The volume of an attempt, as `configure` sees it whole and the others in parts:
//!
//! ```text
//! /data/inputs/<did without prefix>/<index>   written by configure; read-only for the algorithm
//! /data/transformations/algorithm             the algorithm's code; read-only for the algorithm
//! /data/ddos/<did without prefix>             what is known of the asset; read-only for the algorithm
//! /data/outputs, /data/logs                   the algorithm's to write (OEP-12)
//! /data/record                                the guard's job log; the algorithm cannot reach it
//! /data/filtered/outputs, /data/filtered/logs/log   what the publisher's filter leaves, where there is one
//! ```
//!
//! | stage | command | mounts |
//! |---|---|---|
//! | configure | `tidewatch stage configure --plan /plan/configure.json --data /data` | the claim at `/data`, the per-job Secret at `/plan` |
//! | install the guard (init container of the algorithm's pod) | `tidewatch stage install-guard --to /tool/guard --targets /tool/targets.json` | an emptyDir at `/tool` |
//! | algorithm | `/tool/guard run --record /data/record --watch /data/outputs --watch /data/logs --log-bytes N --seconds N --disk-bytes N [--allow-network] --network-policy preferred\|required --targets /tool/targets.json -- /bin/sh -c ENTRYPOINT` | parts of the claim by subPath (`record`, `outputs`, `logs` writable, the others read-only), `/tool` read-only, an emptyDir at `/tmp` |
//! | filter | the publisher's own | outputs and record read-only, `filtered` writable, an emptyDir at `/tmp` |
//! | publish | `tidewatch stage publish --plan JSON --data /data` (`--plan @FILE` reads a file) | outputs, record and filtered read-only, inputs writable, since it deletes them, the results Secret at `/secrets/results` |
//!
//! Flags that the pods need not give: `--message FILE` (all but `install-guard`; default `/dev/termination-log`),
//! `--credentials DIRECTORY` of publish (default `/secrets/results`; one file per option, named like `AWS_ACCESS_KEY_ID`),
//! `--allow-file` of configure and publish, and of the guard `--development`, `--memory-bytes N` and `--read PATH… --write PATH…` (development
//! only: what a container would bound; the guard is then `tidewatch stage guard`). `configure` and `publish` read `TIDEWATCH_CA_FILE`, a PEM file with certificate authorities to trust besides the system's.
//!
//! | program | exit code | termination message |
//! |---|---|---|
//! | configure | 0; 31 inputs; 32 algorithm; 42 disk | [`Ending::Configure`], with a reason unless 0 |
//! | install-guard | 0; 1, with a sentence on stderr | none |
//! | guard | the algorithm's own (128 + signal, also when the kernel killed it for memory); 42 when the guard ended it for time or disk; 127 no `/bin/sh`; 126 it could not be executed; 125 the guard refused to run it | [`Ending::Algorithm`]; its `reason` alone tells the guard's decisions from an algorithm that exits with the same number |
//! | publish | 0; 61 | [`Ending::Publish`] |
//!
//! The guard ends the algorithm itself after `--seconds`, so the pod's deadline should leave it half a minute more. On SIGTERM it
//! passes the signal on, kills everything three seconds later and completes the record: `terminationGracePeriodSeconds` of 10
//! or more leaves it the time. A record directory that holds a log already is never used again (125): one volume, one run.
//!
//! Layout: `plan.rs` the plans and endings, `ending.rs` how an ending is written, `configure/`, `install.rs`, `guard/`, `publish/`;
//! `network/` is what the first three share to find out whether the cluster denies the network.
//! They are one room since the volume is their only wire; each has its own errors, which know exit code and reason.
//!
//! Our own programs print nothing of the algorithm's: the record of its log goes to the results store, for operators.

pub mod configure;
mod ending;
pub mod guard;
mod install;
mod network;
mod plan;
pub mod publish;

pub use ending::TERMINATION_MESSAGE;
pub use install::{Error as InstallError, install_guard, write_targets};
pub use network::{Error as NetworkError, Surroundings};
pub use plan::{ConfigurePlan, Ending, InputFile, MOST_LOG_BYTES, PlanError, PublishPlan};
