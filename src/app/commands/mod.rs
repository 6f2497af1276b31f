//! One file per command; `opening.rs` is what operators' commands begin with.

pub(super) mod check;
pub(super) mod crd;
pub(super) mod follower;
pub(super) mod keeper_deploy;
pub(super) mod migrate;
mod opening;
pub(super) mod parked;
pub(super) mod pause;
pub(super) mod run;
pub(super) mod status;
