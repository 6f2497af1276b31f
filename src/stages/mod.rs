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
//! ```
//!
//! | stage | command | mounts |
//! |---|---|---|
//! | configure | `tidewatch stage configure --plan /plan/configure.json --data /data` | the claim at `/data`, the per-job Secret at `/plan` |
//! | install the guard (init container of the algorithm's pod) | `tidewatch stage install-guard --to /tool/guard` | an emptyDir at `/tool` |
//! | algorithm | `/tool/guard run --record /data/record --watch /data/outputs … -- /bin/sh -c ENTRYPOINT` | parts of the claim by subPath, `/tool` read-only, an emptyDir at `/tmp` |
//! | publish | `tidewatch stage publish --plan JSON --data /data` | outputs and record read-only, the results Secret at `/secrets/results` |
//!
//! `publish` prints the job log's bytes on its standard output and nothing else anywhere, so that its container log is the record.

mod plan;

pub use plan::{ConfigurePlan, Ending, InputFile, PublishPlan};
