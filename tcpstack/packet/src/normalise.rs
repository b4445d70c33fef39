//! SYNs without what a takeover cannot carry on.

use core::ops::Range;

use smoltcp::wire::{Ipv4Packet, Ipv6Packet, TcpPacket};

use crate::TcpFrame;
use crate::checksum::Checksum;
use crate::ip::PROTOCOL_TCP;
use crate::limits::{TCP_HEADER_BYTES, TCP_OPTIONS_BYTES_MAX};
use crate::options::{NOP, kept_of_a_syn};
use crate::tunnel::lengthened;

/// What [`normalise_syn`] has done to a frame.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Normalised {
    /// Bytes the frame has now; the rest of the buffer is to be cut off.
    pub len: usize,
    /// Options were taken out.
    pub stripped: bool,
    /// Data was cut off.
    pub cut: bool,
}

/// Makes the SYN or SYN-ACK in `frame`, which [`parse`](crate::parse) found to be `tcp`, one that both ends understand the
/// same way and that begins a connection which can be taken over: every option but MSS, window scale, SACK permission and
/// timestamps becomes padding (Multipath TCP, Fast Open and unknown kinds among them), and data is cut off, which its sender
/// sends again (RFC 9293 3.10.7.3, RFC 7413 4.2.2). Lengths and checksums are put right.
///
/// Nothing is done to a segment that is no SYN, whose checksum is wrong, or that is signed: its receiver would drop it, or
/// would then.
#[must_use]
pub fn normalise_syn(frame: &mut [u8], tcp: &TcpFrame) -> Normalised {
    let untouched = Normalised {
        len: frame.len(),
        stripped: false,
        cut: false,
    };
    if !is_to_be_normalised(frame, tcp) {
        return untouched;
    }
    let payload = tcp.payload_range();
    let stripped = frame.get_mut(options(tcp)).is_some_and(strip);
    let cut = !payload.is_empty();
    let len = if cut { payload.start } else { frame.len() };
    if cut {
        shorten(frame, tcp, payload.start);
    }
    let mut sum = Checksum::default();
    if let Some(segment) = frame.get_mut(tcp.l4_offset()..if cut { len } else { payload.end }) {
        sum.add_pseudo_header(
            tcp.source.ip(),
            tcp.destination.ip(),
            PROTOCOL_TCP,
            segment.len(),
        );
        TcpPacket::new_unchecked(&mut *segment).set_checksum(0);
        sum.add(segment);
        TcpPacket::new_unchecked(segment).set_checksum(sum.finish());
    }
    Normalised { len, stripped, cut }
}

/// Whether [`normalise_syn`] would change anything.
#[must_use]
pub fn is_to_be_normalised(frame: &[u8], tcp: &TcpFrame) -> bool {
    if !tcp.flags.syn() || tcp.options.signature || !tcp.checksum_ok(frame) {
        return false;
    }
    let mut copy = [0; TCP_OPTIONS_BYTES_MAX];
    let options = frame.get(options(tcp)).unwrap_or_default();
    let copy = copy.get_mut(..options.len()).unwrap_or_default();
    if copy.len() == options.len() {
        copy.copy_from_slice(options);
    }
    !tcp.payload_range().is_empty() || strip(copy)
}

fn options(tcp: &TcpFrame) -> Range<usize> {
    tcp.l4_offset() + TCP_HEADER_BYTES..tcp.payload_range().start
}

/// Makes padding of what is not kept. From an option on whose length cannot be, nothing is.
fn strip(options: &mut [u8]) -> bool {
    let mut stripped = false;
    let mut rest = options;
    while let Some(&kind) = rest.first() {
        let length = match kind {
            // What follows the end of the list is padding already.
            0 => return stripped,
            NOP => 1,
            _ => match rest.get(1) {
                Some(&length) if length >= 2 && usize::from(length) <= rest.len() => {
                    usize::from(length)
                }
                _ => rest.len(),
            },
        };
        let (option, next) = rest.split_at_mut(length);
        if kind != NOP && !kept_of_a_syn(option) {
            option.fill(NOP);
            stripped = true;
        }
        rest = next;
    }
    stripped
}

/// Lets the datagram, and the tunnel around it, end at `end`.
fn shorten(frame: &mut [u8], tcp: &TcpFrame, end: usize) {
    let (start, link) = (tcp.l3_offset(), tcp.link_len());
    let total = end - start;
    if let Some(header) = frame.get_mut(start..tcp.l4_offset()) {
        if tcp.source.is_ipv4() {
            let mut ip = Ipv4Packet::new_unchecked(header);
            ip.set_total_len(u16::try_from(total).unwrap_or(u16::MAX));
            ip.fill_checksum();
        } else {
            let payload = total.saturating_sub(crate::limits::IPV6_HEADER_BYTES);
            Ipv6Packet::new_unchecked(header)
                .set_payload_len(u16::try_from(payload).unwrap_or(u16::MAX));
        }
    }
    if start > link
        && let Some(outer) = frame.get_mut(link..)
    {
        // It says less than before, so its length field can say it.
        let _ = lengthened(outer, start - link, total);
    }
}

#[cfg(test)]
mod tests;
