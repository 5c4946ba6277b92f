//! HTTP/2 frame by frame, for clients that no library would be: floods, windows that stay shut, heads that never end.

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;

use super::DEADLINE;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;

/// A connection by prior knowledge. Closed when dropped.
pub struct Frames {
    stream: TcpStream,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

// === impl Frames ===

impl Frames {
    /// Connects, and sends the preface and SETTINGS with these parameters.
    pub fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut frames = Self { stream };
        frames.bytes(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let payload: Vec<u8> =
            settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        frames.send(SETTINGS, 0, 0, &payload);
        frames
    }

    /// `false` once the server has closed.
    pub fn bytes(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let bytes = frame(kind, flags, stream, payload);
        self.bytes(&bytes)
    }

    /// A request of these fields, in one frame.
    pub fn request(&mut self, stream: u32, flags: u8, fields: &[(&str, &str)]) -> bool {
        self.send(HEADERS, flags | END_HEADERS, stream, &block(fields))
    }

    /// `GET path` at `host`.
    pub fn get(&mut self, stream: u32, host: &str, path: &str) -> bool {
        self.request(stream, END_STREAM, &get(host, path))
    }

    /// The next frame; `None` once the server has closed.
    pub fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).ok().or_else(|| panic_if_silent(&self.stream))?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).ok()?;
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// Frames up to the first that is `wanted`; panics when the server closes before.
    pub fn read_until(&mut self, wanted: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let frame = self.read().expect("the frame before the end");
            if wanted(&frame) {
                return frame;
            }
        }
    }

    /// All frames until the server closes.
    pub fn read_to_end(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.read()).collect()
    }

    /// What has been received and not been read is thrown away; the other side may be writing.
    pub fn shared(&self) -> TcpStream {
        self.stream.try_clone().unwrap()
    }
}

fn panic_if_silent(stream: &TcpStream) -> Option<()> {
    let mut byte = [0];
    match stream.peek(&mut byte) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("nothing came within the deadline"),
        _ => None,
    }
}

impl Frame {
    /// The error code of RST_STREAM or GOAWAY.
    pub fn error(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    /// The `:status` of a HEADERS frame: indexed, or a literal of three digits, plain or in Huffman's code.
    pub fn status(&self) -> u16 {
        match self.payload[0] {
            0x88 => 200,
            0x89 => 204,
            0x8b => 304,
            0x8c => 400,
            0x8d => 404,
            0x8e => 500,
            0x08 | 0x48 if self.payload[1] & 0x80 == 0 => {
                std::str::from_utf8(&self.payload[2..5]).unwrap().parse().unwrap()
            }
            0x08 | 0x48 => {
                let length = usize::from(self.payload[1] & 0x7f);
                digits(&self.payload[2..2 + length])
            }
            other => panic!("a status that begins with {other:#x}"),
        }
    }
}

/// A number of three digits in Huffman's code: 0, 1 and 2 are five bits, 3 to 9 six.
fn digits(code: &[u8]) -> u16 {
    let bits: Vec<u16> = code.iter().flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1))).collect();
    let number = |from: usize, count: usize| bits[from..from + count].iter().fold(0, |number, bit| number << 1 | bit);
    let mut at = 0;
    (0..3).fold(0, |status, _| {
        let short = number(at, 5);
        let digit = if short <= 2 { short } else { number(at, 6) - 0b01_1001 + 3 };
        at += if short <= 2 { 5 } else { 6 };
        status * 10 + digit
    })
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head[..], payload].concat()
}

pub fn get<'a>(host: &'a str, path: &'a str) -> [(&'a str, &'a str); 4] {
    [(":method", "GET"), (":scheme", "http"), (":authority", host), (":path", path)]
}

/// A header block of literals without indexing and without Huffman codes.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            length(&mut block, text.len());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// An integer with a prefix of seven bits.
fn length(block: &mut Vec<u8>, mut value: usize) {
    if value < 127 {
        block.push(value as u8);
        return;
    }
    block.push(127);
    value -= 127;
    while value >= 128 {
        block.push((value % 128) as u8 | 128);
        value /= 128;
    }
    block.push(value as u8);
}
