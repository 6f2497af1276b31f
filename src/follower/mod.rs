//! The worker that carries the chain's logs into the ledger.
