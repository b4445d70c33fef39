//! Writing frames.

use core::net::SocketAddr;

use smoltcp::wire::{IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket, TcpSeqNumber};

use crate::checksum::Checksum;
use crate::limits::{IP_LENGTH_BYTES_MAX, IPV4_HEADER_BYTES, TCP_HEADER_BYTES};
use crate::tunnel::in_v6;
use crate::{Ecn, PathTemplate, TcpFrame, TcpSegment};

mod unfinished;

pub use unfinished::{Unfinished, emit_unfinished};

/// Why a frame could not be written.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// The buffer is too short.
    #[error(
        "a frame of {needed} bytes does not fit a buffer of {available}: give a larger buffer or a smaller payload"
    )]
    NoRoom {
        /// Bytes the frame has.
        needed: usize,
        /// Bytes the buffer has.
        available: usize,
    },
    /// The datagram would be longer than its length field can say.
    #[error(
        "a datagram of {bytes} bytes is longer than the 65535 its header can say: cut the payload at the MSS"
    )]
    TooLong {
        /// Bytes of the datagram.
        bytes: usize,
    },
}

/// Writes `segment`, with `rest` behind its payload, into `out` wearing `path`: Ethernet, VLAN tags, tunnel, IP and TCP
/// header, all checksums. Returns the length of the frame; Ethernet's minimum is the port's business.
///
/// IPv4 datagrams have DF set and identification 0, as they are never fragmented (RFC 6864 4.1). Options are written as
/// Linux does; SACK blocks that do not fit beside the others are left out.
///
/// # Errors
/// [`EmitError`] when `out` is too short or the datagram would be too long. `out` is not touched then.
pub fn emit(
    out: &mut [u8],
    path: &PathTemplate,
    segment: &TcpSegment<'_>,
    rest: &[u8],
) -> Result<usize, EmitError> {
    write(out, path, segment, rest, |tcp, tcp_length| {
        let mut checksum = pseudo_header(path, tcp_length);
        checksum.add(tcp);
        checksum.finish()
    })
}

fn pseudo_header(path: &PathTemplate, tcp_length: usize) -> Checksum {
    let mut checksum = Checksum::default();
    checksum.add_pseudo_header(
        path.source().ip(),
        path.destination().ip(),
        IpProtocol::Tcp.into(),
        tcp_length,
    );
    checksum
}

/// Writes the frame. `checksum` says what stands in the checksum field of the TCP segment it is given, and its length.
fn write(
    out: &mut [u8],
    path: &PathTemplate,
    segment: &TcpSegment<'_>,
    rest: &[u8],
    checksum: impl FnOnce(&[u8], usize) -> u16,
) -> Result<usize, EmitError> {
    let link = path.link();
    let tcp_header = TCP_HEADER_BYTES + segment.options.wire_bytes();
    let tcp_length = tcp_header + segment.payload.len() + rest.len();
    let ip_length = path.ip_header_bytes() + tcp_length;
    let outer_length = path.outer_bytes() + ip_length;
    let needed = link.header_bytes() + outer_length;
    let available = out.len();
    // An IPv6 payload length does not count the header, but the MTU of no port comes near the difference.
    if outer_length > IP_LENGTH_BYTES_MAX {
        return Err(EmitError::TooLong {
            bytes: outer_length,
        });
    }
    let too_short = EmitError::NoRoom { needed, available };
    let frame = out.get_mut(..needed).ok_or(too_short)?;
    let (link_out, outer_out) = frame
        .split_at_mut_checked(link.header_bytes())
        .ok_or(too_short)?;
    let (outer_out, ip_out) = outer_out
        .split_at_mut_checked(path.outer_bytes())
        .ok_or(too_short)?;
    let (ip_out, tcp_out) = ip_out
        .split_at_mut_checked(path.ip_header_bytes())
        .ok_or(too_short)?;
    let (header_out, payload_out) = tcp_out.split_at_mut_checked(tcp_header).ok_or(too_short)?;
    let (first_out, rest_out) = payload_out
        .split_at_mut_checked(segment.payload.len())
        .ok_or(too_short)?;

    link_out.copy_from_slice(&link.header());
    if let Some(outer) = path.outer() {
        outer.write(
            outer_out,
            ip_length,
            segment.ecn.bits(),
            identification(segment),
        );
    }
    write_ip(ip_out, path, segment.ecn, tcp_length);
    write_tcp_header(header_out, path, segment, tcp_header);
    first_out.copy_from_slice(segment.payload);
    rest_out.copy_from_slice(rest);

    let checksum = checksum(tcp_out, tcp_length);
    TcpPacket::new_unchecked(tcp_out).set_checksum(checksum);
    Ok(needed)
}

/// Writes the reset that `tcp` is answered with when there is no connection (RFC 9293 3.10.7.1), wearing the receiver's
/// address. None for a reset: those are never answered.
///
/// # Errors
/// [`EmitError`] when `out` is too short.
pub fn emit_reset(
    out: &mut [u8],
    tcp: &TcpFrame,
    frame: &[u8],
) -> Result<Option<usize>, EmitError> {
    let Some(reset) = tcp.segment(frame).reset_reply() else {
        return Ok(None);
    };
    emit(
        out,
        &PathTemplate::from_frame(tcp, frame).reversed(),
        &reset,
        &[],
    )
    .map(Some)
}

/// A number for a tunnel's datagram that may be fragmented: two of one flow that are on their way at the same time hardly
/// ever have the same (RFC 6864 4.3 asks for no more than that nobody mixes them up).
fn identification(segment: &TcpSegment<'_>) -> u16 {
    let clock = segment.options.timestamps.map_or(0, |clock| clock.value);
    let mixed = (segment.seq.0 ^ segment.ack.0.rotate_left(11) ^ clock.rotate_left(22))
        .wrapping_mul(0x9e37_79b1);
    (mixed >> 16 & 0xffff) as u16
}

fn write_ip(out: &mut [u8], path: &PathTemplate, ecn: Ecn, tcp_length: usize) {
    let link = path.link();
    match (path.source(), path.destination()) {
        (SocketAddr::V4(source), SocketAddr::V4(destination)) => {
            let mut ip = Ipv4Packet::new_unchecked(out);
            ip.set_version(4);
            ip.set_header_len(20);
            ip.set_dscp(link.traffic_class() >> 2);
            ip.set_ecn(ecn.bits());
            ip.set_total_len(u16::try_from(IPV4_HEADER_BYTES + tcp_length).unwrap_or(u16::MAX));
            ip.set_ident(0);
            ip.clear_flags();
            ip.set_dont_frag(true);
            ip.set_frag_offset(0);
            ip.set_hop_limit(link.hop_limit());
            ip.set_next_header(IpProtocol::Tcp);
            ip.set_src_addr(*source.ip());
            ip.set_dst_addr(*destination.ip());
            ip.fill_checksum();
        }
        (source, destination) => {
            let mut ip = Ipv6Packet::new_unchecked(out);
            ip.set_version(6);
            ip.set_traffic_class(link.traffic_class() | ecn.bits());
            ip.set_flow_label(link.flow_label());
            ip.set_payload_len(u16::try_from(tcp_length).unwrap_or(u16::MAX));
            ip.set_next_header(IpProtocol::Tcp);
            ip.set_hop_limit(link.hop_limit());
            ip.set_src_addr(in_v6(source.ip()));
            ip.set_dst_addr(in_v6(destination.ip()));
        }
    }
}

fn write_tcp_header(
    out: &mut [u8],
    path: &PathTemplate,
    segment: &TcpSegment<'_>,
    header_len: usize,
) {
    if let Some(options) = out.get_mut(TCP_HEADER_BYTES..) {
        segment.options.write(options);
    }
    // smoltcp knows every flag but writes them one by one; byte 13 holds all eight.
    if let Some([reserved, flags]) = out.get_mut(12..14) {
        (*reserved, *flags) = (0, segment.flags.bits());
    }
    let mut tcp = TcpPacket::new_unchecked(out);
    tcp.set_src_port(path.source().port());
    tcp.set_dst_port(path.destination().port());
    tcp.set_seq_number(TcpSeqNumber(segment.seq.0.cast_signed()));
    tcp.set_ack_number(TcpSeqNumber(segment.ack.0.cast_signed()));
    tcp.set_header_len(u8::try_from(header_len).unwrap_or(0));
    tcp.set_window_len(segment.window);
    tcp.set_checksum(0);
    tcp.set_urgent_at(segment.urgent);
}

#[cfg(test)]
mod tests;
