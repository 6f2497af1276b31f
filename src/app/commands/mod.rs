//! One file per command.

pub(super) mod crd;
pub(super) mod explain;
pub(super) mod keeper_deploy;
pub(super) mod migrate;
pub(super) mod run;
