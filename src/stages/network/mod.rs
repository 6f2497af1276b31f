//! Whether the cluster denies the network to a pod: asked from inside that very pod, by trying.
//!
//! A network policy is only as good as the plugin that enforces it. One that does not know policies ignores them without a word,
//! and those that do may take seconds to reach a new pod. So nothing is believed of a policy; what is believed is that an address
//! which answered `configure` a moment ago, from the same namespace, does not answer the algorithm's pod now.
//!
//! - `configure` may use the network, so it is the positive control: it asks the same kinds of address and writes down which
//!   answered ([`Control`]). Silence of an address that never answers anybody proves nothing.
//! - The init container that brings the guard finds out the addresses as the algorithm's own pod knows them ([`Targets`]).
//! - The guard, in the algorithm's container and before its own filter, asks them all at once (`probe.rs`), and judges.
//!
//! An answer is a TCP connection or a datagram that came back. A refusal is none, since that is how some plugins deny: whether
//! anything listens there is what the control is for.
//!
//! Layout: `targets.rs` what is asked and how it is found out, `probe.rs` the asking, `control.rs` what answered `configure`.
//!
//! Not covered: an address that none of these kinds stands for, and what happens to the policies after the algorithm has started.
//! The guard's own filter, which needs no cluster, is for those.

mod control;
mod probe;
mod targets;

use std::io;
use std::path::{Path, PathBuf};

pub(super) use control::Control;
pub(super) use probe::answered;
pub use targets::Surroundings;
pub(super) use targets::{Kind, Targets};

/// A file of this room could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} {}", .path.display())]
pub struct Error {
    verb: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Makes a converter for errors of one attempt on one file.
fn failed<E: Into<io::Error>>(verb: &'static str, path: &Path) -> impl FnOnce(E) -> Error {
    move |source| Error {
        verb,
        path: path.to_owned(),
        source: source.into(),
    }
}

/// Writes a file as a whole or not at all: whoever reads it never sees a part.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let part = path.with_extension("part");
    std::fs::write(&part, bytes)
        .and_then(|()| std::fs::rename(&part, path))
        .map_err(failed("write", path))
}
