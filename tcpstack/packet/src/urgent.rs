//! Taking the urgent mark off a segment.

use crate::{TcpFlags, TcpFrame};

/// Clears URG and the urgent pointer of `tcp` in the frame that it was parsed from. A checksum that was right stays right,
/// and a wrong one wrong.
///
/// Whether a receiver delivers the byte that the pointer marks in line or takes it out of the stream is its own affair (RFC
/// 6093 section 2), so that nobody on the way knows what it delivers of a segment that is marked.
pub fn clear_urgent(frame: &mut [u8], tcp: &TcpFrame) {
    let Some(header) = frame
        .get_mut(tcp.l4_offset()..)
        .and_then(|header| header.first_chunk_mut::<20>())
    else {
        return;
    };
    let word = |header: &[u8; 20], at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let before = [word(header, 12), word(header, 18)];
    header[13] &= !TcpFlags::URG.bits();
    header[18..20].fill(0);
    let after = [word(header, 12), word(header, 18)];
    //= https://www.rfc-editor.org/rfc/rfc1624#section-3
    //# HC' = ~(C + (-m) + m')    --    [Eqn. 3]
    //# = ~(~HC + ~m + m')
    let changes = before.into_iter().map(|old| !old).chain(after);
    let mut sum: u32 = changes.map(u32::from).sum::<u32>() + u32::from(!word(header, 16));
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let checksum = !u16::try_from(sum).unwrap_or(u16::MAX);
    header[16..18].copy_from_slice(&checksum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Frame, PathTemplate, SegmentId, SeqNum, TcpSegment, VlanStack, emit, parse};

    #[test]
    fn e110_p91_a_cleared_mark_leaves_the_checksum_as_right_as_it_was() {
        let path = PathTemplate::new(
            [1; 6],
            [2; 6],
            VlanStack::UNTAGGED,
            "10.0.0.1:1".parse().unwrap(),
            "10.0.0.2:2".parse().unwrap(),
        );
        for urgent in [0, 1, 0x1234, u16::MAX] {
            for seq in 0..300_u32 {
                let segment = TcpSegment {
                    seq: SeqNum(seq.wrapping_mul(0x00ff_fff1)),
                    flags: TcpFlags::ACK | TcpFlags::URG,
                    urgent,
                    payload: b"odd",
                    ..TcpSegment::default()
                };
                let mut frame = vec![0; 100];
                let len = emit(&mut frame, &path, &segment, &[]).unwrap();
                frame.truncate(len);
                let Frame::Tcp(tcp) = parse(SegmentId(0), &frame) else {
                    panic!("a segment");
                };
                let mut wrong = frame.clone();
                *wrong.last_mut().unwrap() ^= 1;
                clear_urgent(&mut frame, &tcp);
                clear_urgent(&mut wrong, &tcp);
                let Frame::Tcp(cleared) = parse(SegmentId(0), &frame) else {
                    panic!("a segment");
                };
                assert_eq!((cleared.flags, cleared.urgent), (TcpFlags::ACK, 0));
                assert!(cleared.checksum_ok(&frame), "{urgent} {seq}");
                assert!(!cleared.checksum_ok(&wrong), "{urgent} {seq}");
            }
        }
    }
}
