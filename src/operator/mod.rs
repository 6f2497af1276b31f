//! The worker that turns a ComputeWorkflow into Jobs.
