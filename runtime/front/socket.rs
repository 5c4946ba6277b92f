//! The TCP stream below TLS and HTTP: tells the connection when bytes arrive, and fails when the client takes none.
//!
//! An answer can come before the end of the request's body: a refusal, or a worker that does not read it. To close then
//! would make the kernel reset the connection, and the client, which is still writing, might never see its answer. So the
//! last bytes of such a connection are read and thrown away for a while ("lingering close").

use std::io;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::connection::Connection;
use crate::counters::Pause;
use crate::upload::Pace;

/// How long a client may go on sending the body of a request that has its answer (nginx: `lingering_time`).
const LINGERS: Duration = Duration::from_secs(30);

/// How long it may pause meanwhile (nginx: `lingering_timeout`).
const LINGERS_IDLE: Duration = Duration::from_secs(5);

pub(crate) struct Socket {
    stream: TcpStream,
    connection: Arc<Connection>,
    writing: Pace,
    lingering: Option<Lingering>,
}

/// The answer is written and the write side closed.
struct Lingering {
    until: Instant,
    reading: Pace,
}

// === impl Socket ===

impl Socket {
    pub(crate) const fn new(stream: TcpStream, connection: Arc<Connection>, write_timeout: Duration) -> Self {
        Self { stream, connection, writing: Pace::new(write_timeout), lingering: None }
    }

    /// Passes a finished write on; one that waits for the client is timed.
    fn written(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = &result {
            self.connection.note_sent(*written.as_ref().unwrap_or(&0));
            self.writing.progress();
            return result;
        }
        self.writing.poll_stalled(cx).map(|()| {
            self.connection.counters.timed_out(Pause::Write);
            Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes no bytes"))
        })
    }
}

// === impl Lingering ===

impl Lingering {
    fn new() -> Self {
        Self { until: Instant::now() + LINGERS, reading: Pace::new(LINGERS_IDLE) }
    }

    /// Ready when the client has closed too, or has had its time.
    fn poll_end(&mut self, stream: &mut TcpStream, cx: &mut Context<'_>) -> Poll<()> {
        const READ_BYTES: usize = 16 << 10;
        let mut bytes = [MaybeUninit::<u8>::uninit(); READ_BYTES];
        while Instant::now() < self.until {
            let mut buffer = ReadBuf::uninit(&mut bytes);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => self.reading.progress(),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.reading.poll_stalled(cx),
            }
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let received = buffer.filled().len() - before;
        if received > 0 {
            self.connection.note_received(received);
            if self.connection.is_flooding() {
                self.connection.counters.floods.increment();
                return Poll::Ready(Err(io::Error::other("the client sends frames that are no part of a request")));
            }
        }
        result
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, connection, lingering, .. } = &mut *self;
        let lingering = match lingering {
            Some(lingering) => lingering,
            None => {
                ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
                if !connection.uploads() {
                    return Poll::Ready(Ok(()));
                }
                lingering.insert(Lingering::new())
            }
        };
        lingering.poll_end(stream, cx).map(Ok)
    }
}
