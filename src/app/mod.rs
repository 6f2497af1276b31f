//! Composition: configuration, wiring, lifecycle, commands.

pub mod anvil;
pub mod packages;
