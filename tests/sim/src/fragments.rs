//! IPv4 datagrams cut on their way (RFC 791 section 3.2), and put together where they arrive.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

const ETHERNET_BYTES: usize = 14;
const IPV4_HEADER_BYTES: usize = 20;
/// Behind both headers.
const BODY: usize = ETHERNET_BYTES + IPV4_HEADER_BYTES;
/// Fragment offsets count in these.
const UNIT_BYTES: usize = 8;
const DO_NOT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;
/// Datagrams of which an end has a part.
const DATAGRAMS_MAX: usize = 64;

/// Allows a router to cut an IPv4 datagram, as the `number`th of its sender.
pub(crate) fn allow(frame: &mut [u8], number: u16) {
    if is_ipv4(frame) {
        set(frame, 18, number);
        set(frame, 20, 0);
        seal(frame);
    }
}

/// The fragments of an IPv4 datagram of more than `mtu` bytes, if its sender allows that it is cut.
pub(crate) fn cut(frame: &[u8], mtu: u16) -> Option<Vec<Vec<u8>>> {
    let field = word(frame, 20).filter(|_| is_ipv4(frame))?;
    if field & DO_NOT_FRAGMENT != 0 {
        return None;
    }
    let header = frame.get(..BODY)?;
    let body = frame.get(BODY..ETHERNET_BYTES + usize::from(word(frame, 16)?))?;
    let room = usize::from(mtu).saturating_sub(IPV4_HEADER_BYTES) / UNIT_BYTES * UNIT_BYTES;
    let pieces = body.chunks(room.max(UNIT_BYTES));
    let count = pieces.len();
    let mut start = usize::from(field & OFFSET) * UNIT_BYTES;
    let mut fragments = Vec::new();
    for (index, piece) in pieces.enumerate() {
        let more = index + 1 < count || field & MORE_FRAGMENTS != 0;
        let place = u16::try_from(start / UNIT_BYTES).ok()?;
        let mut fragment = [header, piece].concat();
        let total = u16::try_from(IPV4_HEADER_BYTES + piece.len()).ok()?;
        set(&mut fragment, 16, total);
        set(
            &mut fragment,
            20,
            place | if more { MORE_FRAGMENTS } else { 0 },
        );
        seal(&mut fragment);
        fragments.push(fragment);
        start += piece.len();
    }
    Some(fragments)
}

/// Addresses, protocol and identification of a datagram.
type Datagram = [u8; 11];

/// What an end does with fragments: it waits until all of a datagram are there.
#[derive(Debug, Default)]
pub(crate) struct Rejoin {
    parts: BTreeMap<Datagram, Vec<Part>>,
    /// Of the datagrams, the oldest first.
    order: VecDeque<Datagram>,
}

#[derive(Debug)]
struct Part {
    start: usize,
    more: bool,
    frame: Vec<u8>,
}

impl Rejoin {
    /// The datagram that `frame` is, or that it completes.
    pub(crate) fn take<'a>(&mut self, frame: &'a [u8]) -> Option<Cow<'a, [u8]>> {
        let field = word(frame, 20).filter(|_| is_ipv4(frame)).unwrap_or(0);
        if field & (MORE_FRAGMENTS | OFFSET) == 0 {
            return Some(Cow::Borrowed(frame));
        }
        let end = ETHERNET_BYTES + usize::from(word(frame, 16)?);
        let addresses = frame.get(26..BODY)?;
        let rest = [frame.get(23..24)?, frame.get(18..20)?].concat();
        let datagram: Datagram = [addresses, &rest].concat().try_into().ok()?;
        // One with a flipped bit in its header is nobody's.
        let sound = sum(frame.get(ETHERNET_BYTES..BODY)?) == u32::from(u16::MAX);
        if !sound || end < BODY || end > frame.len() {
            return None;
        }
        if !self.parts.contains_key(&datagram) {
            self.order.push_back(datagram);
        }
        let parts = self.parts.entry(datagram).or_default();
        parts.push(Part {
            start: usize::from(field & OFFSET) * UNIT_BYTES,
            more: field & MORE_FRAGMENTS != 0,
            frame: frame.get(..end)?.to_vec(),
        });
        parts.sort_by_key(|part| part.start);
        let whole = joined(parts);
        let oldest = (self.order.len() > DATAGRAMS_MAX).then(|| self.order.pop_front());
        if let Some(oldest) = oldest.flatten() {
            self.parts.remove(&oldest);
        }
        if whole.is_some() {
            self.parts.remove(&datagram);
            self.order.retain(|other| *other != datagram);
        }
        whole.map(Cow::Owned)
    }
}

/// The datagram, once there is no gap in it.
fn joined(parts: &[Part]) -> Option<Vec<u8>> {
    let mut whole = parts.first()?.frame.get(..BODY)?.to_vec();
    let mut ended = false;
    for part in parts {
        let have = whole.len() - BODY;
        if part.start > have {
            return None;
        }
        let fresh = part.frame.get(BODY + have - part.start..);
        whole.extend_from_slice(fresh.unwrap_or_default());
        ended |= !part.more;
    }
    if !ended {
        return None;
    }
    let total = u16::try_from(whole.len() - ETHERNET_BYTES).ok()?;
    set(&mut whole, 16, total);
    set(&mut whole, 20, 0);
    seal(&mut whole);
    Some(whole)
}

/// IPv4 without options, as every end here sends it.
fn is_ipv4(frame: &[u8]) -> bool {
    frame.get(12..15) == Some(&[0x08, 0x00, 0x45]) && frame.len() >= BODY
}

fn word(frame: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(frame.get(at..at + 2)?.try_into().ok()?))
}

fn set(frame: &mut [u8], at: usize, value: u16) {
    if let Some(place) = frame.get_mut(at..at + 2) {
        place.copy_from_slice(&value.to_be_bytes());
    }
}

/// Writes the header's checksum.
fn seal(frame: &mut [u8]) {
    set(frame, 24, 0);
    let sum = sum(frame.get(ETHERNET_BYTES..BODY).unwrap_or_default());
    set(frame, 24, !u16::try_from(sum).unwrap_or(0));
}

/// RFC 1071, folded; `bytes` are even.
fn sum(bytes: &[u8]) -> u32 {
    let pairs = bytes.as_chunks::<2>().0.iter();
    let mut sum: u32 = pairs.map(|pair| u32::from(u16::from_be_bytes(*pair))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(body: usize) -> Vec<u8> {
        let mut frame = vec![0; BODY];
        frame[12..15].copy_from_slice(&[0x08, 0x00, 0x45]);
        set(
            &mut frame,
            16,
            u16::try_from(IPV4_HEADER_BYTES + body).unwrap(),
        );
        set(&mut frame, 20, DO_NOT_FRAGMENT);
        seal(&mut frame);
        frame.extend((0..body).map(|at| u8::try_from(at % 251).unwrap()));
        frame
    }

    #[test]
    fn e111_what_a_router_cuts_an_end_puts_together_in_any_order() {
        let mut frame = datagram(3_000);
        assert_eq!(cut(&frame, 1_500), None, "its sender forbids it");
        allow(&mut frame, 7);
        let once = cut(&frame, 1_500).unwrap();
        let twice: Vec<_> = once
            .iter()
            .flat_map(|part| cut(part, 600).unwrap())
            .collect();
        assert_eq!((once.len(), twice.len()), (3, 7));
        assert!(twice.iter().all(|part| part.len() <= ETHERNET_BYTES + 600));
        let mut rejoin = Rejoin::default();
        let (last, others) = twice.split_first().unwrap();
        for part in others.iter().chain(others).rev() {
            assert_eq!(rejoin.take(part), None);
        }
        assert_eq!(rejoin.take(last).as_deref(), Some(&frame[..]));
        assert_eq!(
            rejoin.take(&frame).as_deref(),
            Some(&frame[..]),
            "no fragment"
        );
    }

    #[test]
    fn e111_a_fragment_with_a_wrong_header_is_nobodys() {
        let mut frame = datagram(1_000);
        allow(&mut frame, 7);
        let mut parts = cut(&frame, 600).unwrap();
        parts[0][21] ^= 1;
        let mut rejoin = Rejoin::default();
        assert!(parts.iter().all(|part| rejoin.take(part).is_none()));
    }
}
