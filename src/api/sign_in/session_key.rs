use std::path::PathBuf;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::api::problem::Problem;

/// Shortest content of a key's file: 32 characters of hexadecimal are 128 bits.
pub const SHORTEST_KEY: usize = 32;

/// The secret that challenges and access tokens rest on. Another secret, and all of both are void.
pub(super) struct SessionKey {
    file: Option<PathBuf>,
    /// The key of this process alone, when there is no file.
    own: Key,
}

/// A secret in force.
#[derive(Clone)]
pub(in crate::api) struct Key([u8; 32]);

impl SessionKey {
    /// The key in that file, read at every use, so that a new one counts from the moment it is there; else a random one.
    pub(super) fn new(file: Option<PathBuf>) -> Self {
        let random = [Uuid::new_v4(), Uuid::new_v4()].map(Uuid::into_bytes);
        Self {
            file,
            own: Key::of(random.as_flattened()),
        }
    }

    /// The key in force now.
    pub(super) async fn current(&self) -> Result<Key, Problem> {
        let Some(file) = &self.file else {
            return Ok(self.own.clone());
        };
        let cannot = || Problem::unavailable("Sign-in cannot be checked now.");
        let content = tokio::fs::read(file).await.map_err(|error| {
            tracing::error!(%error, file = %file.display(), "the key of sign-ins cannot be read");
            cannot()
        })?;
        let content = content.trim_ascii();
        if content.len() < SHORTEST_KEY {
            tracing::error!(file = %file.display(), "the key of sign-ins is shorter than {SHORTEST_KEY} bytes");
            return Err(cannot());
        }
        Ok(Key::of(content))
    }
}

impl Key {
    /// The key that follows from a secret of any length.
    pub(in crate::api) fn of(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// HMAC-SHA-256 (RFC 2104) over parts that have fixed lengths, but for the last. `label` says what it is for, so that a MAC
    /// for one thing is none for another.
    pub(super) fn mac(&self, label: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut block = [0; 64];
        block[..32].copy_from_slice(&self.0);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(label.as_bytes());
        mac.update(&[0]);
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionKey")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}
