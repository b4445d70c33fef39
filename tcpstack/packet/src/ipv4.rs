//! IPv4 headers.

use core::net::IpAddr;

use smoltcp::wire::Ipv4Packet;

use crate::Opaque;
use crate::ip::{Ip, Part};
use crate::limits::IPV4_HEADER_BYTES;

const OPTION_END: u8 = 0;
const OPTION_NOP: u8 = 1;
/// In an option's type.
const OPTION_COPIED: u8 = 1 << 7;
const OPTION_LOOSE_SOURCE_ROUTE: u8 = 131;
const OPTION_STRICT_SOURCE_ROUTE: u8 = 137;

pub(crate) fn parse(datagram: &[u8]) -> Result<Ip, Opaque> {
    if datagram.len() < IPV4_HEADER_BYTES {
        return Err(Opaque::Truncated);
    }
    let ip = Ipv4Packet::new_unchecked(datagram);
    let header_len = usize::from(ip.header_len());
    let total_len = usize::from(ip.total_len());
    if ip.version() != 4 || header_len < IPV4_HEADER_BYTES || total_len < header_len {
        return Err(Opaque::BadHeader);
    }
    let options = datagram
        .get(IPV4_HEADER_BYTES..header_len)
        .ok_or(Opaque::Truncated)?;
    if !options.is_empty() {
        look_at_options(options)?;
    }
    let (offset, more) = (ip.frag_offset(), ip.more_frags());
    let fragment = (more || offset != 0).then(|| Part {
        identification: u32::from(ip.ident()),
        offset,
        more,
        header_at: 0,
        announced_at: 0,
    });
    Ok(Ip {
        source: IpAddr::V4(ip.src_addr()),
        destination: IpAddr::V4(ip.dst_addr()),
        hop_limit: ip.hop_limit(),
        traffic_class: ip.dscp() << 2 | ip.ecn(),
        flow_label: 0,
        dont_fragment: ip.dont_frag(),
        protocol: ip.next_header().into(),
        header_len,
        total_len,
        fragment,
    })
}

/// Those of a first fragment's options that all fragments of its datagram have, filled up to whole words.
pub(crate) fn copied_options(mut options: &[u8]) -> Vec<u8> {
    //= https://www.rfc-editor.org/rfc/rfc791#section-3.1
    //# The copied flag indicates that this option is copied into all
    //# fragments on fragmentation.
    let mut copied = Vec::with_capacity(options.len());
    while let Some((&kind, after)) = options.split_first() {
        let len = match kind {
            OPTION_END => break,
            OPTION_NOP => 1,
            _ => usize::from(after.first().copied().unwrap_or_default()),
        };
        let Some((option, next)) = options.split_at_checked(len.max(1)) else {
            break;
        };
        if kind & OPTION_COPIED != 0 {
            copied.extend_from_slice(option);
        }
        options = next;
    }
    copied.resize(copied.len().next_multiple_of(4), OPTION_END);
    copied
}

/// A host ignores options that it does not know (RFC 1122 3.2.1.8), and those it knows change nothing about what the datagram
/// carries: all but a source route that has not come to its end, as the receiver is somebody else then.
fn look_at_options(mut options: &[u8]) -> Result<(), Opaque> {
    while let Some((&kind, after)) = options.split_first() {
        match kind {
            OPTION_END => break,
            OPTION_NOP => options = after,
            _ => {
                let length = usize::from(*after.first().ok_or(Opaque::BadHeader)?);
                if length < 2 {
                    return Err(Opaque::BadHeader);
                }
                let (option, next) = options.split_at_checked(length).ok_or(Opaque::BadHeader)?;
                // The pointer counts from 1, the option's first byte (RFC 791 3.1).
                let stops_left = || option.get(2).is_none_or(|at| usize::from(*at) <= length);
                if [OPTION_LOOSE_SOURCE_ROUTE, OPTION_STRICT_SOURCE_ROUTE].contains(&kind)
                    && stops_left()
                {
                    return Err(Opaque::SourceRoute);
                }
                options = next;
            }
        }
    }
    Ok(())
}
