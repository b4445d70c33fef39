//! Frames whose checksums, and whose cutting into pieces, are left to the port.

use super::{EmitError, pseudo_header, write};
use crate::checksum::Checksum;
use crate::limits::{IPV4_HEADER_BYTES, TCP_HEADER_BYTES};
use crate::{PathTemplate, TcpSegment};

/// Where the headers of a frame are that its port is to finish.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// IPv6 rather than IPv4.
    pub ipv6: bool,
    /// Bytes of Ethernet header and tags.
    pub l2_bytes: u8,
    /// Bytes of the IP header.
    pub l3_bytes: u8,
    /// Bytes of the TCP header.
    pub l4_bytes: u8,
    /// Bytes of payload in each piece, where the port is to cut the segment; 0 leaves it whole.
    pub cut_bytes: u16,
}

impl Unfinished {
    /// What a port does with a frame that is not to be cut: both checksums.
    pub fn finish(self, frame: &mut [u8]) {
        let (l3, l4) = (
            usize::from(self.l2_bytes),
            usize::from(self.l2_bytes) + usize::from(self.l3_bytes),
        );
        put_checksum(frame.get_mut(l4..), 16);
        if !self.ipv6 {
            put_checksum(frame.get_mut(l3..l4), 10);
        }
    }
}

/// The checksum over `bytes`, whose field at `at` holds what is counted beside them, goes into that field.
fn put_checksum(bytes: Option<&mut [u8]>, at: usize) {
    let Some(bytes) = bytes else { return };
    let mut checksum = Checksum::default();
    checksum.add(bytes);
    if let Some(field) = bytes.get_mut(at..at + 2) {
        field.copy_from_slice(&checksum.finish().to_be_bytes());
    }
}

/// Like [`emit`](super::emit), but for what the port does: the TCP checksum's field holds the sum of the pseudo-header,
/// without the length where the segment is to be cut into pieces of `cut_bytes` payload (0: it is not), and the IPv4
/// header's is zero. That is the form which segmentation offload asks for (DPDK Programmer's Guide, mbuf library).
///
/// The path wears no tunnel: ports do not agree on what they finish inside of one.
///
/// # Errors
/// [`EmitError`] when `out` is too short or the datagram would be too long. `out` is not touched then.
pub fn emit_unfinished(
    out: &mut [u8],
    path: &PathTemplate,
    segment: &TcpSegment<'_>,
    rest: &[u8],
    cut_bytes: u16,
) -> Result<(usize, Unfinished), EmitError> {
    let layout = Unfinished {
        ipv6: path.source().is_ipv6(),
        l2_bytes: small(path.link().header_bytes()),
        l3_bytes: small(path.ip_header_bytes()),
        l4_bytes: small(TCP_HEADER_BYTES + segment.options.wire_bytes()),
        cut_bytes,
    };
    let bytes = write(out, path, segment, rest, |_, tcp_length| {
        let counted = if cut_bytes == 0 { tcp_length } else { 0 };
        !pseudo_header(path, counted).finish()
    })?;
    if !layout.ipv6 {
        let checksum = path.link().header_bytes() + IPV4_HEADER_BYTES - 10;
        if let Some(field) = out.get_mut(checksum..checksum + 2) {
            field.fill(0);
        }
    }
    Ok((bytes, layout))
}

/// All headers that paths wear are shorter than that; their bounds say so.
fn small(bytes: usize) -> u8 {
    u8::try_from(bytes).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Frame, SegmentId, SeqNum, TcpFlags, VlanStack, emit, parse};

    fn path(ends: (&str, &str)) -> PathTemplate {
        PathTemplate::new(
            [2; 6],
            [4; 6],
            VlanStack::single(7),
            ends.0.parse().unwrap(),
            ends.1.parse().unwrap(),
        )
    }

    #[test]
    fn a_port_makes_of_it_what_emit_writes() {
        for ends in [
            ("10.0.0.1:40000", "10.0.0.2:443"),
            ("[fd00::1]:40000", "[fd00::2]:443"),
        ] {
            let path = path(ends);
            let segment = TcpSegment {
                seq: SeqNum(5),
                flags: TcpFlags::ACK,
                payload: b"odd",
                ..TcpSegment::default()
            };
            let (mut whole, mut left) = ([0; 128], [0; 128]);
            let bytes = emit(&mut whole, &path, &segment, b"rest").unwrap();
            let (same, layout) = emit_unfinished(&mut left, &path, &segment, b"rest", 0).unwrap();
            assert_eq!(bytes, same);
            assert_ne!(whole, left, "the checksums are not there yet");
            layout.finish(&mut left[..bytes]);
            assert_eq!(whole, left);
            let Frame::Tcp(tcp) = parse(SegmentId(0), &left[..bytes]) else {
                panic!("TCP");
            };
            assert_eq!(
                (usize::from(layout.l2_bytes), usize::from(layout.l4_bytes)),
                (tcp.l3_offset(), tcp.payload_range().start - tcp.l4_offset())
            );
        }
    }

    #[test]
    fn the_length_is_left_out_of_what_is_to_be_cut() {
        let path = path(("10.0.0.1:40000", "10.0.0.2:443"));
        let segment = TcpSegment {
            payload: &[1; 100],
            ..TcpSegment::default()
        };
        let (mut whole, mut cut) = ([0; 200], [0; 200]);
        let (_, layout) = emit_unfinished(&mut whole, &path, &segment, &[], 0).unwrap();
        emit_unfinished(&mut cut, &path, &segment, &[], 40).unwrap();
        let at = usize::from(layout.l2_bytes + layout.l3_bytes) + 16;
        let field = |frame: &[u8]| u16::from_be_bytes([frame[at], frame[at + 1]]);
        assert_eq!(field(&whole), field(&cut) + 120);
    }
}
