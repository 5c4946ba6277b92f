//! A Redis of a few commands: what a client package needs to be tried over real sockets.

use std::collections::HashMap;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Result;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;

type Store = Arc<Mutex<HashMap<Vec<u8>, Vec<u8>>>>;

/// Ends with the test's process.
pub struct Redis {
    pub address: SocketAddr,
}

// === impl Redis ===

impl Redis {
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let store = Store::default();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let store = Arc::clone(&store);
                std::thread::spawn(move || serve(&stream, &store));
            }
        });
        Self { address }
    }
}

fn serve(stream: &TcpStream, store: &Store) -> Result<()> {
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    while let Some(command) = receive(&mut reader)? {
        writer.write_all(&answer(&command, store))?;
    }
    Ok(())
}

/// An array of texts with their lengths, as clients send commands.
fn receive(reader: &mut impl BufRead) -> Result<Option<Vec<Vec<u8>>>> {
    let Some(count) = number(reader, '*')? else { return Ok(None) };
    let mut command = Vec::new();
    for _ in 0..count {
        let Some(length) = number(reader, '$')? else { return Ok(None) };
        let mut text = vec![0; length + 2];
        reader.read_exact(&mut text)?;
        text.truncate(length);
        command.push(text);
    }
    Ok(Some(command))
}

fn number(reader: &mut impl BufRead, kind: char) -> Result<Option<usize>> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    Ok(line.trim_end().strip_prefix(kind).and_then(|text| text.parse().ok()))
}

fn answer(command: &[Vec<u8>], store: &Store) -> Vec<u8> {
    let name = command.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
    let mut store = store.lock().unwrap();
    match (name.as_slice(), &command[1..]) {
        (b"SET", [key, value, ..]) => {
            store.insert(key.clone(), value.clone());
            b"+OK\r\n".to_vec()
        }
        (b"GET", [key]) => store.get(key).map_or_else(|| b"$-1\r\n".to_vec(), |value| text(value)),
        (b"INCR", [key]) => {
            let before: i64 = store.get(key).map_or(0, |value| String::from_utf8_lossy(value).parse().unwrap_or(0));
            store.insert(key.clone(), (before + 1).to_string().into_bytes());
            format!(":{}\r\n", before + 1).into_bytes()
        }
        (b"INFO", _) => text(b"redis_version:7.4.0\r\nloading:0\r\n"),
        (b"CLIENT" | b"SELECT" | b"QUIT", _) => b"+OK\r\n".to_vec(),
        _ => format!("-ERR unknown command '{}'\r\n", String::from_utf8_lossy(&name).to_lowercase()).into_bytes(),
    }
}

fn text(value: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat()
}
