//! WebSockets from clients that do not play by the rules, and from workers that do not listen.

use std::time::Duration;

use crate::case::Case;
use crate::case::module;
use crate::processes;
use crate::stage::Stage;
use crate::support::raw::Raw;

/// Answers each message that is called `last`, and knows how many came before.
const LISTENER: &str = r#"
    export default {
      fetch(request, env) {
        if (request.url.endsWith("/alive")) return new Response("alive", { headers: { "x-secret": env.SECRET } });
        const { 0: client, 1: server } = new WebSocketPair();
        server.accept();
        let count = 0;
        server.addEventListener("message", ({ data }) => { count++; if (data === "last") server.send(`last of ${count}`); });
        return new Response(null, { status: 101, webSocket: client });
      },
    };
"#;
/// What a flood that is not held may add to the process; what others do meanwhile is in it.
const GROWTH_MIB: u64 = 48;

pub fn cases() -> Vec<Case> {
    let listener = |name| module("MEM-25", name, LISTENER).limits("cpu_ms = 20_000, wall_ms = 60_000");
    vec![
        listener("a frame of 64 MiB").scenario(|stage, host| {
            let mut socket = open(stage, host);
            // The head is enough; what follows is never asked for.
            socket.write(b"\x82\xff\0\0\0\0\x04\0\0\0\0\0\0\0");
            closed(&mut socket, 1009)
        }),
        listener("fragments without end").scenario(|stage, host| {
            let before = processes::resident_mib(stage.pid());
            let mut socket = open(stage, host);
            let fragment = |operation: u8| frame(operation, &[b'x'; 1 << 20]);
            let mut written = socket.try_write(fragment(0x01));
            for _ in 0..128 {
                written = written.and_then(|()| socket.try_write(fragment(0x00)));
            }
            if written.is_ok() {
                return Err("129 MiB of one message were taken".to_owned());
            }
            // The largest message that there is, in pieces and together.
            no_growth(stage, before, 2 * 32 + GROWTH_MIB)
        }),
        listener("fragments without a byte").scenario(|stage, host| {
            let before = processes::resident_mib(stage.pid());
            let mut socket = open(stage, host);
            socket.write(frame(0x01, b"la"));
            flood(&mut socket, &frame(0x00, b""), 2_000_000)?;
            socket.write(frame(0x80, b"st"));
            socket.read_until("last of 1$");
            no_growth(stage, before, GROWTH_MIB)
        }),
        listener("a million tiny messages").scenario(|stage, host| {
            let before = processes::resident_mib(stage.pid());
            let mut socket = open(stage, host);
            // The worker is behind all the while, and the client waits for it.
            flood(&mut socket, &frame(0x81, b"x"), 300_000)?;
            no_growth(stage, before, GROWTH_MIB)?;
            socket.write(frame(0x81, b"last"));
            socket.read_until("last of 300001$");
            Ok(())
        }),
        listener("pings whose answers nobody reads").scenario(|stage, host| {
            let before = processes::resident_mib(stage.pid());
            let mut socket = open(stage, host);
            // More than the worker's memory limit.
            flood(&mut socket, &frame(0x89, &[b'p'; 125]), 1_500_000)?;
            no_growth(stage, before, GROWTH_MIB)?;
            socket.write(frame(0x81, b"last"));
            socket.read_until("last of 1$");
            Ok(())
        }),
        listener("compression offered").scenario(|stage, host| {
            let socket =
                handshake(stage, host, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n");
            let (mut socket, head) = socket;
            if head.to_ascii_lowercase().contains("sec-websocket-extensions") {
                return Err(head);
            }
            // A frame that says it is compressed.
            socket.write(b"\xc1\x81\0\0\0\0x");
            closed(&mut socket, 1002)
        }),
    ]
}

fn open(stage: &Stage, host: &str) -> Raw {
    handshake(stage, host, "").0
}

fn handshake(stage: &Stage, host: &str, more: &str) -> (Raw, String) {
    let mut raw = Raw::connect(stage.client().address);
    raw.write(format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    ));
    let head = raw.read_until("\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    raw.forget();
    (raw, head)
}

/// A masked frame; the mask changes nothing.
fn frame(operation: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![operation];
    match payload.len() {
        short @ 0..126 => frame.push(0x80 | u8::try_from(short).unwrap()),
        long => {
            frame.push(0xff);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// The same frame many times, as fast as it is taken.
fn flood(socket: &mut Raw, frame: &[u8], count: usize) -> Result<(), String> {
    const TOGETHER: usize = 1_000;
    let many = frame.repeat(TOGETHER);
    (0..count / TOGETHER).try_for_each(|_| socket.try_write(&many)).map_err(|error| format!("not taken: {error}"))
}

fn closed(socket: &mut Raw, code: u16) -> Result<(), String> {
    let received = socket.read_to_end_bytes();
    let expected = [&[0x88, 2][..], &code.to_be_bytes()].concat();
    if received.ends_with(&expected) { Ok(()) } else { Err(format!("no close with {code}: {received:?}")) }
}

/// Freed memory goes back to the system a little later.
fn no_growth(stage: &Stage, before: u64, most: u64) -> Result<(), String> {
    let until = std::time::Instant::now() + crate::support::DEADLINE;
    loop {
        let after = processes::resident_mib(stage.pid());
        if after <= before + most {
            return Ok(());
        }
        if std::time::Instant::now() > until {
            return Err(format!("{before} MiB before, {after} MiB after"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
