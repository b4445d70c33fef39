//! A set of TCP ports, one bit each.

use sluice_schema::PortRange;

const WORDS: usize = 65_536 / 64;

/// TCP ports: 65,536 bits.
#[derive(Clone)]
pub struct PortSet(Box<[u64; WORDS]>);

impl PortSet {
    /// No port.
    #[must_use]
    pub fn new() -> Self {
        Self(Box::new([0; WORDS]))
    }

    /// Adds the ports of `other`.
    pub fn insert_all(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(other.0.iter()) {
            *word |= more;
        }
    }

    pub(crate) fn insert(&mut self, range: PortRange) {
        for port in range.first()..=range.last() {
            if let Some(word) = self.0.get_mut(usize::from(port) / 64) {
                *word |= 1 << (port % 64);
            }
        }
    }

    /// Whether the port is among them.
    #[inline]
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        self.0
            .get(usize::from(port) / 64)
            .is_some_and(|word| word >> (port % 64) & 1 == 1)
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
