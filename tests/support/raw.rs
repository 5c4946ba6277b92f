//! A connection that sends exactly the bytes it is told to: requests that stop half-way, bodies in pieces, two at a time.

use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpStream;

use regex::bytes::Regex;

use super::DEADLINE;

/// Closed when dropped.
pub struct Raw {
    stream: TcpStream,
    received: Vec<u8>,
}

// === impl Raw ===

impl Raw {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, received: Vec::new() }
    }

    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// As [`Raw::write`], to a side that may have closed.
    pub fn try_write(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// One chunk of a body with `transfer-encoding: chunked`; an empty one ends it.
    pub fn chunk(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.write([format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat());
    }

    /// Reads until everything received so far matches, and answers all of it.
    pub fn read_until(&mut self, pattern: &str) -> String {
        let regex = Regex::new(pattern).unwrap();
        while !regex.is_match(&self.received) {
            assert!(self.read() > 0, "closed before /{pattern}/ came: {}", self.text());
        }
        self.text()
    }

    /// What was received so far does not count any more.
    pub fn forget(&mut self) {
        self.received.clear();
    }

    /// Reads until the other side closes.
    pub fn read_to_end(&mut self) -> String {
        while self.read() > 0 {}
        self.text()
    }

    /// As [`Raw::read_to_end`], for what is no text.
    pub fn read_to_end_bytes(&mut self) -> Vec<u8> {
        while self.read() > 0 {}
        self.received.clone()
    }

    /// No more will be written; what comes can still be read.
    pub fn finish(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    fn read(&mut self) -> usize {
        let mut piece = [0; 8192];
        let read = match self.stream.read(&mut piece) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("nothing came; so far: {}", self.text())
            }
            result => result.unwrap_or(0),
        };
        self.received.extend_from_slice(&piece[..read]);
        read
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }
}
