//! The agent on a real chain with the real contracts: what it answers and what it declines, and that whatever dies where, each
//! act is on the chain once and its row tells the truth.

mod approving;
mod bench;
mod declining;
mod explaining;
mod killing;
mod preflight;
mod processes;
mod releasing;
mod reloading;
mod trouble;
