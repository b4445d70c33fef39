//! What decrypted bytes are: protocol identification on the plaintext of both directions.
//!
//! An [`Inspector`] sees every plaintext byte of one flow, in order and per direction, before it is sealed again. It names
//! the application protocol from the ALPN both ends agreed on, and from the first bytes where no ALPN was spoken.

#![forbid(unsafe_code)]

mod identify;
pub mod limits;

pub use identify::{Direction, Inspector};
