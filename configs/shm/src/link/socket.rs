//! The socket under the link: framing, limits, timeouts.

use std::io::{IoSlice, IoSliceMut};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::sockopt::Timeout;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::{
    LINK_DATAGRAM_BYTES_MAX, LINK_FDS_MAX, LINK_MESSAGE_BYTES_MAX, LINK_SEND_TIMEOUT,
};

/// First byte of a datagram: the message goes on in the next one.
const MORE: u8 = 1;
/// First byte of a datagram: the message ends here.
const LAST: u8 = 0;
const DATAGRAM_PAYLOAD_BYTES: usize = LINK_DATAGRAM_BYTES_MAX - 1;

/// The link failed. Every error but [`LinkError::Bind`], [`LinkError::InUse`] and [`LinkError::Connect`] means that this
/// connection is of no more use; the data plane connects again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The socket could not be made at its path.
    #[error("cannot listen on {}: {source}; check that the directory exists and that this user may write to it", path.display())]
    Bind {
        /// The socket's path.
        path: PathBuf,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// Another process listens there.
    #[error("cannot listen on {}: another process listens there; stop it, or choose another run directory", path.display())]
    InUse {
        /// The socket's path.
        path: PathBuf,
    },
    /// Nobody answers at the path.
    #[error("cannot connect to {}: {source}; check that sluiced runs with this run directory", path.display())]
    Connect {
        /// The socket's path.
        path: PathBuf,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// The other end is gone.
    #[error("the other process closed the link")]
    Closed,
    /// The other end does not read.
    #[error("the other process has not read from the link for {} s", LINK_SEND_TIMEOUT.as_secs())]
    Stuck,
    /// A message exceeds its limits.
    #[error(
        "a message of {bytes} bytes with {descriptors} descriptors exceeds the link's limits of {LINK_MESSAGE_BYTES_MAX} and {LINK_FDS_MAX}"
    )]
    TooLarge {
        /// Bytes so far.
        bytes: usize,
        /// Descriptors so far.
        descriptors: usize,
    },
    /// What arrived is no message of this version.
    #[error(
        "the other process sent something that is no message of this release; run sluiced and sluice-dataplane of one release"
    )]
    Malformed,
    /// The kernel refused an operation.
    #[error("the link's socket failed: {source}")]
    System {
        /// The kernel's answer.
        source: std::io::Error,
    },
}

impl From<Errno> for LinkError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN => Self::Closed,
            Errno::AGAIN => Self::Stuck,
            errno => Self::System {
                source: errno.into(),
            },
        }
    }
}

/// `sluiced`'s listening socket; its path is removed on drop.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    path: PathBuf,
}

impl Listener {
    /// Listens at `path`, readable and writable for owner and group. A socket that a dead process left there is
    /// replaced; a living one is not.
    ///
    /// # Errors
    /// Another process listens there, or the path cannot be used.
    pub fn bind(path: &Path) -> Result<Self, LinkError> {
        let fail = |errno: Errno| LinkError::Bind {
            path: path.to_owned(),
            source: errno.into(),
        };
        let address = SocketAddrUnix::new(path).map_err(fail)?;
        let probe = socket()?;
        if rustix::net::connect(&probe, &address).is_ok() {
            return Err(LinkError::InUse {
                path: path.to_owned(),
            });
        }
        match rustix::fs::unlink(path) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(fail(errno)),
        }
        let socket = socket()?;
        rustix::net::bind(&socket, &address).map_err(fail)?;
        let listener = Self {
            socket,
            path: path.to_owned(),
        };
        rustix::fs::chmod(path, Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP).map_err(fail)?;
        rustix::net::listen(&listener.socket, 4).map_err(fail)?;
        Ok(listener)
    }

    /// Waits for the next connection; `None` when none came within `timeout`.
    ///
    /// # Errors
    /// The socket failed.
    pub fn accept<Out, In>(
        &self,
        timeout: Option<Duration>,
    ) -> Result<Option<Link<Out, In>>, LinkError> {
        if !readable(self.socket.as_fd(), timeout)? {
            return Ok(None);
        }
        match rustix::net::accept_with(&self.socket, SocketFlags::CLOEXEC) {
            Ok(socket) => Link::over(socket).map(Some),
            Err(Errno::CONNABORTED | Errno::INTR | Errno::AGAIN) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let removed = rustix::fs::unlink(&self.path);
        debug_assert!(
            removed.is_ok() || removed == Err(Errno::NOENT),
            "only this process removes its socket"
        );
    }
}

/// A message with its descriptors.
#[derive(Debug)]
pub struct Received<In> {
    /// The message.
    pub message: In,
    /// Its descriptors, in the order they were sent.
    pub descriptors: Vec<OwnedFd>,
}

/// One end of a connection: sends `Out`, receives `In`. May be shared between threads; whole messages never interleave.
#[derive(Debug)]
pub struct Link<Out, In> {
    socket: OwnedFd,
    sending: Mutex<()>,
    receiving: Mutex<Assembly>,
    messages: PhantomData<fn(Out) -> In>,
}

/// A message of which datagrams have arrived, but not the last.
#[derive(Debug, Default)]
struct Assembly {
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl<Out, In> Link<Out, In> {
    /// Connects to the listener at `path`.
    ///
    /// # Errors
    /// Nobody listens there, or this user may not connect.
    pub fn connect(path: &Path) -> Result<Self, LinkError> {
        let fail = |errno: Errno| LinkError::Connect {
            path: path.to_owned(),
            source: errno.into(),
        };
        let socket = socket()?;
        let address = SocketAddrUnix::new(path).map_err(fail)?;
        rustix::net::connect(&socket, &address).map_err(fail)?;
        Self::over(socket)
    }

    /// Two connected ends, for tests and for one process.
    ///
    /// # Errors
    /// The kernel gives no socket.
    pub fn pair() -> Result<(Self, Link<In, Out>), LinkError> {
        let flags = SocketFlags::CLOEXEC;
        let (one, other) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Self::over(one)?, Link::over(other)?))
    }

    fn over(socket: OwnedFd) -> Result<Self, LinkError> {
        rustix::net::sockopt::set_socket_timeout(&socket, Timeout::Send, Some(LINK_SEND_TIMEOUT))?;
        Ok(Self {
            socket,
            sending: Mutex::new(()),
            receiving: Mutex::default(),
            messages: PhantomData,
        })
    }

    /// Ends the connection for both ends, also for a thread that waits in [`Self::receive`].
    pub fn shutdown(&self) {
        // An error means that it is down already.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
    }
}

impl<Out: Serialize, In> Link<Out, In> {
    /// Sends one message with descriptors. Waits for a peer that is slow to read, up to [`LINK_SEND_TIMEOUT`].
    ///
    /// # Errors
    /// The message exceeds its limits, or the connection is gone.
    pub fn send(&self, message: &Out, descriptors: &[BorrowedFd<'_>]) -> Result<(), LinkError> {
        let bytes = postcard::to_stdvec(message).map_err(|_| LinkError::Malformed)?;
        if bytes.len() > LINK_MESSAGE_BYTES_MAX || descriptors.len() > LINK_FDS_MAX {
            return Err(LinkError::TooLarge {
                bytes: bytes.len(),
                descriptors: descriptors.len(),
            });
        }
        let _whole = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        let mut descriptors = descriptors;
        let mut rest = bytes.as_slice();
        loop {
            let (chunk, left) = rest.split_at(rest.len().min(DATAGRAM_PAYLOAD_BYTES));
            let kind = if left.is_empty() { LAST } else { MORE };
            self.send_datagram(kind, chunk, descriptors)?;
            if left.is_empty() {
                return Ok(());
            }
            descriptors = &[];
            rest = left;
        }
    }

    fn send_datagram(
        &self,
        kind: u8,
        chunk: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), LinkError> {
        let parts = [
            IoSlice::new(std::slice::from_ref(&kind)),
            IoSlice::new(chunk),
        ];
        loop {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(LINK_FDS_MAX))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty()
                && !control.push(SendAncillaryMessage::ScmRights(descriptors))
            {
                return Err(LinkError::TooLarge {
                    bytes: chunk.len(),
                    descriptors: descriptors.len(),
                });
            }
            match rustix::net::sendmsg(&self.socket, &parts, &mut control, SendFlags::NOSIGNAL) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl<Out, In: DeserializeOwned> Link<Out, In> {
    /// The next message; `None` when no whole one arrived within `timeout` (`None` waits for ever, zero not at all).
    ///
    /// # Errors
    /// The connection is gone, or what arrived is no message.
    pub fn receive(&self, timeout: Option<Duration>) -> Result<Option<Received<In>>, LinkError> {
        let mut assembly = self
            .receiving
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut datagram = vec![0; LINK_DATAGRAM_BYTES_MAX];
        loop {
            // Each datagram of a message restarts the wait; their number is bounded, so the whole wait is.
            if !readable(self.socket.as_fd(), timeout)? {
                return Ok(None);
            }
            let Some(bytes) = self.receive_datagram(&mut datagram, &mut assembly.descriptors)?
            else {
                continue;
            };
            let Some((kind, chunk)) = datagram.get(..bytes).and_then(<[u8]>::split_first) else {
                return Err(LinkError::Closed);
            };
            let total = assembly.bytes.len() + chunk.len();
            if total > LINK_MESSAGE_BYTES_MAX || assembly.descriptors.len() > LINK_FDS_MAX {
                let descriptors = assembly.descriptors.len();
                *assembly = Assembly::default();
                return Err(LinkError::TooLarge {
                    bytes: total,
                    descriptors,
                });
            }
            assembly.bytes.extend_from_slice(chunk);
            match *kind {
                MORE => {}
                LAST => {
                    let Assembly { bytes, descriptors } = std::mem::take(&mut *assembly);
                    let message = postcard::from_bytes(&bytes).map_err(|_| LinkError::Malformed)?;
                    return Ok(Some(Received {
                        message,
                        descriptors,
                    }));
                }
                _ => return Err(LinkError::Malformed),
            }
        }
    }

    /// One datagram: its length, zero at the end of the connection, `None` when there was none after all.
    fn receive_datagram(
        &self,
        into: &mut [u8],
        descriptors: &mut Vec<OwnedFd>,
    ) -> Result<Option<usize>, LinkError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(LINK_FDS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let received = match rustix::net::recvmsg(
            &self.socket,
            &mut [IoSliceMut::new(into)],
            &mut control,
            flags,
        ) {
            Ok(received) => received,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        if received
            .flags
            .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
        {
            return Err(LinkError::TooLarge {
                bytes: received.bytes,
                descriptors: descriptors.len(),
            });
        }
        Ok(Some(received.bytes))
    }
}

impl<Out, In> AsFd for Link<Out, In> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn socket() -> Result<OwnedFd, LinkError> {
    Ok(rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

/// Waits until there is something to read or the other end is gone.
fn readable(socket: BorrowedFd<'_>, timeout: Option<Duration>) -> Result<bool, LinkError> {
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    let mut polled = [PollFd::from_borrowed_fd(socket, PollFlags::IN)];
    match rustix::event::poll(&mut polled, timeout.as_ref()) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}
