//! Random bytes per core, seeded and reseeded from RDRAND.
//!
//! Every core owns a [`CoreRandom`]: a ChaCha20 generator with fast key erasure, seeded from the processor's
//! RDRAND and from the operating system together, so that neither alone decides the output. The raw RDRAND words pass
//! the health tests of NIST SP 800-90B section 4.4 at start and for as long as they are used; a processor without
//! RDRAND, or one whose words fail a test, is named by [`CoreRandom::source`] and the system's generator seeds alone.
//!
//! [`fill`] draws from the calling thread's own generator, for callers that must be `Sync`.

#![forbid(unsafe_code)]

mod core_random;
mod entropy;
mod health;
pub mod limits;
mod thread;

pub use core_random::{CoreRandom, RandomError, Source};
pub use entropy::{Entropy, HardwareFault, Rdrand, System, SystemFault};
pub use health::{HealthFault, HealthTests};
pub use thread::{fill, source, with_thread_random};
