//! The data plane's end of the link to `sluiced`: connected for ever again, and never in the way of traffic.

use core::time::Duration;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::Instant;

use sluice_shm::link::{DataplaneLink, LinkError, Received, ToControl, ToDataplane};

use crate::limits::{CONNECT_WAIT_MAX, CONNECT_WAIT_MIN, REASON_BYTES_MAX};
use crate::status::say;

/// The link, up or down.
pub(crate) struct Control {
    path: PathBuf,
    link: Option<DataplaneLink>,
    wait: Duration,
    next_attempt: Instant,
    /// The wait for a control plane has been reported.
    told: bool,
    /// The present link has carried a message.
    heard: bool,
}

impl Control {
    /// To the socket at `path`; not connected yet.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            link: None,
            wait: CONNECT_WAIT_MIN,
            next_attempt: now(),
            told: false,
            heard: false,
        }
    }

    /// True while connected.
    pub(crate) fn is_up(&self) -> bool {
        self.link.is_some()
    }

    /// Connects if the link is down and the wait since the last attempt is over. True when it has just come up.
    pub(crate) fn connect(&mut self) -> bool {
        if self.link.is_some() || now() < self.next_attempt {
            return false;
        }
        match DataplaneLink::connect(&self.path) {
            Ok(link) => {
                self.link = Some(link);
                self.heard = false;
                true
            }
            Err(error) => {
                if !self.told {
                    say(format_args!("waiting for sluiced: {error}"));
                    self.told = true;
                }
                self.next_attempt = now() + self.wait;
                self.wait = (self.wait * 2).min(CONNECT_WAIT_MAX);
                false
            }
        }
    }

    /// The next message, waiting at most `timeout` for it, whether the link is up or not.
    pub(crate) fn receive(&mut self, timeout: Duration) -> Option<Received<ToDataplane>> {
        let Some(link) = &self.link else {
            let until = self.next_attempt.saturating_duration_since(now());
            #[expect(
                clippy::disallowed_methods,
                reason = "the main loop's own wait while there is no link"
            )]
            std::thread::sleep(until.min(timeout));
            return None;
        };
        match link.receive(Some(timeout)) {
            Ok(received) => {
                if received.is_some() {
                    self.heard = true;
                    self.told = false;
                    self.wait = CONNECT_WAIT_MIN;
                }
                received
            }
            Err(error) => {
                self.lost(&error);
                None
            }
        }
    }

    /// Sends a message. False, and the link is down, when that failed.
    pub(crate) fn send(&mut self, message: &ToControl, descriptors: &[BorrowedFd<'_>]) -> bool {
        let Some(link) = &self.link else { return false };
        match link.send(message, descriptors) {
            Ok(()) => true,
            Err(error) => {
                self.lost(&error);
                false
            }
        }
    }

    /// Ends the link; the next [`Control::connect`] makes a new one.
    pub(crate) fn disconnect(&mut self, reason: &str) {
        if self.link.take().is_some() {
            say(format_args!("left sluiced: {reason}"));
            self.next_attempt = now() + CONNECT_WAIT_MAX;
        }
    }

    /// A link that never carried a message is like no link: `sluiced` may still hold that of a data plane that was killed.
    fn lost(&mut self, error: &LinkError) {
        self.link = None;
        if self.heard {
            say(format_args!("lost sluiced: {error}"));
        } else {
            self.wait = (self.wait * 2).min(CONNECT_WAIT_MAX);
        }
        self.next_attempt = now() + self.wait;
    }
}

/// A text cut to what a message may carry.
pub(crate) fn reason(text: &str) -> String {
    text.get(..text.floor_char_boundary(REASON_BYTES_MAX))
        .unwrap_or_default()
        .to_owned()
}

fn now() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "the main loop's own clock: it only spaces out attempts to connect"
    )]
    Instant::now()
}

#[cfg(test)]
mod tests {
    use sluice_shm::link::{ControlLink, LINK_VERSION, Listener};

    use super::*;

    fn hello() -> ToControl {
        ToControl::Hello {
            version: LINK_VERSION,
            pid: 1,
            release: "test".to_owned(),
            cores: vec![1],
            adopted: Some(7),
        }
    }

    #[test]
    fn f131_the_link_comes_back_by_itself_when_sluiced_does() {
        let directory = std::env::temp_dir().join(format!("sluice-link-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let path = directory.join("dataplane.sock");
        let mut control = Control::new(path.clone());
        assert!(!control.connect(), "nobody listens yet");
        assert!(control.receive(Duration::from_millis(1)).is_none());
        assert!(!control.send(&hello(), &[]));

        for life in 0..3 {
            let listener = Listener::bind(&path).expect("bound");
            let mut attempts = 0;
            while !control.connect() {
                assert!(control.receive(Duration::from_millis(20)).is_none());
                attempts += 1;
                assert!(attempts < 200, "life {life}: not connected again");
            }
            let peer: ControlLink = listener
                .accept(Some(Duration::from_secs(5)))
                .expect("a socket")
                .expect("a peer");
            assert!(control.send(&hello(), &[]));
            let received = peer
                .receive(Some(Duration::from_secs(5)))
                .expect("a link")
                .expect("a message");
            assert_eq!(received.message, hello());
            drop(peer);
            drop(listener);
            assert!(control.receive(Duration::from_secs(5)).is_none());
            assert!(!control.is_up(), "life {life}: the end is noticed");
        }
        std::fs::remove_dir_all(&directory).expect("cleaned up");
    }

    #[test]
    fn reasons_are_cut_at_a_character() {
        assert_eq!(reason("short"), "short");
        let long = "é".repeat(REASON_BYTES_MAX);
        assert!(reason(&long).len() <= REASON_BYTES_MAX);
        assert!(long.starts_with(&reason(&long)));
    }
}
