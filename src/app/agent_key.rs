//! The agent's key, read again when its file changes.
//!
//! As with the catalog it is the content that is looked at: a mounted Secret changes by swapping a symbolic link. A file that holds no
//! key, or is away for a moment, keeps the old key; what it holds is never told.

use std::path::PathBuf;
use std::time::Duration;

use alloy::primitives::B256;
use alloy::signers::local::PrivateKeySigner;
use anyhow::Context;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::config::{AgentConfig, Secret};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// A key and its file.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    text: Secret,
    sender: watch::Sender<PrivateKeySigner>,
}

impl Source {
    /// Begins with the configured key.
    ///
    /// # Errors
    /// A sentence: it is none.
    pub(super) fn new(config: &AgentConfig) -> anyhow::Result<Self> {
        let signer = read(config.key.expose())
            .context("TIDEWATCH_AGENT_KEY_FILE holds a number that secp256k1 has no key for")?;
        Ok(Self {
            path: config.key_file.clone(),
            text: Secret::new(config.key.expose()),
            sender: watch::Sender::new(signer),
        })
    }

    /// Shows the newest good one.
    pub(super) fn receiver(&self) -> watch::Receiver<PrivateKeySigner> {
        self.sender.subscribe()
    }

    /// Looks for another key until `stop`.
    pub(super) async fn follow(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        while stop
            .run_until_cancelled(tokio::time::sleep(LOOK))
            .await
            .is_some()
        {
            self.look();
        }
        Ok(())
    }

    fn look(&mut self) {
        let Ok(text) = std::fs::read_to_string(&self.path) else {
            return;
        };
        if text.trim() == self.text.expose() {
            return;
        }
        match read(text.trim()) {
            Some(signer) => _ = self.sender.send_replace(signer),
            None => {
                tracing::error!(path = %self.path.display(), "the changed file holds no private key; the agent keeps the old one");
            }
        }
        self.text = Secret::new(text.trim());
    }
}

fn read(text: &str) -> Option<PrivateKeySigner> {
    let key: B256 = text.parse().ok()?;
    PrivateKeySigner::from_bytes(&key).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_key_is_taken_and_what_is_none_is_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let key = |byte: u8| {
            format!(
                "0x{}",
                B256::repeat_byte(byte).to_string().trim_start_matches("0x")
            )
        };
        let config = AgentConfig {
            kinds: Vec::new(),
            key_file: file.path().to_owned(),
            key: Secret::new(key(1)),
            max_fee: 1,
            daily_gas: 1,
        };
        std::fs::write(file.path(), key(1)).unwrap();
        let mut source = Source::new(&config).unwrap();
        let mut keys = source.receiver();
        let address = |byte: u8| read(&key(byte)).unwrap().address();

        for (text, expected) in [
            (key(1), 1),
            (format!("{}\n", key(2)), 2),
            ("oops".to_owned(), 2),
            (String::new(), 2),
            (key(3), 3),
        ] {
            std::fs::write(file.path(), text).unwrap();
            source.look();
            assert_eq!(keys.borrow_and_update().address(), address(expected));
        }
        std::fs::remove_file(file.path()).unwrap();
        source.look();
        assert_eq!(keys.borrow_and_update().address(), address(3));
    }
}
