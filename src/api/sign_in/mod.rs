//! Signing in with an Ethereum account (EIP-4361): a challenge, its signature, and a short-lived token for it.
//!
//! It refuses to know jobs: whoever signs in has shown to hold an account, and nothing else. What that account may read is decided
//! anew at every request (`parties.rs`), so a permission that is revoked on chain is gone although the token lives on.
//!
//! Layout: `message.rs` reads EIP-4361's text; `challenge.rs` writes and recognises ours; `session_key.rs` is the secret that both
//! rest on; `access_token.rs` what is had for a signature; `signature.rs` the signatures of keys, `wallet.rs` those of contracts.
//!
//! Invariants:
//! - nothing is kept for whoever asks for a challenge: its nonce carries a MAC over the whole text, so it is recognised without
//!   having been stored. Only a nonce that was spent is, until its challenge is over;
//! - a challenge is spent once, and only by a signature that is right: nobody can spend another's;
//! - what a signature is good for is read from the text that was signed, and the text is ours, byte for byte.
//!
//! Why the text is read here and not by the crate `siwe`: its last release (0.6.1) is years old and brings its own curves, times
//! and errors, while what is read here is ten lines in a fixed order, and is compared with what was written. Why challenges of
//! contracts live for 24 hours and others for ten minutes: the owners of a Safe sign one after another, over hours; a person with a
//! key does so at once, and a challenge that lies about is one that can be stolen.

mod access_token;
mod challenge;
mod message;
mod origin;
mod session_key;
mod signature;
mod wallet;

use std::path::PathBuf;

use super::problem::Problem;

pub(super) use access_token::{Account, LIFETIME};
pub(super) use challenge::{Accepted, Challenge, Refused};
pub use origin::{NoOrigin, Origin};
pub(super) use session_key::Key;
pub use session_key::SHORTEST_KEY;
pub(super) use signature::signer;
pub(super) use wallet::{Wallet, code_size, has_code};

use session_key::SessionKey;

/// What signing in rests on.
#[derive(Debug)]
pub(super) struct SignIn {
    pub(super) origin: Origin,
    key: SessionKey,
}

impl SignIn {
    /// Signing in at `origin`, under the key in a file, else under one that lives as long as this process.
    pub(super) fn at(origin: Origin, key_file: Option<PathBuf>) -> Self {
        Self {
            origin,
            key: SessionKey::new(key_file),
        }
    }

    /// The key in force now.
    pub(super) async fn key(&self) -> Result<Key, Problem> {
        self.key.current().await
    }
}
