//! The link between the two processes: messages with file descriptors over a Unix socket.
//!
//! `sluiced` listens, `sluice-dataplane` connects and connects again whenever the link breaks. The socket keeps message
//! boundaries (`SOCK_SEQPACKET`); a message larger than a datagram travels as several, its descriptors with the first.
//!
//! A conversation: the data plane says [`ToControl::Hello`]; `sluiced` answers [`ToDataplane::Welcome`] and, when there
//! is a generation, [`ToDataplane::Publish`] with the snapshot and the keys. A data plane that has no cores yet (its
//! boot settings come with the first snapshot) says `Hello` without cores or descriptors, and says it again once its
//! statistics and rings exist. Every core then adopts, and the data plane reports [`ToControl::Adopted`] per core, or
//! one [`ToControl::Refused`]. [`ToDataplane::Retire`] says that nobody needs an older generation's descriptors.

mod messages;
mod socket;

pub use messages::{LINK_VERSION, Query, ReplyBody, ToControl, ToDataplane};
pub use socket::{Link, LinkError, Listener, Received};

/// `sluiced`'s end.
pub type ControlLink = Link<ToDataplane, ToControl>;
/// The data plane's end.
pub type DataplaneLink = Link<ToControl, ToDataplane>;

#[cfg(test)]
mod tests;
