//! The walls around an algorithm, on a real cluster: that they stand, that each is needed, and that the job's record says which
//! of them stood.

mod admission;
mod attacks;
mod proof;
mod rights;
mod sidecar;
mod surroundings;
mod variants;
