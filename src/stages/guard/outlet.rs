use std::collections::VecDeque;
use std::io;

/// Bytes that fit into a pipe that is ready for writing: `PIPE_BUF` of pipe(7).
const PIECE: usize = 4096;

/// The guard's own standard output: what people follow live. Not the record.
///
/// It is shared with whoever started the guard, so it is never set non-blocking; instead it is written only when it is
/// ready, and then only as much as a ready pipe takes for certain. So the guard can always still enforce its limits, and
/// an algorithm that prints faster than anybody reads is slowed down, because nothing is read from it meanwhile.
#[derive(Debug, Default)]
pub(super) struct Outlet {
    waiting: VecDeque<u8>,
    closed: bool,
}

impl Outlet {
    /// Takes bytes to print; forgets them when nobody listens any more.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if !self.closed {
            self.waiting.extend(bytes);
        }
    }

    /// Whether bytes wait to be printed.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Prints one piece. To be called when standard output is ready.
    pub(super) fn print_some(&mut self) {
        let (piece, _) = self.waiting.as_slices();
        let piece = piece.get(..PIECE).unwrap_or(piece);
        match rustix::io::write(io::stdout(), piece) {
            Ok(printed) => {
                self.waiting.drain(..printed);
            }
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            // The reader is gone. The record goes on.
            Err(_) => {
                self.closed = true;
                self.waiting.clear();
            }
        }
    }
}
