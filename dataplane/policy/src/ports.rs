//! A set of TCP ports, one bit each.

use sluice_schema::PortRange;

const WORDS: usize = 65_536 / 64;

const SIEVE_WORDS: usize = 8;

/// TCP ports: 65,536 bits.
#[derive(Clone)]
pub struct PortSet {
    sieve: Sieve,
    words: Box<[u64; WORDS]>,
}

/// Which ports may be in the set, by their last nine bits: one cache line, which rules out most clients' ports.
#[repr(align(64))]
#[derive(Clone, Debug)]
struct Sieve([u64; SIEVE_WORDS]);

impl PortSet {
    /// No port.
    #[must_use]
    pub fn new() -> Self {
        Self {
            sieve: Sieve([0; SIEVE_WORDS]),
            words: Box::new([0; WORDS]),
        }
    }

    /// Adds the ports of `other`.
    pub fn insert_all(&mut self, other: &Self) {
        let words = self.words.iter_mut().zip(other.words.iter());
        let sieve = self.sieve.0.iter_mut().zip(other.sieve.0.iter());
        for (word, more) in words.chain(sieve) {
            *word |= more;
        }
    }

    pub(crate) fn insert(&mut self, range: PortRange) {
        for port in range.first()..=range.last() {
            let at = usize::from(port) / 64;
            let words = [
                self.words.get_mut(at),
                self.sieve.0.get_mut(at % SIEVE_WORDS),
            ];
            for word in words.into_iter().flatten() {
                *word |= 1 << (port % 64);
            }
        }
    }

    /// Whether the port is among them.
    #[inline]
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        let at = usize::from(port) / 64;
        let has = |word: Option<&u64>| word.is_some_and(|word| word >> (port % 64) & 1 == 1);
        has(self.sieve.0.get(at % SIEVE_WORDS)) && has(self.words.get(at))
    }
}

impl Default for PortSet {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_ports_of_the_ranges() {
        let mut set = PortSet::new();
        for text in ["1", "443", "63-65", "65535", "8000-8100"] {
            set.insert(text.parse().unwrap());
        }
        let expected = |port: u16| matches!(port, 1 | 443 | 63..=65 | 65535 | 8000..=8100);
        for port in 0..=u16::MAX {
            assert_eq!(set.contains(port), expected(port), "{port}");
        }
        let mut more = PortSet::new();
        more.insert("444".parse().unwrap());
        more.insert_all(&set);
        for port in 0..=u16::MAX {
            assert_eq!(more.contains(port), port == 444 || expected(port), "{port}");
        }
    }
}
