//! What lies where, relative to the publisher's prefix. Every key begins with the job and the attempt, so a second attempt touches
//! nothing of the first.

use crate::engine::Stage;
use crate::ids::JobName;

/// The manifest: what an attempt published. Written last.
pub fn manifest(job: &JobName, attempt: u32) -> String {
    format!("{job}/{attempt}/manifest.json")
}

/// A result file, by its path under `outputs`.
pub fn output(job: &JobName, attempt: u32, path: &str) -> String {
    format!("{job}/{attempt}/outputs/{path}")
}

/// The record of a log: what the algorithm printed, or what the publisher's filter made of that. For operators and the
/// collector; nothing below `record/` is a result.
pub fn record(job: &JobName, attempt: u32, stage: Stage) -> String {
    format!("{job}/{attempt}/record/{stage}")
}

/// Which bytes of the algorithm's log came when, and from which stream: one line `[sequence, milliseconds since 1970, stream,
/// length]` for each run of them.
pub fn frames(job: &JobName, attempt: u32) -> String {
    format!("{job}/{attempt}/record/frames.jsonl")
}
