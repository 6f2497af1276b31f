//! One file per command.

pub(super) mod crd;
pub(super) mod keeper_deploy;
pub(super) mod keeper_upgrade;
pub(super) mod migrate;
pub(super) mod run;
