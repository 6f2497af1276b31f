//! One file per command; `opening.rs` is what operators' commands begin with, `past_purchases.rs` a part of `check`.

pub(super) mod check;
pub(super) mod crd;
pub(super) mod explain;
pub(super) mod follower;
pub(super) mod jobs;
pub(super) mod keeper_deploy;
pub(super) mod keeper_upgrade;
pub(super) mod migrate;
pub(super) mod openapi;
mod opening;
mod owners;
pub(super) mod parked;
mod past_purchases;
pub(super) mod pause;
pub(super) mod run;
pub(super) mod status;
