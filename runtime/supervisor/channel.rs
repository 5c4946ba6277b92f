//! The channel between a parent and a child: packets of JSON over a Unix socket pair, with open files beside them.
//!
//! Sending never waits: the messages are few and small, so an end whose buffer is full has stopped reading. What receives
//! a file owns it, and none is inherited by a program that is started.
#![allow(unsafe_code)]

use std::io;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd as _;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::os::fd::RawFd;
use std::sync::Arc;

use rustix::cmsg_space;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::poll;
use rustix::io::Errno;
use rustix::io::retry_on_intr;
use rustix::net::AddressFamily;
use rustix::net::RecvAncillaryBuffer;
use rustix::net::RecvAncillaryMessage;
use rustix::net::RecvFlags;
use rustix::net::ReturnFlags;
use rustix::net::SendAncillaryBuffer;
use rustix::net::SendAncillaryMessage;
use rustix::net::SendFlags;
use rustix::net::SocketFlags;
use rustix::net::SocketType;
use rustix::net::recvmsg;
use rustix::net::sendmsg;
use rustix::net::socketpair;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::unix::AsyncFd;

/// Bytes of a packet.
pub(crate) const LONGEST: usize = 64 << 10;
/// Files beside one packet.
const FILES: usize = 4;

/// A message, and the files that came with it.
pub(crate) type Packet<M> = (M, Vec<OwnedFd>);

/// One end of the channel. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    socket: Arc<OwnedFd>,
}

/// Takes what comes, within a tokio runtime.
pub(crate) struct Receiver {
    socket: AsyncFd<Arc<OwnedFd>>,
}

/// Both ends of a new channel; they close when a program is started.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    new_pair(SocketType::SEQPACKET)
}

/// Both ends of a new stream connection.
pub(crate) fn stream_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    new_pair(SocketType::STREAM)
}

fn new_pair(kind: SocketType) -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?)
}

// === impl Channel ===

impl Channel {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self { socket: Arc::new(socket) }
    }

    pub(crate) fn receiver(&self) -> io::Result<Receiver> {
        // SAFETY: the descriptor is open, and nobody replaces or closes it while the `Arc` holds it.
        let socket = unsafe { AsyncFd::register(Arc::clone(&self.socket))? };
        Ok(Receiver { socket })
    }

    pub(crate) fn raw(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    pub(crate) fn send<M: Serialize>(&self, message: &M, files: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        if bytes.len() > LONGEST || files.len() > FILES {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the message is too large"));
        }
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(FILES))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !files.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(files));
        }
        let data = [IoSlice::new(&bytes)];
        retry_on_intr(|| sendmsg(&self.socket, &data, &mut control, SendFlags::DONTWAIT | SendFlags::NOSIGNAL))?;
        Ok(())
    }

    /// Waits on the calling thread. `None`: the other end has gone.
    pub(crate) fn receive_blocking<M: DeserializeOwned>(&self) -> io::Result<Option<Packet<M>>> {
        loop {
            match receive(self.socket.as_fd()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    retry_on_intr(|| poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], None))?;
                }
                received => return decode(received?),
            }
        }
    }
}

// === impl Receiver ===

impl Receiver {
    /// `None`: the other end has gone.
    pub(crate) async fn receive<M: DeserializeOwned>(&self) -> io::Result<Option<Packet<M>>> {
        loop {
            let mut ready = self.socket.readable().await?;
            match ready.try_io(|socket| receive(socket.get_ref().as_fd())) {
                Ok(received) => return decode(received?),
                Err(_would_block) => {}
            }
        }
    }
}

fn decode<M: DeserializeOwned>((bytes, files): (Vec<u8>, Vec<OwnedFd>)) -> io::Result<Option<Packet<M>>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    Ok(Some((serde_json::from_slice(&bytes)?, files)))
}

fn receive(socket: BorrowedFd<'_>) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut bytes = vec![0; LONGEST];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(FILES))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = retry_on_intr(|| recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags));
    let received = match received {
        // The other end died with something unread.
        Err(Errno::CONNRESET) => return Ok((Vec::new(), Vec::new())),
        received => received?,
    };
    let mut files = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            files.extend(rights);
        }
    }
    if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a message was cut off"));
    }
    bytes.truncate(received.bytes);
    Ok((bytes, files))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::io::Write as _;

    use super::*;

    #[test]
    fn messages_keep_their_bounds_and_files_come_with_them() {
        let (one, other) = pair().unwrap();
        let (one, other) = (Channel::new(one), Channel::new(other));
        let (reader, mut writer) = io::pipe().unwrap();
        one.send(&"first", &[]).unwrap();
        one.send(&"second", &[reader.as_fd(), writer.as_fd()]).unwrap();
        assert_eq!(other.receive_blocking::<String>().unwrap().unwrap().0, "first");
        let (text, mut files) = other.receive_blocking::<String>().unwrap().unwrap();
        assert_eq!((text.as_str(), files.len()), ("second", 2));
        writer.write_all(b"x").unwrap();
        let mut received = std::fs::File::from(files.remove(0));
        let mut byte = [0];
        received.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"x");
        drop(one);
        assert!(other.receive_blocking::<String>().unwrap().is_none());
    }

    #[test]
    fn an_end_that_does_not_read_is_noticed_and_not_waited_for() {
        let (one, _other) = pair().unwrap();
        let channel = Channel::new(one);
        let text = "x".repeat(LONGEST / 2);
        let error = (0..100).find_map(|_| channel.send(&text, &[]).err()).expect("the buffer is bounded");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
