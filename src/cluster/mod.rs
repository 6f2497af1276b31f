//! The Kubernetes engine.
