//! TLS on both legs: the ClientHello, both handshakes, verification of the origin and the record layer.
//!
//! The only user of rustls. [`ClientHelloReader`] reads what the client offers before anything is promised.
//! [`OriginHandshake`] is the client toward the origin: it records a verdict on the origin's certificate and lets the
//! handshake go on, because policy decides what an untrusted origin is worth; the signature over the handshake is always
//! checked. [`ClientHandshake`] is the server toward the client. Both end in [`Records`], which opens and seals in place.
//!
//! Nothing here reads a clock or a socket: bytes, time and parameters come in, bytes and facts go out.

#![forbid(unsafe_code)]

mod client;
mod client_hello;
mod context;
mod drive;
mod error;
mod facts;
mod hello_reader;
mod identity;
mod kx;
pub mod limits;
mod origin;
mod provider;
mod records;
#[cfg(test)]
mod testing;
mod trust_store;
mod verdict;
mod verifier;
mod version;

pub use client::{ClientHandshake, ClientParameters, ClientSession};
pub use client_hello::{ClientHello, HelloError};
pub use context::{TlsContext, TlsContextError};
pub use drive::Progress;
pub use error::{Blame, TlsError, TlsErrorKind};
pub use hello_reader::{ClientHelloReader, HelloProgress};
pub use identity::{IdentityError, LeafSigner, ServerIdentity};
pub use origin::{OriginHandshake, OriginParameters, OriginSession};
pub use records::{Content, Opened, RecordError, Records, Reply};
pub use trust_store::{TrustStore, TrustStoreError};
pub use version::VersionRange;
