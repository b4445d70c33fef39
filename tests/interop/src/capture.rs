//! What was on the wire at one end, as tcpdump saw it.

use std::io::Read;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::NamedTempFile;

use crate::error::InteropError;
use crate::limits::{CAPTURE_SECONDS_MAX, CAPTURE_SETTLE, FRAME_BYTES_MAX};
use crate::process::{Running, until};

const PCAP_MAGIC: u32 = 0xa1b2_c3d4;
const PCAP_HEADER_BYTES: usize = 24;
const RECORD_HEADER_BYTES: usize = 16;
const ETHERNET: u32 = 1;

/// A capture that runs.
#[derive(Debug)]
pub struct Capture {
    tcpdump: Running,
    file: NamedTempFile,
}

/// One frame, and when it was seen.
#[derive(Clone, PartialEq, Eq)]
pub struct Packet {
    /// The whole frame, from the Ethernet header on.
    pub frame: Vec<u8>,
    /// When tcpdump saw it, to the microsecond.
    pub at: SystemTime,
}

impl Capture {
    /// Starts tcpdump by `start` on an interface and returns once it listens.
    pub(crate) fn start(
        interface: &str,
        filter: &str,
        start: impl FnOnce(&[String]) -> Result<Running, InteropError>,
    ) -> Result<Self, InteropError> {
        let temporary = std::env::temp_dir();
        let failed = |source| InteropError::File {
            file: temporary.clone(),
            source,
        };
        let file = NamedTempFile::new().map_err(failed)?;
        let mut argv: Vec<String> = [
            "tcpdump",
            "--immediate-mode",
            "-Z",
            "root",
            "-U",
            "-n",
            "-p",
            "-B",
            "65536",
            "-s",
            "0",
            "-i",
        ]
        .map(str::to_owned)
        .into();
        argv.extend([
            interface.to_owned(),
            "-w".to_owned(),
            file.path().display().to_string(),
        ]);
        argv.extend(filter.split_whitespace().map(str::to_owned));
        let mut tcpdump = start(&argv)?;
        // The header is written when the capture has begun.
        let begun = until(CAPTURE_SECONDS_MAX, || {
            length(file.path()) >= PCAP_HEADER_BYTES as u64 || !tcpdump.runs()
        });
        if begun && tcpdump.runs() {
            return Ok(Self { tcpdump, file });
        }
        let outcome = tcpdump.stop("KILL")?;
        Err(InteropError::Output {
            program: argv.join(" "),
            said: outcome.stderr,
        })
    }

    /// Ends the capture and returns its packets in order.
    ///
    /// # Errors
    /// When tcpdump does not end or its file cannot be read.
    pub fn packets(self) -> Result<Vec<Packet>, InteropError> {
        let mut last = u64::MAX;
        // Packets on their way are still written: the file stands still for a moment, then it is whole.
        until(CAPTURE_SECONDS_MAX, || {
            until(CAPTURE_SETTLE, || false);
            std::mem::replace(&mut last, length(self.file.path())) == last
        });
        self.tcpdump.stop("INT")?;
        let failed = |source| InteropError::File {
            file: self.file.path().to_owned(),
            source,
        };
        let mut bytes = Vec::new();
        self.file
            .reopen()
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(failed)?;
        parse(&bytes).ok_or(InteropError::Capture)
    }
}

impl Packet {
    /// The first frame that is not in both captures, with the side that has it: none when they hold the same frames.
    ///
    /// Their order is not compared: between two processors the kernel itself may swap frames.
    #[must_use]
    pub fn first_difference(one: &[Self], other: &[Self]) -> Option<String> {
        let (mut one, mut other) = (one.to_vec(), other.to_vec());
        one.sort_by(|a, b| a.frame.cmp(&b.frame));
        other.sort_by(|a, b| a.frame.cmp(&b.frame));
        let equal = |(a, b): &(&Self, &Self)| a.frame == b.frame;
        let at = one.iter().zip(&other).take_while(equal).count();
        match (one.get(at), other.get(at)) {
            (None, None) => None,
            (a, b) => Some(format!(
                "after {at} equal frames of {} and {}: {a:?}, {b:?}",
                one.len(),
                other.len()
            )),
        }
    }

    /// The first of the frames seen in `window` that the other capture does not hold as often.
    ///
    /// What a kernel sends of its own accord at the edge of a capture, such as a neighbour's probe, may be in one capture only.
    #[must_use]
    pub fn first_missing(
        window: &RangeInclusive<SystemTime>,
        seen: &[Self],
        other: &[Self],
    ) -> Option<Self> {
        let often = |packets: &[Self], one: &Self| {
            let same = packets.iter().filter(|packet| packet.frame == one.frame);
            same.count()
        };
        let within: Vec<Self> = seen
            .iter()
            .filter(|packet| window.contains(&packet.at))
            .cloned()
            .collect();
        within
            .iter()
            .find(|one| often(&within, one) > often(other, one))
            .cloned()
    }

    /// Where the IP header begins, behind Ethernet and VLAN tags, and its version.
    fn network(&self) -> Option<(usize, u16)> {
        let mut at = 12;
        loop {
            let kind = u16::from_be_bytes([*self.frame.get(at)?, *self.frame.get(at + 1)?]);
            at += 2;
            match kind {
                0x8100 | 0x88a8 => at += 2,
                0x0800 | 0x86dd => return Some((at, kind)),
                _ => return None,
            }
        }
    }

    /// The TCP header on, cut to the length that IP gives.
    fn tcp(&self) -> Option<&[u8]> {
        let (at, kind) = self.network()?;
        let header = self.frame.get(at..)?;
        let (protocol, start, end) = if kind == 0x0800 {
            let total = usize::from(u16::from_be_bytes([*header.get(2)?, *header.get(3)?]));
            (
                *header.get(9)?,
                usize::from(header.first()? & 15) * 4,
                total,
            )
        } else {
            let length = usize::from(u16::from_be_bytes([*header.get(4)?, *header.get(5)?]));
            (*header.get(6)?, 40, 40 + length)
        };
        if protocol == 6 {
            header.get(start..end)
        } else {
            None
        }
    }

    /// Source and destination port, when it is TCP.
    #[must_use]
    pub fn ports(&self) -> Option<(u16, u16)> {
        let tcp = self.tcp()?;
        Some((
            u16::from_be_bytes([*tcp.first()?, *tcp.get(1)?]),
            u16::from_be_bytes([*tcp.get(2)?, *tcp.get(3)?]),
        ))
    }

    /// TCP payload, empty for anything else.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        let inner = || {
            let tcp = self.tcp()?;
            tcp.get(usize::from(tcp.get(12)? >> 4) * 4..)
        };
        inner().unwrap_or_default()
    }
}

impl std::fmt::Debug for Packet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for byte in self.frame.iter().take(96) {
            write!(f, "{byte:02x}")?;
        }
        write!(f, " ({} bytes)", self.frame.len())
    }
}

fn length(file: &Path) -> u64 {
    file.metadata().map_or(0, |data| data.len())
}

/// The pcap format: <https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcap/>.
fn parse(bytes: &[u8]) -> Option<Vec<Packet>> {
    let word = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    if word(0)? != PCAP_MAGIC || word(20)? != ETHERNET {
        return None;
    }
    let mut packets = Vec::new();
    let mut at = PCAP_HEADER_BYTES;
    while at < bytes.len() {
        let length = usize::try_from(word(at + 8)?)
            .ok()
            .filter(|length| *length <= FRAME_BYTES_MAX)?;
        let start = at + RECORD_HEADER_BYTES;
        let since = Duration::from_secs(u64::from(word(at)?))
            + Duration::from_micros(u64::from(word(at + 4)?));
        packets.push(Packet {
            frame: bytes.get(start..start + length)?.to_vec(),
            at: UNIX_EPOCH + since,
        });
        at = start + length;
    }
    Some(packets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(frame: &[u8]) -> Vec<u8> {
        let length = u32::try_from(frame.len()).unwrap().to_ne_bytes();
        let at = [7u32.to_ne_bytes(), 5u32.to_ne_bytes()].concat();
        [&at, length.as_slice(), length.as_slice(), frame].concat()
    }

    fn seen(byte: u8, second: u64) -> Packet {
        Packet {
            frame: vec![byte],
            at: UNIX_EPOCH + Duration::from_secs(second),
        }
    }

    #[test]
    fn what_one_capture_misses_counts_within_the_window_only() {
        let window = UNIX_EPOCH + Duration::from_secs(2)..=UNIX_EPOCH + Duration::from_secs(4);
        let one = [seen(1, 1), seen(2, 2), seen(3, 3), seen(3, 4), seen(4, 5)];
        let missing = |other: &[Packet]| Packet::first_missing(&window, &one, other);
        assert_eq!(missing(&[seen(3, 3), seen(2, 9), seen(3, 3)]), None);
        assert_eq!(missing(&[seen(3, 3), seen(2, 2)]), Some(seen(3, 3)));
        assert_eq!(missing(&[seen(3, 3), seen(3, 3)]), Some(seen(2, 2)));
    }

    #[test]
    fn captures_differ_by_frames_not_by_order() {
        let packet = |byte| seen(byte, 0);
        let (a, b) = ([packet(1), packet(2)], [packet(2), packet(1)]);
        assert_eq!(Packet::first_difference(&a, &b), None);
        assert!(
            Packet::first_difference(&a, &b[..1])
                .unwrap()
                .contains("0 equal frames of 2 and 1")
        );
        assert!(
            Packet::first_difference(&a, &[packet(1), packet(3)])
                .unwrap()
                .contains("1 equal frames of 2 and 2")
        );
    }

    #[test]
    fn a_capture_file_gives_its_frames_and_their_payloads() {
        let mut header = vec![0; PCAP_HEADER_BYTES];
        header[..4].copy_from_slice(&PCAP_MAGIC.to_ne_bytes());
        header[20..].copy_from_slice(&ETHERNET.to_ne_bytes());
        let mut frame = vec![0; 12];
        frame.extend([0x81, 0, 0, 100, 8, 0]);
        frame.extend([
            0x45, 0, 0, 43, 0, 0, 0, 0, 64, 6, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2,
        ]);
        frame.extend([
            0x10, 0, 1, 187, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0, 0, 0, 0, 0, 0, 0,
        ]);
        frame.extend(*b"abc");
        // Ethernet padding is no payload.
        frame.extend([0; 5]);
        let packets = parse(&[header.clone(), record(&frame), record(&[0; 60])].concat()).unwrap();
        assert_eq!(packets[0].ports(), Some((4096, 443)));
        assert_eq!(packets[0].payload(), b"abc");
        let at = UNIX_EPOCH + Duration::new(7, 5_000);
        assert_eq!(packets[0].at, at);
        assert_eq!((packets[1].ports(), packets[1].payload().len()), (None, 0));
        header[0] ^= 1;
        assert!(parse(&header).is_none());
    }
}
