use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use tokio::net::{TcpListener, TcpStream};

/// A door in front of a node that can be shut: connections then end at once. It can be made to lead to another node.
pub(super) struct Gate {
    pub(super) url: String,
    port: Arc<AtomicU16>,
    shut: Arc<AtomicBool>,
    /// Whether somebody has met the shut gate.
    pub(super) refused: Arc<AtomicBool>,
    broken: Arc<tokio::sync::Notify>,
}

impl Gate {
    pub(super) async fn before(node: url::Url) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gate = Self {
            url: format!("http://{}/", listener.local_addr().unwrap()),
            port: Arc::new(AtomicU16::new(node.port().unwrap())),
            shut: Arc::default(),
            refused: Arc::default(),
            broken: Arc::default(),
        };
        let (shut, refused) = (Arc::clone(&gate.shut), Arc::clone(&gate.refused));
        let (broken, port) = (Arc::clone(&gate.broken), Arc::clone(&gate.port));
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                if shut.load(Ordering::SeqCst) {
                    refused.store(true, Ordering::SeqCst);
                    continue;
                }
                let (broken, port) = (Arc::clone(&broken), port.load(Ordering::SeqCst));
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        () = broken.notified() => {}
                    }
                });
            }
        });
        gate
    }

    pub(super) fn close(&self) {
        self.shut.store(true, Ordering::SeqCst);
        self.broken.notify_waiters();
    }

    /// From now on another node is behind it.
    pub(super) fn lead_to(&self, node: &url::Url) {
        self.port.store(node.port().unwrap(), Ordering::SeqCst);
        self.broken.notify_waiters();
    }

    pub(super) fn open(&self) {
        self.shut.store(false, Ordering::SeqCst);
    }
}
