//! A WebSocket end coupled with a connection that has been upgraded (RFC 6455), by the crate `fastwebsockets`.
//!
//! Reading and writing go on at the same time, in one task. What was read waits for the script once it has brought
//! `AHEAD` messages, and the peer with it; its bytes are charged to the isolate as they come. The peer's close is the script's to
//! answer. A peer that is silent is asked for a sign of life; one that gives none is gone.

use std::io;
use std::pin::Pin;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use bytes::BytesMut;
use fastwebsockets::CloseCode;
use fastwebsockets::Frame;
use fastwebsockets::OpCode;
use fastwebsockets::Payload;
use fastwebsockets::WebSocketError;
use fastwebsockets::WebSocketRead;
use fastwebsockets::WebSocketWrite;
use parking_lot::Mutex;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::sync::Notify;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::MESSAGE_BYTES;
use super::NO_CODE;
use super::Packet;
use super::SocketEnd;
use super::SocketMessage;
use crate::Account;
use crate::Ticket;
use crate::memory::Charge;

/// Messages that a peer may be ahead of the script.
const AHEAD: usize = 16;
/// A peer that has sent nothing for this long is pinged.
const PING_AFTER: Duration = Duration::from_secs(30);
/// How long a peer may take to answer a close.
const CLOSE_WAIT: Duration = Duration::from_secs(10);
/// How long the end of a connection may take.
const PARTING: Duration = Duration::from_secs(1);
/// Bytes of a control frame (RFC 6455 §5.5).
const CONTROL_BYTES: usize = 125;
/// A message that is shorter is copied out of the buffer that it was read into.
const COPIED: usize = 4 << 10;

const GOING_AWAY: u16 = 1001;
const PROTOCOL_ERROR: u16 = 1002;
const NOT_UTF8: u16 = 1007;
const TOO_BIG: u16 = 1009;
const INTERNAL_ERROR: u16 = 1011;

/// Which side of the handshake this one was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Server,
    Client,
}

/// How an end is coupled.
#[derive(Debug)]
pub struct Coupling {
    pub role: Role,
    /// Where its bytes are counted.
    pub ticket: Option<Arc<Ticket>>,
}

/// Moves messages between `end` and `wire` until both have closed, one has gone, or `stop` is ready: then the peer is told
/// that this side goes away.
pub async fn couple<W>(wire: W, end: SocketEnd, coupling: Coupling, stop: impl Future<Output = ()>)
where
    W: AsyncRead + AsyncWrite + Unpin + Send,
{
    let SocketEnd { incoming, outgoing, account, mut answers } = end;
    let shared = Arc::new(Shared {
        read: Mutex::new(account.charge(0)),
        heard: AtomicBool::new(true),
        waits: AtomicBool::new(false),
        peer_closed: AtomicBool::new(false),
        closing: Notify::new(),
        controls: Mutex::default(),
        wanted: Notify::new(),
        over: AtomicBool::new(false),
    });
    let wire = Counted { wire, ticket: coupling.ticket, shared: Arc::clone(&shared) };
    let (read, write) = tokio::io::split(wire);
    let role = match coupling.role {
        Role::Server => fastwebsockets::Role::Server,
        Role::Client => fastwebsockets::Role::Client,
    };
    let (mut read, write) = fastwebsockets::after_handshake_split(read, write, role);
    read.set_auto_close(false);
    read.set_auto_pong(false);
    // The crate refuses what reaches the limit.
    read.set_max_message_size(MESSAGE_BYTES + 1);
    let reader = Reader {
        read,
        role: coupling.role,
        outgoing: outgoing.clone(),
        account: Arc::clone(&account),
        shared: Arc::clone(&shared),
        room: Arc::new(Semaphore::new(AHEAD)),
        parts: None,
    };
    let writer = Writer { write, incoming, shared: Arc::clone(&shared) };
    let given_up = async {
        match answers.as_mut().and_then(|answers| answers.given_up.as_mut()) {
            Some(given_up) => given_up.await,
            None => std::future::pending().await,
        }
    };
    let stop = async {
        stop.await;
        shared.close(GOING_AWAY);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = both(reader, writer, &shared) => {}
        () = given_up => {}
        () = stop => {}
    }
    if !shared.peer_closed.load(Ordering::Acquire) {
        let lost = SocketMessage::Broken("WebSocket disconnected prematurely without sending a close frame.");
        let _ = outgoing.send(Packet::from_wire(lost, &account, None));
    }
}

/// Until nothing more can come and nothing more is to be sent.
async fn both<W: AsyncRead + AsyncWrite + Unpin>(
    reader: Reader<tokio::io::ReadHalf<W>>,
    mut writer: Writer<tokio::io::WriteHalf<W>>,
    shared: &Shared,
) {
    let mut reading = pin!(reader.run());
    {
        let mut writing = pin!(writer.run());
        tokio::select! {
            violation = &mut reading => {
                // The connection is of no use any more; where the peer broke the rules, it is told which one.
                if violation {
                    let _ = tokio::time::timeout(CLOSE_WAIT, writing).await;
                }
            }
            sent = &mut writing => {
                if sent == Sent::Close && !shared.peer_closed.load(Ordering::Acquire) {
                    let closed = async {
                        tokio::select! {
                            _ = reading => {}
                            () = shared.closing.notified() => {}
                        }
                    };
                    let _ = tokio::time::timeout(CLOSE_WAIT, closed).await;
                }
            }
        }
    }
    shared.over.store(true, Ordering::Release);
    let _ = tokio::time::timeout(PARTING, writer.write.flush()).await;
}

/// What both directions of a coupling know.
struct Shared {
    /// For what was read and is no whole message yet.
    read: Mutex<Charge>,
    /// Bytes have come since this was last cleared.
    heard: AtomicBool,
    /// Nothing is read: the script has enough to do.
    waits: AtomicBool,
    peer_closed: AtomicBool,
    closing: Notify,
    controls: Mutex<Controls>,
    /// There are [`Controls`] to write.
    wanted: Notify,
    /// Nothing more is written: the next flush ends the connection. The crate keeps it to itself.
    over: AtomicBool,
}

/// What is to be written between the script's messages. A peer that pings faster than it takes answers gets one to its latest
/// ping (RFC 6455 §5.5.3), so nothing piles up.
#[derive(Default)]
struct Controls {
    pong: Option<Bytes>,
    close: Option<u16>,
}

// === impl Shared ===

impl Shared {
    fn pong(&self, payload: Bytes) {
        self.controls.lock().pong = Some(payload);
        self.wanted.notify_one();
    }

    fn close(&self, code: u16) {
        self.controls.lock().close = Some(code);
        self.wanted.notify_one();
    }
}

// === reading ===

struct Reader<S> {
    read: WebSocketRead<S>,
    role: Role,
    outgoing: mpsc::UnboundedSender<Packet>,
    account: Arc<Account>,
    shared: Arc<Shared>,
    room: Arc<Semaphore>,
    /// The fragments of a message so far, and whether it is a text.
    parts: Option<(bool, BytesMut)>,
}

/// Why reading has ended.
enum Ended {
    /// The connection has.
    Lost,
    /// The peer has broken the protocol.
    Violation(u16),
}

impl<S: AsyncRead + Unpin> Reader<S> {
    /// Answers whether a close is to be written before the connection ends.
    async fn run(mut self) -> bool {
        loop {
            match self.next().await {
                Ok(()) => {}
                Err(Ended::Lost) => return false,
                Err(Ended::Violation(code)) => {
                    self.shared.close(code);
                    return true;
                }
            }
        }
    }

    async fn next(&mut self) -> Result<(), Ended> {
        let room = self.room().await;
        let mut send = |_: Frame<'_>| async { Ok::<(), io::Error>(()) };
        let mut frame = self.read.read_frame(&mut send).await.map_err(|error| ended(&error))?;
        if self.shared.peer_closed.load(Ordering::Acquire) {
            // Nothing that comes after a close means anything (RFC 6455 §5.5.1).
            return Ok(());
        }
        if self.role == Role::Server && !is_masked(&mut frame) {
            return Err(Ended::Violation(PROTOCOL_ERROR));
        }
        let (opcode, fin) = (frame.opcode, frame.fin);
        if matches!(opcode, OpCode::Close | OpCode::Ping | OpCode::Pong) && frame.payload.len() > CONTROL_BYTES {
            return Err(Ended::Violation(PROTOCOL_ERROR));
        }
        let payload = bytes_of(frame.payload);
        match opcode {
            OpCode::Ping => self.shared.pong(payload),
            OpCode::Pong => {}
            OpCode::Close => self.closed(&payload)?,
            OpCode::Text | OpCode::Binary => {
                if self.parts.is_some() {
                    return Err(Ended::Violation(PROTOCOL_ERROR));
                }
                if fin {
                    self.deliver(opcode == OpCode::Text, payload, room)?;
                } else {
                    self.parts = Some((opcode == OpCode::Text, BytesMut::from(&payload[..])));
                }
            }
            OpCode::Continuation => {
                let Some((_, parts)) = &mut self.parts else { return Err(Ended::Violation(PROTOCOL_ERROR)) };
                if parts.len() + payload.len() > MESSAGE_BYTES {
                    return Err(Ended::Violation(TOO_BIG));
                }
                parts.extend_from_slice(&payload);
                if fin && let Some((text, parts)) = self.parts.take() {
                    self.deliver(text, parts.freeze(), room)?;
                }
            }
        }
        let held = self.parts.as_ref().map_or(0, |(_, parts)| parts.len());
        self.shared.read.lock().set(held);
        Ok(())
    }

    /// A place for one more message that the script has not taken.
    async fn room(&mut self) -> Option<OwnedSemaphorePermit> {
        if let Ok(room) = Arc::clone(&self.room).try_acquire_owned() {
            return Some(room);
        }
        self.shared.waits.store(true, Ordering::Release);
        let room = Arc::clone(&self.room).acquire_owned().await.ok();
        self.shared.waits.store(false, Ordering::Release);
        room
    }

    fn deliver(&self, text: bool, bytes: Bytes, room: Option<OwnedSemaphorePermit>) -> Result<(), Ended> {
        let message = if text {
            if std::str::from_utf8(&bytes).is_err() {
                return Err(Ended::Violation(NOT_UTF8));
            }
            SocketMessage::Text(bytes)
        } else {
            SocketMessage::Binary(bytes)
        };
        let packet = Packet::from_wire(message, &self.account, room);
        // Without a receiver the writing side says so.
        let _ = self.outgoing.send(packet);
        Ok(())
    }

    fn closed(&self, payload: &[u8]) -> Result<(), Ended> {
        let (code, reason) = match payload {
            [] => (NO_CODE, ""),
            [high, low, reason @ ..] => {
                let code = u16::from_be_bytes([*high, *low]);
                let reason = std::str::from_utf8(reason).map_err(|_| Ended::Violation(NOT_UTF8))?;
                if !CloseCode::from(code).is_allowed() {
                    return Err(Ended::Violation(PROTOCOL_ERROR));
                }
                (code, reason)
            }
            [_] => return Err(Ended::Violation(PROTOCOL_ERROR)),
        };
        let close = SocketMessage::Close { code, reason: reason.to_owned() };
        let _ = self.outgoing.send(Packet::from_wire(close, &self.account, None));
        self.shared.peer_closed.store(true, Ordering::Release);
        self.shared.closing.notify_one();
        Ok(())
    }
}

fn ended(error: &WebSocketError) -> Ended {
    match error {
        WebSocketError::IoError(_) | WebSocketError::UnexpectedEOF | WebSocketError::ConnectionClosed => Ended::Lost,
        WebSocketError::FrameTooLarge => Ended::Violation(TOO_BIG),
        WebSocketError::InvalidUTF8 => Ended::Violation(NOT_UTF8),
        _ => Ended::Violation(PROTOCOL_ERROR),
    }
}

/// A client has to mask what it sends (RFC 6455 §5.1). The crate does not say whether it did, but in a head that it writes.
fn is_masked(frame: &mut Frame<'_>) -> bool {
    let mut head = [0; 16];
    frame.fmt_head(&mut head);
    head[1] & 0x80 != 0
}

fn bytes_of(payload: Payload<'_>) -> Bytes {
    match payload {
        Payload::Bytes(bytes) if bytes.len() >= COPIED => bytes.freeze(),
        other => Bytes::copy_from_slice(&other),
    }
}

// === writing ===

struct Writer<S> {
    write: WebSocketWrite<S>,
    incoming: mpsc::UnboundedReceiver<Packet>,
    shared: Arc<Shared>,
}

/// How writing has ended.
#[derive(PartialEq, Eq)]
enum Sent {
    /// With a close.
    Close,
    /// Nobody takes what is written, or nobody is there to write.
    Nothing,
}

impl<S: AsyncWrite + Unpin> Writer<S> {
    async fn run(&mut self) -> Sent {
        let mut pinged = false;
        let mut look = Instant::now() + PING_AFTER;
        loop {
            let written = tokio::select! {
                biased;
                () = self.shared.wanted.notified() => {
                    let Controls { pong, close } = std::mem::take(&mut *self.shared.controls.lock());
                    let written = match pong {
                        Some(payload) => self.write(Frame::pong(Payload::Borrowed(&payload))).await,
                        None => true,
                    };
                    if let Some(code) = close {
                        let _ = self.write(Frame::close(code, b"")).await;
                        return Sent::Close;
                    }
                    written
                }
                packet = self.incoming.recv() => match packet {
                    Some(packet) => match &packet.message {
                        SocketMessage::Text(bytes) => self.write(Frame::text(Payload::Borrowed(bytes))).await,
                        SocketMessage::Binary(bytes) => self.write(Frame::binary(Payload::Borrowed(bytes))).await,
                        SocketMessage::Close { code, reason } => {
                            let frame = match *code {
                                NO_CODE => Frame::close_raw(Payload::Borrowed(b"")),
                                code => Frame::close(code, reason.as_bytes()),
                            };
                            let _ = self.write(frame).await;
                            return Sent::Close;
                        }
                        SocketMessage::Broken(_) => {
                            let _ = self.write(Frame::close(INTERNAL_ERROR, b"")).await;
                            return Sent::Nothing;
                        }
                    },
                    // The script's end has gone without a close.
                    None => {
                        let _ = self.write(Frame::close(INTERNAL_ERROR, b"")).await;
                        return Sent::Nothing;
                    }
                },
                () = tokio::time::sleep_until(look) => {
                    look = Instant::now() + PING_AFTER;
                    let heard = self.shared.heard.swap(false, Ordering::AcqRel) || self.shared.waits.load(Ordering::Acquire);
                    if !heard && pinged {
                        return Sent::Nothing;
                    }
                    pinged = !heard;
                    if heard { true } else { self.write(Frame::new(true, OpCode::Ping, None, Payload::Borrowed(b""))).await }
                }
            };
            if !written {
                return Sent::Nothing;
            }
        }
    }

    async fn write(&mut self, frame: Frame<'_>) -> bool {
        self.write.write_frame(frame).await.is_ok() && self.write.flush().await.is_ok()
    }
}

// === the connection ===

/// A connection whose bytes are counted.
struct Counted<W> {
    wire: W,
    ticket: Option<Arc<Ticket>>,
    shared: Arc<Shared>,
}

impl<W: AsyncRead + Unpin> AsyncRead for Counted<W> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut self.wire).poll_read(cx, buffer))?;
        let read = buffer.filled().len() - before;
        self.shared.heard.store(true, Ordering::Release);
        if let Some(ticket) = &self.ticket {
            ticket.came_in(read);
        }
        if self.shared.read.lock().try_grow(read).is_err() {
            return Poll::Ready(Err(io::Error::other("the worker's memory limit is reached")));
        }
        Poll::Ready(Ok(()))
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Counted<W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = std::task::ready!(Pin::new(&mut self.wire).poll_write(cx, bytes))?;
        if let Some(ticket) = &self.ticket {
            ticket.went_out(written);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.shared.over.load(Ordering::Acquire) {
            return Pin::new(&mut self.wire).poll_shutdown(cx);
        }
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}
