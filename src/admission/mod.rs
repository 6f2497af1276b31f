//! Decides whether a compute condition's job is owed. Pure.
