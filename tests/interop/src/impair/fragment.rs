//! IPv4 packets cut into fragments as a router would cut them (RFC 791 section 3.2), or as nobody honest does.

const ETHERNET_HEADER_BYTES: usize = 14;
const IPV4_HEADER_BYTES: usize = 20;
/// Behind both headers.
const BODY: usize = ETHERNET_HEADER_BYTES + IPV4_HEADER_BYTES;
/// Fragment offsets count in these.
const UNIT_BYTES: usize = 8;
const MORE_FRAGMENTS: u16 = 0x2000;
const DO_NOT_FRAGMENT: u16 = 0x4000;

/// The frames of an IPv4 packet of more than `packet_bytes_max`, whatever it says about being cut; none for any other. With
/// `overlap` another second fragment comes before the true one: it begins earlier and says the opposite.
pub(crate) fn cut(
    frame: &[u8],
    packet_bytes_max: usize,
    identification: u16,
    overlap: bool,
) -> Option<Vec<Vec<u8>>> {
    let header = frame.get(..BODY)?;
    let word = |at: usize| Some(u16::from_be_bytes([*header.get(at)?, *header.get(at + 1)?]));
    let total = usize::from(word(16)?);
    let plain = word(12)? == 0x0800 && header.get(14) == Some(&0x45);
    let whole = word(20)? & !DO_NOT_FRAGMENT == 0;
    if !(plain && whole) || total <= packet_bytes_max {
        return None;
    }
    let body = frame.get(BODY..ETHERNET_HEADER_BYTES + total)?;
    let room = packet_bytes_max.saturating_sub(IPV4_HEADER_BYTES);
    let room = (room / UNIT_BYTES).max(1) * UNIT_BYTES;
    let mut fragments = Vec::new();
    for (number, piece) in body.chunks(room).enumerate() {
        let start = number * room;
        let more = start + piece.len() < body.len();
        if overlap && number == 1 {
            let opposite: Vec<u8> = body
                .iter()
                .skip(start - UNIT_BYTES)
                .take(room)
                .map(|byte| !byte)
                .collect();
            fragments.push(fragment(
                header,
                &opposite,
                start - UNIT_BYTES,
                true,
                identification,
            )?);
        }
        fragments.push(fragment(header, piece, start, more, identification)?);
    }
    Some(fragments)
}

fn fragment(
    header: &[u8],
    piece: &[u8],
    start: usize,
    more: bool,
    identification: u16,
) -> Option<Vec<u8>> {
    let mut frame = [header, piece].concat();
    let total = u16::try_from(IPV4_HEADER_BYTES + piece.len()).ok()?;
    let place = u16::try_from(start / UNIT_BYTES).ok()? | if more { MORE_FRAGMENTS } else { 0 };
    for (at, value) in [(16, total), (18, identification), (20, place), (24, 0)] {
        frame
            .get_mut(at..at + 2)?
            .copy_from_slice(&value.to_be_bytes());
    }
    let sum = checksum(frame.get(ETHERNET_HEADER_BYTES..BODY)?);
    frame.get_mut(24..26)?.copy_from_slice(&sum.to_be_bytes());
    Some(frame)
}

/// RFC 1071, of an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.as_chunks::<2>().0.iter();
    let mut sum: u32 = words.map(|pair| u32::from(u16::from_be_bytes(*pair))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(body: usize) -> Vec<u8> {
        let mut frame = vec![0; BODY];
        frame[12..14].copy_from_slice(&[8, 0]);
        frame[14] = 0x45;
        frame[16..18].copy_from_slice(&u16::try_from(body + 20).unwrap().to_be_bytes());
        frame[20] = 0x40;
        frame.extend((0..body).map(|at| u8::try_from(at % 251).unwrap()));
        frame
    }

    #[test]
    fn e111_fragments_make_the_packet_again() {
        let fragments = cut(&packet(1000), 300, 7, false).unwrap();
        assert_eq!(fragments.len(), 4);
        let mut body = Vec::new();
        for (number, frame) in fragments.iter().enumerate() {
            assert_eq!(checksum(&frame[14..34]), 0, "the checksum holds");
            assert!(frame.len() <= 314 && frame[18..20] == [0, 7]);
            let place = u16::from_be_bytes([frame[20], frame[21]]);
            assert_eq!(usize::from(place & 0x1fff) * 8, body.len());
            assert_eq!(place & MORE_FRAGMENTS != 0, number < 3);
            body.extend_from_slice(&frame[BODY..]);
        }
        assert_eq!(body, packet(1000)[BODY..]);
    }

    #[test]
    fn e111_an_overlap_covers_the_end_of_the_first_fragment() {
        let fragments = cut(&packet(1000), 300, 7, true).unwrap();
        assert_eq!(fragments.len(), 5);
        let place = u16::from_be_bytes([fragments[1][20], fragments[1][21]]);
        assert_eq!(place, MORE_FRAGMENTS | ((280 - 8) / 8));
        assert_eq!(fragments[1][BODY], !packet(1000)[BODY + 272]);
    }

    #[test]
    fn what_is_short_or_no_ipv4_is_left_alone() {
        assert_eq!(cut(&packet(280), 300, 7, false), None);
        let mut other = packet(1000);
        other[13] = 6;
        assert_eq!(cut(&other, 300, 7, false), None);
        assert_eq!(cut(&[0; 20], 8, 7, false), None);
    }
}
