//! TCP sockets of `cloudflare:sockets`. Both directions of a connection are lent to the operation that uses them, one at a time.

pub mod interface;

use std::cell::RefCell;
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

use crate::Outside;
use crate::fetch::outbound::Wire;
use crate::seam;
use crate::tcp::interface::Security;
use crate::tcp::interface::Tcp;

/// Bytes that one read may bring.
const READ: usize = 64 << 10;

/// One connection.
struct Connection {
    read: RefCell<Option<ReadHalf<Wire>>>,
    write: RefCell<Option<WriteHalf<Wire>>>,
}

// === impl Connection ===

impl Connection {
    fn new(wire: Wire) -> Self {
        let (read, write) = tokio::io::split(wire);
        Self { read: RefCell::new(Some(read)), write: RefCell::new(Some(write)) }
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

/// A promise of the next bytes, in a list of their own; `null` at the end.
#[op2]
pub fn op_tcp_read<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
) -> Result<v8::Local<'s, v8::Value>, StateError> {
    let state = seam::state(scope)?;
    let lent = connection(&state, owner, id)?.read.borrow_mut().take();
    let mut read = lent.ok_or(StateError::ReaderGone)?;
    let charge = state.memory().charge(READ);
    let (_, promise) = state.start(scope, owner, async move {
        let mut bytes = BytesMut::with_capacity(READ);
        let result = read.read_buf(&mut bytes).await;
        let settle: Settle = Box::new(move |scope, state| {
            drop(charge);
            if let Ok(connection) = connection(state, owner, id) {
                *connection.read.borrow_mut() = Some(read);
            }
            match result {
                Ok(0) => Ok(v8::null(scope).into()),
                // A copy, so that a short message keeps no large buffer.
                Ok(_) => {
                    let chunk = seam::uint8_array(scope, Bytes::copy_from_slice(&bytes));
                    Ok(seam::inner_list(scope, &[chunk]))
                }
                Err(_) => Err(seam::type_error(scope, LOST)),
            }
        });
        settle
    })?;
    Ok(promise)
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
    let lent = connection(&state, owner, id)?.write.borrow_mut().take();
    let mut write = lent.ok_or(StateError::ReaderGone)?;
    let (_, promise) = state.start(scope, owner, async move {
        let result = async {
            write.write_all(&bytes).await?;
            write.flush().await
        };
        let result = result.await;
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
    let lent = connection(&state, owner, id)?.write.borrow_mut().take();
    let mut write = lent.ok_or(StateError::ReaderGone)?;
    let (_, promise) = state.start(scope, owner, async move {
        let result = write.shutdown().await;
        settle_write(owner, id, write, result)
    })?;
    Ok(promise)
}

fn settle_write(owner: u32, id: u32, write: WriteHalf<Wire>, result: std::io::Result<()>) -> Settle {
    Box::new(move |scope, state| {
        if let Ok(connection) = connection(state, owner, id) {
            *connection.write.borrow_mut() = Some(write);
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

/// Speaks TLS over a connection that nobody reads or writes. Answers a promise; the number stays.
#[op2]
pub fn op_tcp_start_tls<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] owner: u32,
    #[smi] id: u32,
    #[string] name: String,
) -> Result<v8::Local<'s, v8::Value>, StateError> {
    let state = seam::state(scope)?;
    let tcp = tcp(&state)?;
    let plain = connection(&state, owner, id)?;
    let read = plain.read.borrow_mut().take().ok_or(StateError::ReaderGone)?;
    let write = plain.write.borrow_mut().take().ok_or(StateError::ReaderGone)?;
    let (_, promise) = state.start(scope, owner, async move {
        match tcp.start_tls(read.unsplit(write), name).await {
            Ok(wire) => {
                let settle: Settle = Box::new(move |scope, state| {
                    if let Ok(connection) = connection(state, owner, id) {
                        let (read, write) = tokio::io::split(wire);
                        *connection.read.borrow_mut() = Some(read);
                        *connection.write.borrow_mut() = Some(write);
                    }
                    Ok(v8::undefined(scope).into())
                });
                settle
            }
            Err(error) => seam::reject(error.to_string()),
        }
    })?;
    Ok(promise)
}
