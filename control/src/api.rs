//! The management socket: newline-delimited JSON, a thread per connection.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::limits::{API_CONNECTIONS_MAX, STOP_POLL};
use crate::process::Daemon;
use crate::{journal, manage};

/// The management socket cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiSocketError {
    #[error("cannot listen on {}: another process listens there; stop it, or name another directory with --run-dir", path.display())]
    InUse { path: PathBuf },
    #[error("cannot listen on {}: {source}; check that this user may write to the directory, or name another one with --run-dir", path.display())]
    Bind {
        path: PathBuf,
        source: std::io::Error,
    },
}

/// The listening socket; its path is removed on drop.
pub(crate) struct ApiSocket {
    listener: UnixListener,
    path: PathBuf,
}

/// Listens at `path`, readable and writable for owner and group. A socket that a dead process left is replaced.
pub(crate) fn bind(path: &Path) -> Result<ApiSocket, ApiSocketError> {
    let fail = |source| ApiSocketError::Bind {
        path: path.to_owned(),
        source,
    };
    if UnixStream::connect(path).is_ok() {
        return Err(ApiSocketError::InUse {
            path: path.to_owned(),
        });
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(fail(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(fail)?;
    let socket = ApiSocket {
        listener,
        path: path.to_owned(),
    };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(fail)?;
    Ok(socket)
}

impl Drop for ApiSocket {
    fn drop(&mut self) {
        // Removed already by hand, or its directory is gone: nothing is left to do.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Serves connections until the process stops.
pub(crate) fn serve(socket: ApiSocket, daemon: &Arc<Daemon>, stop: &Arc<AtomicBool>) {
    let served = Arc::new(AtomicUsize::new(0));
    while !stop.load(Ordering::Acquire) {
        if !waiting(&socket.listener) {
            continue;
        }
        let stream = match socket.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) => {
                journal::say(&format!("the management socket: {error}"));
                std::thread::park_timeout(STOP_POLL);
                continue;
            }
        };
        if served.load(Ordering::Acquire) >= API_CONNECTIONS_MAX {
            journal::say("a management connection was turned away: too many at once");
            continue;
        }
        served.fetch_add(1, Ordering::AcqRel);
        let ticket = Ticket(Arc::clone(&served));
        let daemon = Arc::clone(daemon);
        let started = std::thread::Builder::new()
            .name("api-connection".to_owned())
            .spawn(move || {
                let _ticket = ticket;
                converse(stream, &daemon);
            });
        if let Err(error) = started {
            journal::say(&format!("no thread for a management connection: {error}"));
        }
    }
    drop(socket);
}

struct Ticket(Arc<AtomicUsize>);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn waiting(listener: &UnixListener) -> bool {
    let timeout = Timespec::try_from(STOP_POLL).ok();
    let mut polled = [PollFd::new(listener, PollFlags::IN)];
    rustix::event::poll(&mut polled, timeout.as_ref()).is_ok_and(|ready| ready > 0)
}
fn converse(stream: UnixStream, daemon: &Daemon) {
    // The kernel's word on who connected; nobody else may be asked.
    let user =
        rustix::net::sockopt::socket_peercred(&stream).map_or(u32::MAX, |peer| peer.uid.as_raw());
    // How a client ended its connection is its own affair.
    let _ = sluice_api::serve(stream, |request| manage::answer(daemon, user, request));
}
