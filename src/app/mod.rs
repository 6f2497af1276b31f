//! Composition: configuration, wiring, lifecycle, commands.
