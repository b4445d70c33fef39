//! What the two versions of the Internet Protocol have in common.

use core::net::IpAddr;

use crate::{Opaque, ipv4, ipv6};

pub(crate) const PROTOCOL_ICMP: u8 = 1;
pub(crate) const PROTOCOL_IPV4: u8 = 4;
pub(crate) const PROTOCOL_TCP: u8 = 6;
pub(crate) const PROTOCOL_UDP: u8 = 17;
pub(crate) const PROTOCOL_IPV6: u8 = 41;
pub(crate) const PROTOCOL_GRE: u8 = 47;
pub(crate) const PROTOCOL_ESP: u8 = 50;
pub(crate) const PROTOCOL_AH: u8 = 51;
pub(crate) const PROTOCOL_ICMPV6: u8 = 58;

/// The congestion marks of a traffic class (RFC 3168 5).
pub(crate) const ECN_MASK: u8 = 0b11;
pub(crate) const ECN_CE: u8 = 0b11;

/// An IP header, its options or extension headers included.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Ip {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) hop_limit: u8,
    pub(crate) traffic_class: u8,
    /// IPv6 only.
    pub(crate) flow_label: u32,
    /// IPv4 only; what is IPv6 is never fragmented on its way.
    pub(crate) dont_fragment: bool,
    /// What follows.
    pub(crate) protocol: u8,
    /// Bytes before what follows.
    pub(crate) header_len: usize,
    /// Bytes of the whole datagram.
    pub(crate) total_len: usize,
    /// Set when it is only a part of a datagram.
    pub(crate) fragment: Option<Part>,
}

/// Where a fragment belongs.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) identification: u32,
    /// Bytes of the datagram's data before this part.
    pub(crate) offset: u16,
    /// More parts follow.
    pub(crate) more: bool,
    /// IPv6: where the header stands in the datagram, and the byte that announces it.
    pub(crate) header_at: usize,
    pub(crate) announced_at: usize,
}

impl Ip {
    /// Reads the header that `datagram` begins with. What follows the datagram's end, such as padding, is ignored.
    pub(crate) fn parse(ipv6: bool, datagram: &[u8]) -> Result<Self, Opaque> {
        let ip = Self::parse_quoted(ipv6, datagram)?;
        if datagram.len() < ip.total_len {
            return Err(Opaque::Truncated);
        }
        Ok(ip)
    }

    /// Reads the header of a datagram whose end may be missing, as errors quote it.
    pub(crate) fn parse_quoted(ipv6: bool, datagram: &[u8]) -> Result<Self, Opaque> {
        if ipv6 {
            ipv6::parse(datagram)
        } else {
            ipv4::parse(datagram)
        }
    }

    /// Both ends can be ends of a connection.
    pub(crate) fn check_ends(&self) -> Result<(), Opaque> {
        // RFC 9293 3.10.7: MUST-57.
        let impossible = |end: IpAddr| match end {
            IpAddr::V4(ip) => ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast(),
            IpAddr::V6(ip) => ip.is_unspecified() || ip.is_multicast(),
        };
        if impossible(self.source) || impossible(self.destination) {
            return Err(Opaque::BadAddress);
        }
        Ok(())
    }
}
