//! Real parts for tests: each test gets its own, ended when the test ends.

pub(crate) mod cluster;
pub(crate) mod inputs;
