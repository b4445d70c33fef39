//! What a receiver makes of fragments, by the same rules of overlap as for segments.

use std::collections::BTreeMap;

use super::craft::checksum;
use super::receiver::Profile;

const LINK: usize = 14;
const IP: usize = 20;

type Range = (i64, i64);

#[derive(Default)]
struct Datagram {
    header: Vec<u8>,
    /// Each byte, and the fragment that it is from.
    bytes: BTreeMap<i64, (u8, Range)>,
    end: Option<i64>,
}

/// The fragments of one receiver.
#[derive(Default)]
pub struct Defrag {
    datagrams: BTreeMap<u16, Datagram>,
}

impl Defrag {
    /// The whole datagram in its frame, once nothing is missing. What is no fragment comes back as it is.
    pub fn on_frame(&mut self, frame: &[u8], profile: &Profile) -> Option<Vec<u8>> {
        let half = |at: usize| u16::from_be_bytes([frame[LINK + at], frame[LINK + at + 1]]);
        if frame.len() < LINK + IP || frame[LINK] != 0x45 || half(6) & 0x3fff == 0 {
            return Some(frame.to_vec());
        }
        if frame[LINK + 8] < profile.hops {
            return None;
        }
        let data = &frame[LINK + IP..LINK + usize::from(half(2))];
        let from = i64::from(half(6) & 0x1fff) * 8;
        let new = (from, from + i64::try_from(data.len()).unwrap());
        let datagram = self.datagrams.entry(half(4)).or_default();
        if from == 0 || datagram.header.is_empty() {
            datagram.header = frame[..LINK + IP].to_vec();
        }
        for (at, byte) in (from..).zip(data) {
            datagram
                .bytes
                .entry(at)
                .and_modify(|old| {
                    if profile.overlap.prefers_new(old.1, new) {
                        *old = (*byte, new);
                    }
                })
                .or_insert((*byte, new));
        }
        if half(6) & 0x2000 == 0 {
            datagram.end = Some(new.1);
        }
        let end = datagram.end?;
        let held: Vec<u8> = (0..end)
            .map_while(|at| Some(datagram.bytes.get(&at)?.0))
            .collect();
        if i64::try_from(held.len()).unwrap() < end {
            return None;
        }
        let mut whole = core::mem::take(&mut datagram.header);
        self.datagrams.remove(&half(4));
        let total = u16::try_from(IP + held.len()).unwrap();
        whole[LINK + 2..LINK + 4].copy_from_slice(&total.to_be_bytes());
        whole[LINK + 6..LINK + 8].fill(0);
        whole[LINK + 10..LINK + 12].fill(0);
        let sum = checksum(&[&whole[LINK..]]);
        whole[LINK + 10..LINK + 12].copy_from_slice(&sum.to_be_bytes());
        whole.extend_from_slice(&held);
        Some(whole)
    }
}
