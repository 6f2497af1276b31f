use std::collections::VecDeque;
use std::io;

/// Bytes that fit into a pipe that is ready for writing: `PIPE_BUF` of pipe(7).
const PIECE: usize = 4096;

/// Bytes that the container log of all that is printed may take on the node. The kubelet begins a new file of it at 10 MiB, but looks
/// only every ten seconds, and counts it against the pod's ephemeral storage: a program that prints faster than that would be evicted
/// for its log.
const LOG_BYTES: u64 = 32 * 1024 * 1024;

/// What the container runtime writes beside each line, or each 16 KiB of a longer one: time, stream and a tag (kubernetes/cri-api,
/// the format of container logs), at most.
const LINE_BYTES: u64 = 48;
const LONGEST_LINE: usize = 16 * 1024;

/// The guard's own standard output: what people follow live. Not the record.
///
/// It ends when as much was printed as may lie on the node: the preview is the beginning of the record, then the record goes on alone.
///
///
/// It is shared with whoever started the guard, so it is never set non-blocking; instead it is written only when it is
/// ready, and then only as much as a ready pipe takes for certain. So the guard can always still enforce its limits, and
/// an algorithm that prints faster than anybody reads is slowed down, because nothing is read from it meanwhile.
#[derive(Debug)]
pub(super) struct Outlet {
    waiting: VecDeque<u8>,
    closed: bool,
    left: u64,
}

impl Default for Outlet {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            closed: false,
            left: LOG_BYTES,
        }
    }
}

impl Outlet {
    /// Takes bytes to print; forgets them when nobody listens any more.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.closed {
            return;
        }
        match self.left.checked_sub(size_on_node(bytes)) {
            Some(left) => {
                self.left = left;
                self.waiting.extend(bytes);
            }
            None => self.closed = true,
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

fn size_on_node(bytes: &[u8]) -> u64 {
    let ends = bytes.iter().filter(|byte| **byte == b'\n').count();
    let lines = ends + bytes.len().div_ceil(LONGEST_LINE);
    bytes.len() as u64 + lines as u64 * LINE_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_bounded_by_what_it_takes_on_the_node() {
        let mut outlet = Outlet::default();
        let line = [b"x".repeat(99), b"\n".to_vec()].concat();
        for _ in 0..1_000_000 {
            outlet.push(&line);
        }
        let printed = outlet.waiting.len() as u64;
        assert!(printed > LOG_BYTES / 3 && printed < LOG_BYTES, "{printed}");
        assert!(outlet.closed);
        assert_eq!(printed % 100, 0, "the beginning, in whole pieces");
    }
}
