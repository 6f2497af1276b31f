//! The body of an answer, sent in chunks while it is written (RFC 9112, section 7.1).

use std::io::{self, Write};
use std::net::TcpStream;

use alloy::hex;

/// Bytes that are collected before a chunk is sent.
const CHUNK: usize = 128 << 10;

/// A body on its way.
pub(super) struct Body<'a> {
    stream: &'a mut TcpStream,
    bytes: Vec<u8>,
}

impl<'a> Body<'a> {
    /// Begins the answer; everything of it is in the first chunk when it is short.
    pub(super) fn begin(stream: &'a mut TcpStream) -> Self {
        Self {
            stream,
            bytes: Vec::with_capacity(CHUNK + (8 << 10)),
        }
    }

    /// The head of every answer.
    pub(super) fn send_head(&mut self) -> io::Result<()> {
        self.stream.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        )
    }

    /// Text as it is.
    pub(super) fn text(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// Bytes as `"0x…"`.
    pub(super) fn hex(&mut self, bytes: &[u8]) {
        self.text("\"0x");
        let start = self.bytes.len();
        self.bytes.resize(start + 2 * bytes.len(), 0);
        if let Some(place) = self.bytes.get_mut(start..) {
            // The place is twice as long by construction.
            hex::encode_to_slice(bytes, place).ok();
        }
        self.text("\"");
    }

    /// A number as JSON-RPC writes it.
    pub(super) fn quantity(&mut self, number: u64) -> io::Result<()> {
        write!(self.bytes, "\"{number:#x}\"")
    }

    /// Sends what was collected if that is a chunk's worth.
    pub(super) fn spill(&mut self) -> io::Result<()> {
        if self.bytes.len() >= CHUNK {
            self.send_chunk()?;
        }
        Ok(())
    }

    /// Sends the rest and ends the answer.
    pub(super) fn end(mut self) -> io::Result<()> {
        if !self.bytes.is_empty() {
            self.send_chunk()?;
        }
        self.stream.write_all(b"0\r\n\r\n")
    }

    fn send_chunk(&mut self) -> io::Result<()> {
        let mut head = Vec::with_capacity(16);
        write!(head, "{:x}\r\n", self.bytes.len())?;
        self.bytes.extend_from_slice(b"\r\n");
        self.stream.write_all(&head)?;
        self.stream.write_all(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }
}
