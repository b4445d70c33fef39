//! The Internet checksum (RFC 1071).

use core::net::IpAddr;

/// A ones' complement sum over any number of slices, as if they stood one after the other.
#[derive(Copy, Clone, Default)]
pub(crate) struct Checksum {
    sum: u64,
    odd: bool,
}

impl Checksum {
    /// Takes `bytes` as the continuation of what was added before, also after an odd number of bytes.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        let part = sum(bytes);
        // RFC 1071 2.B: the sum of data that starts at an odd byte is the sum with its two bytes swapped.
        self.sum += u64::from(if self.odd { part.swap_bytes() } else { part });
        self.odd ^= bytes.len() % 2 == 1;
    }

    /// The pseudo header of TCP over IPv4 (RFC 9293 3.1) or IPv6 (RFC 8200 8.1).
    pub(crate) fn add_pseudo_header(
        &mut self,
        source: IpAddr,
        destination: IpAddr,
        protocol: u8,
        length: usize,
    ) {
        for address in [source, destination] {
            match address {
                IpAddr::V4(ip) => self.add(&ip.octets()),
                IpAddr::V6(ip) => self.add(&ip.octets()),
            }
        }
        self.sum += u64::from(protocol) + (length as u64);
    }

    /// What stands in a header's checksum field. Over data that includes a right checksum it is zero.
    pub(crate) fn finish(self) -> u16 {
        !fold(self.sum)
    }
}

/// Sum of 16-bit big-endian words; a last odd byte is the high half of a word.
fn sum(bytes: &[u8]) -> u16 {
    let (words, rest) = bytes.as_chunks::<4>();
    // The sum is independent of byte order (RFC 1071 2.B), so it is taken in the machine's own, four bytes at a time.
    let mut sum: u64 = words
        .iter()
        .map(|&word| u64::from(u32::from_ne_bytes(word)))
        .sum();
    let mut last = [0; 4];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    sum += u64::from(u32::from_ne_bytes(last));
    u16::from_be(fold(sum))
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (sum & 0xffff) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn example_of_rfc_1071() {
        let mut checksum = Checksum::default();
        checksum.add(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(checksum.finish(), !0xddf2);
    }

    proptest! {
        #[test]
        fn pieces_sum_like_the_whole(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            one in 0usize..200,
            two in 0usize..200,
        ) {
            let mut whole = Checksum::default();
            whole.add(&bytes);
            let one = one.min(bytes.len());
            let two = two.clamp(one, bytes.len().max(one));
            let mut pieces = Checksum::default();
            pieces.add(&bytes[..one]);
            pieces.add(&bytes[one..two]);
            pieces.add(&bytes[two..]);
            prop_assert_eq!(whole.finish(), pieces.finish());
            // The plain definition.
            let plain = bytes.chunks(2).fold(0u32, |sum, word| {
                let sum = sum + (u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0)));
                (sum & 0xffff) + (sum >> 16)
            });
            let plain = !u16::try_from(plain).unwrap();
            prop_assert!(whole.finish() == plain || (whole.finish(), plain) == (0, 0xffff));
        }
    }
}
