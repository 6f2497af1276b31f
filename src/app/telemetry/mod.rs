//! What the process tells of itself: its log on standard error, its metrics on a port of their own.

mod logging;
mod metrics;
mod nodes;

pub(super) use logging::start as start_logging;
pub(super) use metrics::{Metrics, Source};
