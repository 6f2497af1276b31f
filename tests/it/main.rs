//! Integration tests on real parts. `tests/run` prepares them.

mod api;
mod architecture;
mod support;
