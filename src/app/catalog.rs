//! The publisher's catalog, read again when its content changes.
//!
//! It is looked at by content, not by time stamp or watch: a mounted ConfigMap changes by swapping a symbolic link, and the
//! file is small. A broken new version keeps the old one and says so once.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::workflows::Catalog;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Reads the catalog and answers where its versions will appear. Without a file every asset is somebody else's.
///
/// # Errors
/// The file cannot be read, or is not a catalog: at the start that is a refusal.
pub(super) fn open(path: Option<&Path>) -> anyhow::Result<Source> {
    let (catalog, bytes) = match path {
        Some(path) => {
            let bytes = read(path)?;
            let catalog = Catalog::parse(&bytes)
                .with_context(|| format!("the catalog {} cannot be used", path.display()))?;
            (catalog, bytes)
        }
        None => (Catalog::empty(), Vec::new()),
    };
    let (sender, receiver) = watch::channel(Arc::new(catalog));
    Ok(Source {
        path: path.map(Path::to_owned),
        bytes,
        sender,
        receiver,
    })
}

/// A catalog and its file.
#[derive(Debug)]
pub(super) struct Source {
    path: Option<PathBuf>,
    bytes: Vec<u8>,
    sender: watch::Sender<Arc<Catalog>>,
    receiver: watch::Receiver<Arc<Catalog>>,
}

impl Source {
    /// Shows the newest good version.
    pub(super) fn receiver(&self) -> watch::Receiver<Arc<Catalog>> {
        self.receiver.clone()
    }

    /// Looks for new versions until `stop`.
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
        let Some(path) = &self.path else { return };
        let bytes = match read(path) {
            Ok(bytes) if bytes == self.bytes => return,
            Ok(bytes) => bytes,
            // a file that is away for a moment is being replaced
            Err(_) => return,
        };
        match Catalog::parse(&bytes) {
            Ok(catalog) => {
                tracing::info!(path = %path.display(), "the catalog has changed; later judgements use it");
                self.sender.send_replace(Arc::new(catalog));
            }
            Err(error) => {
                let error = crate::worker::Chain(&error).to_string();
                tracing::error!(path = %path.display(), error, "the changed catalog cannot be used; the old one stays");
            }
        }
        self.bytes = bytes;
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("could not read the catalog {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_taken_and_a_broken_one_is_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "schemaVersion: 1\nassets: []\n").unwrap();
        let mut source = open(Some(file.path())).unwrap();
        let receiver = source.receiver();
        let first = Arc::clone(&receiver.borrow());

        std::fs::write(file.path(), "schemaVersion: 1\nassetss: []\n").unwrap();
        source.look();
        assert!(Arc::ptr_eq(&first, &receiver.borrow()));

        std::fs::write(file.path(), "schemaVersion: 1\nassets: []\n# again\n").unwrap();
        source.look();
        assert!(!Arc::ptr_eq(&first, &receiver.borrow()));
    }
}
