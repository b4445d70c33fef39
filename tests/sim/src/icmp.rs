//! ICMP errors of the network's routers, and forged ones.

use core::net::{Ipv4Addr, Ipv6Addr};

/// The router that reports.
const ROUTER_V4: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const ROUTER_V6: Ipv6Addr = Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0, 1);

const ETHERNET_BYTES: usize = 14;
/// Bytes of the datagram that are quoted: its header, the ports and the sequence number, and some more.
const QUOTED_BYTES_MAX: usize = 96;

/// "Packet too big" (RFC 1191 section 4, RFC 4443 section 3.2) about an untagged `frame`, for its sender.
pub(crate) fn too_big(frame: &[u8], mtu: u16) -> Option<Vec<u8>> {
    let (destination, source) = (frame.get(..6)?, frame.get(6..12)?);
    let ethertype = frame.get(12..ETHERNET_BYTES)?;
    let datagram = frame.get(ETHERNET_BYTES..)?;
    let quoted = datagram.get(..QUOTED_BYTES_MAX).unwrap_or(datagram);
    let [high, low] = mtu.to_be_bytes();
    let link = [source, destination, ethertype].concat();
    let packet = match ethertype {
        [0x08, 0x00] => {
            let message = [[3, 4, 0, 0, 0, 0, high, low].as_slice(), quoted].concat();
            let message = with_checksum(message, 2, 0)?;
            let total = u16::try_from(20 + message.len()).ok()?.to_be_bytes();
            let header = [
                [0x45, 0].as_slice(),
                &total,
                &[0, 0, 0, 0, 64, 1, 0, 0],
                &ROUTER_V4.octets(),
                datagram.get(12..16)?,
            ]
            .concat();
            [with_checksum(header, 10, 0)?, message].concat()
        }
        [0x86, 0xdd] => {
            let receiver = datagram.get(8..24)?;
            let message = [[2, 0, 0, 0, 0, 0, high, low].as_slice(), quoted].concat();
            let len = u16::try_from(message.len()).ok()?;
            let pseudo = [ROUTER_V6.octets().as_slice(), receiver].concat();
            let message = with_checksum(message, 2, sum(&pseudo) + u32::from(len) + 58)?;
            let header = [
                [0x60, 0, 0, 0].as_slice(),
                &len.to_be_bytes(),
                &[58, 64],
                &ROUTER_V6.octets(),
                receiver,
            ]
            .concat();
            [header, message].concat()
        }
        _ => return None,
    };
    Some([link, packet].concat())
}

/// The same, about a segment that nobody sent: its sequence number is another one.
pub(crate) fn forged_too_big(frame: &[u8], mtu: u16, guess: u32) -> Option<Vec<u8>> {
    let tcp_offset = match frame.get(12..ETHERNET_BYTES)? {
        [0x08, 0x00] => 20,
        _ => 40,
    };
    let mut copy = frame.to_vec();
    let at = ETHERNET_BYTES + tcp_offset + 4;
    copy.get_mut(at..at + 4)?
        .copy_from_slice(&guess.to_be_bytes());
    too_big(&copy, mtu)
}

/// RFC 1071.
fn sum(bytes: &[u8]) -> u32 {
    bytes
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
            [high] => u32::from(*high) << 8,
            _ => 0,
        })
        .sum()
}

fn with_checksum(mut bytes: Vec<u8>, at: usize, start: u32) -> Option<Vec<u8>> {
    let mut sum = sum(&bytes) + start;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let checksum = !u16::try_from(sum).ok()?;
    bytes
        .get_mut(at..at + 2)?
        .copy_from_slice(&checksum.to_be_bytes());
    Some(bytes)
}
