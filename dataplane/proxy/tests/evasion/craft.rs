//! Any TCP segment in IPv4, right or wrong in every field: what an attacker writes, and what a receiver reads. It shares
//! no code with the appliance's own parser.

use std::net::{Ipv4Addr, SocketAddrV4};

use sluice_packet::TcpFlags;

const ETHERNET: usize = 14;
const IP: usize = 20;
const TCP: usize = 20;
const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const ORIGIN_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// One segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Craft {
    pub source: SocketAddrV4,
    pub destination: SocketAddrV4,
    pub ttl: u8,
    pub version: u8,
    pub protocol: u8,
    /// Multiples of four bytes.
    pub ip_options: Vec<u8>,
    /// Added to the right total length.
    pub total_len_error: i16,
    pub seq: u32,
    pub ack: u32,
    pub flags: TcpFlags,
    /// The four bits between the data offset and the flags.
    pub reserved: u8,
    pub window: u16,
    pub urgent: u16,
    /// Multiples of four bytes.
    pub options: Vec<u8>,
    pub payload: Vec<u8>,
    /// In place of the right data offset, in words.
    pub data_offset: Option<u8>,
    pub ip_sum_right: bool,
    pub tcp_sum_right: bool,
    /// Bytes behind the datagram.
    pub trailer: Vec<u8>,
}

impl Craft {
    pub fn new(source: SocketAddrV4, destination: SocketAddrV4) -> Self {
        Self {
            source,
            destination,
            ttl: 64,
            version: 4,
            protocol: 6,
            ip_options: Vec::new(),
            total_len_error: 0,
            seq: 0,
            ack: 0,
            flags: TcpFlags::ACK,
            reserved: 0,
            window: 1000,
            urgent: 0,
            options: Vec::new(),
            payload: Vec::new(),
            data_offset: None,
            ip_sum_right: true,
            tcp_sum_right: true,
            trailer: Vec::new(),
        }
    }

    /// Its sequence space.
    pub fn len(&self) -> u32 {
        u32::try_from(self.payload.len()).unwrap()
            + u32::from(self.flags.syn())
            + u32::from(self.flags.fin())
    }

    /// The same with other bytes.
    pub fn saying(&self, payload: &[u8]) -> Self {
        Self {
            payload: payload.to_vec(),
            ..self.clone()
        }
    }

    /// The same without bytes, with these flags.
    pub fn bare(&self, flags: TcpFlags) -> Self {
        Self {
            flags,
            payload: Vec::new(),
            ..self.clone()
        }
    }

    /// The bytes from `from` on up to `to`, as a segment of its own.
    pub fn part(&self, from: usize, to: usize) -> Self {
        Self {
            seq: self.seq.wrapping_add(u32::try_from(from).unwrap()),
            payload: self.payload[from..to.min(self.payload.len())].to_vec(),
            ..self.clone()
        }
    }

    /// Cut into segments of `size` bytes.
    pub fn cut(&self, size: usize) -> Vec<Self> {
        (0..self.payload.len())
            .step_by(size)
            .map(|from| self.part(from, from + size))
            .collect()
    }

    /// With an option in front of the others.
    pub fn with_option(&self, option: &[u8]) -> Self {
        let mut options = option.to_vec();
        while !options.len().is_multiple_of(4) {
            options.push(1);
        }
        options.extend_from_slice(&self.options);
        Self {
            options,
            ..self.clone()
        }
    }

    /// Its timestamps, if it has them.
    pub fn timestamps(&self) -> Option<(u32, u32)> {
        let at = self.option(8)?;
        let word = |from: usize| {
            let bytes = self.options.get(at + from..at + from + 4)?;
            Some(u32::from_be_bytes(bytes.try_into().unwrap()))
        };
        Some((word(2)?, word(6)?))
    }

    /// With another TSval, where it has one.
    pub fn at_time(&self, value: u32) -> Self {
        let mut other = self.clone();
        if let Some(at) = self.option(8) {
            other.options[at + 2..at + 6].copy_from_slice(&value.to_be_bytes());
        }
        other
    }

    pub fn has_option(&self, kind: u8) -> bool {
        self.option(kind).is_some()
    }

    fn option(&self, kind: u8) -> Option<usize> {
        let mut at = 0;
        while let Some(&found) = self.options.get(at) {
            match found {
                0 => return None,
                1 => at += 1,
                _ if found == kind => return Some(at),
                _ => {
                    let length = usize::from(*self.options.get(at + 1)?);
                    if length < 2 {
                        return None;
                    }
                    at += length;
                }
            }
        }
        None
    }

    /// On the wire.
    pub fn frame(&self) -> Vec<u8> {
        let mut tcp = Vec::with_capacity(TCP + self.options.len() + self.payload.len());
        tcp.extend_from_slice(&self.source.port().to_be_bytes());
        tcp.extend_from_slice(&self.destination.port().to_be_bytes());
        tcp.extend_from_slice(&self.seq.to_be_bytes());
        tcp.extend_from_slice(&self.ack.to_be_bytes());
        let words = u8::try_from((TCP + self.options.len()) / 4).unwrap();
        tcp.push(self.data_offset.unwrap_or(words) << 4 | self.reserved);
        tcp.push(self.flags.bits());
        tcp.extend_from_slice(&self.window.to_be_bytes());
        tcp.extend_from_slice(&[0, 0]);
        tcp.extend_from_slice(&self.urgent.to_be_bytes());
        tcp.extend_from_slice(&self.options);
        tcp.extend_from_slice(&self.payload);
        let pseudo = self.pseudo_header(tcp.len());
        let mut sum = checksum(&[&pseudo, &tcp]);
        if !self.tcp_sum_right {
            sum ^= 0x5555;
        }
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());

        let header = IP + self.ip_options.len();
        let total = i16::try_from(header + tcp.len()).unwrap() + self.total_len_error;
        let mut ip = vec![self.version << 4 | u8::try_from(header / 4).unwrap(), 0];
        ip.extend_from_slice(&total.to_be_bytes());
        ip.extend_from_slice(&[0, 0, 0x40, 0, self.ttl, self.protocol, 0, 0]);
        ip.extend_from_slice(&self.source.ip().octets());
        ip.extend_from_slice(&self.destination.ip().octets());
        ip.extend_from_slice(&self.ip_options);
        let mut sum = checksum(&[&ip]);
        if !self.ip_sum_right {
            sum ^= 0x5555;
        }
        ip[10..12].copy_from_slice(&sum.to_be_bytes());

        let (to, from) = (ORIGIN_MAC, CLIENT_MAC);
        [&to[..], &from, &[8, 0], &ip, &tcp, &self.trailer].concat()
    }

    /// Reads an untagged IPv4 frame as a receiver does. None for what no TCP would look at.
    pub fn read(frame: &[u8]) -> Option<Self> {
        let ip = frame.get(ETHERNET..)?;
        let header = usize::from(ip.first()? & 15) * 4;
        let total = usize::from(be16(ip, 2)?);
        if be16(frame, 12)? != 0x0800 || ip[0] >> 4 != 4 || header < IP || *ip.get(9)? != 6 {
            return None;
        }
        if be16(ip, 6)? & 0x3fff != 0 {
            return None;
        }
        let tcp = ip.get(header..total)?;
        let offset = usize::from(*tcp.get(12)? >> 4) * 4;
        if offset < TCP {
            return None;
        }
        let address = |at: usize| {
            let octets: [u8; 4] = ip[at..at + 4].try_into().unwrap();
            Ipv4Addr::from(octets)
        };
        let mut craft = Self {
            ttl: ip[8],
            ip_options: ip[IP..header].to_vec(),
            seq: be32(tcp, 4)?,
            ack: be32(tcp, 8)?,
            reserved: tcp[12] & 15,
            flags: TcpFlags::from_bits(tcp[13]),
            window: be16(tcp, 14)?,
            urgent: be16(tcp, 18)?,
            options: tcp.get(TCP..offset)?.to_vec(),
            payload: tcp.get(offset..)?.to_vec(),
            ip_sum_right: checksum(&[&ip[..header]]) == 0,
            trailer: ip[total..].to_vec(),
            ..Self::new(
                SocketAddrV4::new(address(12), be16(tcp, 0)?),
                SocketAddrV4::new(address(16), be16(tcp, 2)?),
            )
        };
        let pseudo = craft.pseudo_header(tcp.len());
        craft.tcp_sum_right = checksum(&[&pseudo, tcp]) == 0;
        Some(craft)
    }

    fn pseudo_header(&self, tcp_len: usize) -> Vec<u8> {
        let mut pseudo = self.source.ip().octets().to_vec();
        pseudo.extend_from_slice(&self.destination.ip().octets());
        pseudo.extend_from_slice(&[0, 6]);
        pseudo.extend_from_slice(&u16::try_from(tcp_len).unwrap().to_be_bytes());
        pseudo
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(
        bytes.get(at..at + 2)?.try_into().unwrap(),
    ))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(
        bytes.get(at..at + 4)?.try_into().unwrap(),
    ))
}

/// RFC 1071, over parts of even length but the last.
pub fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum: u32 = parts
        .iter()
        .flat_map(|part| part.chunks(2))
        .map(|pair| {
            u32::from(u16::from_be_bytes([
                pair[0],
                pair.get(1).copied().unwrap_or(0),
            ]))
        })
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}
