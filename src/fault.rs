//! What an error means for the worker that meets it. Every adapter's error answers `fault()`.

/// The consequence of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It may be gone next time: stand still, say so, try again with growing delay. "Cannot see" is never "has failed".
    Transient,
    /// This item will never succeed as it is: park or refuse it with a reason and go on with the others.
    Rejected,
    /// Going on could do harm (another chain, a schema from the future, a broken invariant): stop the process.
    Fatal,
}
