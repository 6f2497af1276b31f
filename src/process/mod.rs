//! The development engine: the stages of a job as guarded child processes of this machine, for a machine with neither a cluster nor
//! root. **It is no wall** ([`NO_WALL`]): a program of a stranger runs as a user of this machine, on this machine's kernel and files.
//! It is for development, for the demo, and for data that may be lost.
//!
//! It refuses to know Postgres and Kubernetes. Two sides use it, as they use a cluster: schedulers ask [`ProcessEngine`] for workflows
//! (through [`crate::engine::Engine`]), and a [`Runner`] carries them out. They meet only in a directory.
//!
//! Layout:
//! - `workflow.rs`: what is written down of a workflow; `shelf.rs`: where, under locks, each file whole or not at all;
//!   `stage_files.rs`: the files of one stage;
//! - `engine.rs`, with `preview.rs`: the port's implementation;
//! - `decide/`, with `ending.rs`: workflow and what is seen of its stage in, the next step out, pure;
//! - `runner.rs`: looks, decides, acts; `launch.rs`: the programs of the stages; `processes.rs`: finding and ending them;
//! - `settings.rs`, `error.rs`.
//!
//! ```text
//! <directory>/jobs/<job>/workflow.json             what was asked, and what has become of it
//! <directory>/jobs/<job>/attempts/<n>/data/…       the volume of an attempt, as `stages` describes it
//! <directory>/jobs/<job>/attempts/<n>/<stage>-<n>/ lock, ending and standard error of a stage
//! <directory>/secrets/inputs/<name>/<key>          what a cluster has as Secrets for inputs
//! <directory>/secrets/results/<key>                options of the results' store
//! ```
//!
//! # Why nothing runs twice
//!
//! A stage is written down as begun before its program is started. The program's standard input is the stage's lock file, locked: the
//! kernel keeps that lock exactly as long as the program lives, whatever becomes of whoever started it. So a runner that was killed
//! and comes again finds three cases and no fourth: the lock is held, and the stage runs; it is free and there is an ending, and the
//! stage is over; it is free and there is none, and the stage is lost, also where its program had not been started yet. A lost
//! `configure` or `publish` is done again, since doing it twice is doing it once; a lost algorithm never is. Pids are not written
//! down: they would be missing exactly when a crash made them needed, and may be another's later. Whoever must end a program finds it
//! by its command line.
//!
//! # How much of a wall it is
//!
//! As much as an unprivileged process can build (`stages::guard`): no socket but a local one, no privileges to gain, files by Landlock
//! (the system's programs and the job's own directories, nothing else), bounded time, output, disk, files, processes and memory. Run by root, the
//! algorithm gets a user of its own. What a pod has besides is missing: namespaces, control groups, a root of its own, the
//! cluster's denial of the network. An algorithm whose guard is killed may live until the runner sees it.
//!
//! Images are not run: the entrypoint is started by this machine's `/bin/sh`, with this machine's programs, and the job's record has
//! `none` as the image's digest. OEP-12's paths under `/data` are had only through its variables (`INPUTS`, `OUTPUTS`, …), since binding them
//! there needs a root of the job's own.

mod decide;
mod ending;
mod engine;
mod error;
mod launch;
mod preview;
mod processes;
mod runner;
mod settings;
mod shelf;
mod stage_files;
mod workflow;

pub use engine::ProcessEngine;
pub use error::Error;
pub use processes::end_all;
pub use runner::Runner;
pub use settings::Settings;
pub use workflow::{Run, StageRun, Workflow};

/// What everybody is told who uses this engine.
pub const NO_WALL: &str = "the process engine is no wall: algorithms run as processes of this machine, with its programs and on its kernel; use it for development and with data that may be lost, never for strangers' algorithms on real data";
