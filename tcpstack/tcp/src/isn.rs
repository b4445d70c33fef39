//! Initial sequence numbers (RFC 6528).

use core::hash::{Hash, Hasher};
use core::net::SocketAddr;

use siphasher::sip::SipHasher24;
use sluice_packet::{Instant, SeqNum};

/// Chooses initial sequence numbers that nobody off the path can guess.
#[derive(Clone, Debug)]
pub struct InitialSequence {
    key: [u8; 16],
}

impl InitialSequence {
    /// `key` is a secret, random for each start of the process.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// The number for a connection from `local` to `remote` opened now.
    #[must_use]
    pub fn choose(&self, local: SocketAddr, remote: SocketAddr, now: Instant) -> SeqNum {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.4.1
        //# ISN = M + F(localip, localport, remoteip, remoteport, secretkey)
        let mut hasher = SipHasher24::new_with_key(&self.key);
        (local, remote).hash(&mut hasher);
        // M ticks every 4 microseconds.
        let ticks = (now.micros() / 4) & u64::from(u32::MAX);
        let hash = hasher.finish() & u64::from(u32::MAX);
        let low = |value: u64| u32::try_from(value).unwrap_or(0);
        SeqNum(low(ticks)) + low(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p85_isn_depends_on_the_addresses_and_the_key_and_advances_with_time() {
        //= https://www.rfc-editor.org/rfc/rfc9293#section-3.4.1
        //= type=test
        //# ISN = M + F(localip, localport, remoteip, remoteport, secretkey)
        let local = "10.0.0.1:1000".parse().unwrap();
        let remote = "10.0.0.2:443".parse().unwrap();
        let other = "10.0.0.2:444".parse().unwrap();
        let isn = InitialSequence::new([7; 16]);
        let first = isn.choose(local, remote, Instant::ZERO);
        assert_eq!(
            isn.choose(local, remote, Instant::from_micros(4_000)),
            first + 1_000
        );
        assert_ne!(isn.choose(local, other, Instant::ZERO), first);
        assert_ne!(
            InitialSequence::new([8; 16]).choose(local, remote, Instant::ZERO),
            first
        );
    }
}
