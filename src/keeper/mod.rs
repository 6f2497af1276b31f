//! What the keeper contracts say: ABIs, decoding, ids, facts, and how to deploy them on a development chain.

mod event;

pub use event::{KeeperEvent, Subject};
