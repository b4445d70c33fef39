//! Where raw entropy comes from.

use thiserror::Error;

/// A source of raw 64-bit words, tested before use. Tests inject their own.
pub trait Entropy: Send {
    /// The next raw word, or `None` when the source gave up.
    fn next_word(&mut self) -> Option<u64>;
}

/// The operating system's generator, as a seed. Tests inject their own.
pub trait System: Send {
    /// Fills `seed`.
    ///
    /// # Errors
    /// What the system said.
    fn fill_seed(&mut self, seed: &mut [u8]) -> Result<(), SystemFault>;
}

/// The processor's RDRAND instruction.
pub struct Rdrand(rdrand::RdRand);

/// Why RDRAND does not seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum HardwareFault {
    /// CPUID does not offer the instruction, or the processor is one whose implementation is known to be broken.
    #[error("this processor has no usable RDRAND")]
    Absent,
    /// The instruction kept reporting that it has no data.
    #[error("RDRAND reported no data ten times in a row")]
    Exhausted,
    /// Its words failed a health test.
    #[error("RDRAND failed its health test: {0}")]
    Unhealthy(#[from] crate::HealthFault),
}

/// The operating system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "getrandom(2) failed: {0}; it needs Linux 3.17 or later and must be allowed by the service's seccomp filter"
)]
pub struct SystemFault(pub getrandom::Error);

impl Rdrand {
    /// Asks CPUID for the instruction.
    ///
    /// # Errors
    /// [`HardwareFault::Absent`].
    pub fn detect() -> Result<Self, HardwareFault> {
        rdrand::RdRand::new()
            .map(Self)
            .map_err(|_| HardwareFault::Absent)
    }
}

impl Entropy for Rdrand {
    fn next_word(&mut self) -> Option<u64> {
        rand_core::TryRng::try_next_u64(&mut self.0).ok()
    }
}

/// getrandom(2).
pub(crate) struct Getrandom;

impl System for Getrandom {
    fn fill_seed(&mut self, seed: &mut [u8]) -> Result<(), SystemFault> {
        getrandom::fill(seed).map_err(SystemFault)
    }
}
