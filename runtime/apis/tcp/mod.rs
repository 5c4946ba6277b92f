//! TCP connections of `cloudflare:sockets` and of `node:net`. Both directions of one are lent to the operation that uses
//! them, one at a time. An operation ends with its connection: who closes one waits for nobody.

pub mod interface;

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use bytes::BytesMut;
use deno_core::op2;
use deno_core::v8;
use holm_isolate::Settle;
use holm_isolate::State;
use holm_isolate::StateError;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::io::ReadHalf;
use tokio::io::WriteHalf;
use tokio::sync::oneshot;

use crate::Outside;
use crate::fetch::outbound::Wire;
use crate::seam;
use crate::tcp::interface::ConnectError;
use crate::tcp::interface::Secured;
use crate::tcp::interface::Security;
use crate::tcp::interface::Tcp;
use crate::tcp::interface::TlsClient;

/// Bytes that one read may bring.
const READ: usize = 64 << 10;

/// Mail is sent by those whom the operator lets send it.
const SMTP: u16 = 25;
/// Bytes of the protocols that one handshake may offer, each behind its length.
const PROTOCOLS: usize = 4 << 10;
/// Bytes of the certificates that one handshake may be told to trust.
const ROOTS: usize = 256 << 10;

/// One connection.
struct Connection {
    read: RefCell<Direction<ReadHalf<Wire>>>,
    write: RefCell<Direction<WriteHalf<Wire>>>,
}

/// One direction, while nobody uses it, or what tells who does to give it back.
enum Direction<T> {
    Free(T),
    /// The operation ends when this is dropped.
    Lent {
        _stop: oneshot::Sender<Infallible>,
    },
    /// Being replaced.
    Gone,
}

// === impl Connection ===

impl Connection {
    fn new(wire: Wire) -> Self {
        let (read, write) = tokio::io::split(wire);
        Self { read: RefCell::new(Direction::Free(read)), write: RefCell::new(Direction::Free(write)) }
    }
}

// === impl Direction ===

impl<T> Direction<T> {
    /// For one operation, with what says that it has to end.
    fn lend(cell: &RefCell<Self>) -> Result<(T, oneshot::Receiver<Infallible>), StateError> {
        let (stop, stopped) = oneshot::channel();
        match cell.replace(Self::Lent { _stop: stop }) {
            Self::Free(half) => Ok((half, stopped)),
            other => {
                cell.replace(other);
                Err(StateError::ReaderGone)
            }
        }
    }

    fn take(cell: &RefCell<Self>) -> Result<T, StateError> {
        match cell.replace(Self::Gone) {
            Self::Free(half) => Ok(half),
            other => {
                cell.replace(other);
                Err(StateError::ReaderGone)
            }
        }
    }
}

fn tcp(state: &State) -> Result<Arc<dyn Tcp>, StateError> {
    let worker = state.worker().ok_or(StateError::GlobalScope)?;
    let outside = worker.outside.downcast_ref::<Outside>().ok_or(StateError::Ended)?;
    Ok(Arc::clone(&outside.tcp))
}

fn connection(state: &State, owner: u32, id: u32) -> Result<Rc<Connection>, StateError> {
    state.resource(owner, id)
}

/// A promise of `[id, remote address, local address]`.
#[op2]
pub fn op_tcp_connect<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[string] host: String,
    #[smi] port: u16,
    tls: bool,
) -> Result<v8::Local<'s, v8::Value>, StateError> {
    let state = seam::state(scope)?;
    let tcp = tcp(&state)?;
    state.charge_subrequest(owner)?;
    if port == SMTP {
        let (_, promise) = state.start(scope, owner, async { seam::reject(ConnectError::Mail.to_string()) })?;
        return Ok(promise);
    }
    let connecting = state.connecting(owner)?;
    let security = if tls { Security::Tls } else { Security::Plain };
    let (_, promise) = state.start(scope, owner, async move {
        let connected = match connecting.acquire().await {
            Ok(_permit) => tcp.connect(host, port, security).await,
            Err(_) => return seam::reject(StateError::Ended.to_string()),
        };
        match connected {
            Ok(connected) => {
                let settle: Settle = Box::new(move |scope, state| {
                    let id = match state.add_resource(owner, Connection::new(connected.wire)) {
                        Ok(id) => id,
                        Err(error) => return Err(seam::type_error(scope, &error.to_string())),
                    };
                    let values = [
                        v8::Integer::new_from_unsigned(scope, id).into(),
                        seam::text(scope, &connected.remote.to_string()),
                        seam::text(scope, &connected.local.to_string()),
                    ];
                    Ok(seam::inner_list(scope, &values))
                });
                settle
            }
            Err(error) => seam::reject(error.to_string()),
        }
    })?;
    Ok(promise)
}

/// A promise of the next bytes, in a list of their own; `null` at the end, `undefined` when it was interrupted.
#[op2]
pub fn op_tcp_read<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
) -> Result<v8::Local<'s, v8::Value>, StateError> {
    let state = seam::state(scope)?;
    let (mut read, stopped) = Direction::lend(&connection(&state, owner, id)?.read)?;
    let charge = state.memory().charge(READ);
    let (_, promise) = state.start(scope, owner, async move {
        let mut bytes = BytesMut::with_capacity(READ);
        let result = tokio::select! {
            biased;
            result = read.read_buf(&mut bytes) => Some(result),
            _ = stopped => None,
        };
        let settle: Settle = Box::new(move |scope, state| {
            drop(charge);
            if let Ok(connection) = connection(state, owner, id) {
                connection.read.replace(Direction::Free(read));
            }
            match result {
                None => Ok(v8::undefined(scope).into()),
                Some(Ok(0)) => Ok(v8::null(scope).into()),
                // A copy, so that a short message keeps no large buffer.
                Some(Ok(_)) => {
                    let chunk = seam::uint8_array(scope, Bytes::copy_from_slice(&bytes));
                    Ok(seam::inner_list(scope, &[chunk]))
                }
                Some(Err(_)) => Err(seam::type_error(scope, LOST)),
            }
        });
        settle
    })?;
    Ok(promise)
}

/// Has a read that waits end without bytes.
#[op2(fast)]
pub fn op_tcp_interrupt(scope: &mut v8::PinScope<'_, '_>, #[smi] owner: u32, #[smi] id: u32) -> Result<(), StateError> {
    let connection = connection(seam::state(scope)?.as_ref(), owner, id)?;
    let mut read = connection.read.borrow_mut();
    if matches!(*read, Direction::Lent { .. }) {
        *read = Direction::Gone;
    }
    Ok(())
}

const LOST: &str = "The connection was lost.";

/// Writes all of a view. Answers a promise.
#[op2]
pub fn op_tcp_write<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
    chunk: v8::Local<'s, v8::ArrayBufferView>,
) -> Result<v8::Local<'s, v8::Value>, StateError> {
    let state = seam::state(scope)?;
    let bytes = seam::kept_bytes_of(scope, &state, chunk)?;
    let (mut write, stopped) = Direction::lend(&connection(&state, owner, id)?.write)?;
    let (_, promise) = state.start(scope, owner, async move {
        let writing = async {
            write.write_all(&bytes).await?;
            write.flush().await
        };
        let result = until(stopped, writing).await;
        settle_write(owner, id, write, result)
    })?;
    Ok(promise)
}

/// Ends the writing side. Answers a promise.
#[op2]
pub fn op_tcp_finish<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
) -> Result<v8::Local<'s, v8::Value>, StateError> {
    let state = seam::state(scope)?;
    let (mut write, stopped) = Direction::lend(&connection(&state, owner, id)?.write)?;
    let (_, promise) = state.start(scope, owner, async move {
        let result = until(stopped, write.shutdown()).await;
        settle_write(owner, id, write, result)
    })?;
    Ok(promise)
}

/// What `work` comes to, unless the connection is closed meanwhile.
async fn until(
    stopped: oneshot::Receiver<Infallible>,
    work: impl Future<Output = std::io::Result<()>>,
) -> std::io::Result<()> {
    tokio::select! {
        biased;
        result = work => result,
        _ = stopped => Err(std::io::ErrorKind::ConnectionAborted.into()),
    }
}

fn settle_write(owner: u32, id: u32, write: WriteHalf<Wire>, result: std::io::Result<()>) -> Settle {
    Box::new(move |scope, state| {
        if let Ok(connection) = connection(state, owner, id) {
            connection.write.replace(Direction::Free(write));
        }
        match result {
            Ok(()) => Ok(v8::undefined(scope).into()),
            Err(_) => Err(seam::type_error(scope, LOST)),
        }
    })
}

/// Drops a connection, whatever it is doing.
#[op2(fast)]
pub fn op_tcp_close(scope: &mut v8::PinScope<'_, '_>, #[smi] owner: u32, #[smi] id: u32) -> Result<(), StateError> {
    seam::state(scope)?.drop_resource(owner, id);
    Ok(())
}

/// Speaks TLS over a connection that nobody reads or writes, which keeps its number. Answers a promise of `[protocol or null,
/// version, cipher, certificate]`. `alpn` is a list of protocols as TLS writes it; `roots` is PEM, or empty.
#[op2]
pub fn op_tcp_start_tls<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
    #[string] name: String,
    alpn: v8::Local<'s, v8::ArrayBufferView>,
    #[string] roots: String,
) -> Result<v8::Local<'s, v8::Value>, StateError> {
    let state = seam::state(scope)?;
    let tcp = tcp(&state)?;
    let plain = connection(&state, owner, id)?;
    let client = client(name, &seam::bytes_of(alpn), roots);
    let read = Direction::take(&plain.read)?;
    let write = match Direction::take(&plain.write) {
        Ok(write) => write,
        Err(error) => {
            plain.read.replace(Direction::Free(read));
            return Err(error);
        }
    };
    let (_, promise) = state.start(scope, owner, async move {
        let secured = match client {
            Ok(client) => tcp.start_tls(read.unsplit(write), client).await,
            Err(error) => Err(error),
        };
        match secured {
            Ok(secured) => settle_tls(owner, id, secured),
            Err(error) => seam::reject(error.to_string()),
        }
    })?;
    Ok(promise)
}

fn settle_tls(owner: u32, id: u32, secured: Secured) -> Settle {
    Box::new(move |scope, state| {
        let Secured { wire, alpn, version, cipher, certificate } = secured;
        if let Ok(connection) = connection(state, owner, id) {
            let (read, write) = tokio::io::split(wire);
            connection.read.replace(Direction::Free(read));
            connection.write.replace(Direction::Free(write));
        }
        let protocol = match alpn {
            Some(protocol) => seam::one_byte(scope, &protocol),
            None => v8::null(scope).into(),
        };
        let values = [
            protocol,
            seam::text(scope, version),
            seam::text(scope, &cipher),
            seam::uint8_array(scope, certificate.into()),
        ];
        Ok(seam::inner_list(scope, &values))
    })
}

fn client(name: String, alpn: &[u8], roots: String) -> Result<TlsClient, ConnectError> {
    if roots.len() > ROOTS {
        return Err(ConnectError::Roots);
    }
    let alpn = protocols(alpn).ok_or(ConnectError::Protocols)?;
    Ok(TlsClient { name, alpn, roots: (!roots.is_empty()).then_some(roots) })
}

/// Reads a list of protocols, each behind its length in one byte. `None`: it is none, or too long.
fn protocols(mut list: &[u8]) -> Option<Vec<Vec<u8>>> {
    if list.len() > PROTOCOLS {
        return None;
    }
    let mut protocols = Vec::new();
    while let Some((length, rest)) = list.split_first() {
        let (protocol, rest) = rest.split_at_checked(usize::from(*length))?;
        if protocol.is_empty() {
            return None;
        }
        protocols.push(protocol.to_vec());
        list = rest;
    }
    Some(protocols)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_protocols_is_read_whole_or_not_at_all() {
        let names = |list: &[u8]| protocols(list).map(|names| names.concat());
        assert_eq!(names(b""), Some(Vec::new()));
        assert_eq!(names(b"\x02h2\x08http/1.1"), Some(b"h2http/1.1".to_vec()));
        assert_eq!(names(b"\x03h2"), None);
        assert_eq!(names(b"\x00"), None);
        assert_eq!(names(&b"\x01a".repeat(PROTOCOLS)), None);
    }
}
