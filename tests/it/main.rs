//! Integration tests on real parts. `tests/run` prepares them.

mod scheduler;
