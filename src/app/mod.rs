//! Composition: configuration, wiring, lifecycle, commands.

pub mod stage;
