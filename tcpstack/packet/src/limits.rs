//! Every bound of this crate, with its unit in the name.

/// An Ethernet header without tags: two addresses and a type (IEEE 802.3 clause 3.1.1).
pub const ETHERNET_HEADER_BYTES: usize = 14;

/// One 802.1Q or 802.1ad tag.
pub const VLAN_TAG_BYTES: usize = 4;

/// Tags a flow may wear and still be looked into; a frame with more is forwarded at layer 2.
pub const VLAN_TAGS_MAX: usize = 2;

/// The longest layer 2 header this crate learns or writes.
pub const LINK_HEADER_BYTES_MAX: usize = ETHERNET_HEADER_BYTES + VLAN_TAGS_MAX * VLAN_TAG_BYTES;

/// An IPv4 header without options.
pub const IPV4_HEADER_BYTES: usize = 20;

/// The fixed IPv6 header.
pub const IPV6_HEADER_BYTES: usize = 40;

/// Extension headers behind one IPv6 header; a frame with more is not looked into. Nobody but an attacker sends as many.
pub const IPV6_EXTENSION_HEADERS_MAX: usize = 8;

/// Bytes of the extension headers behind one IPv6 header: what two of the largest take.
pub const IPV6_EXTENSION_BYTES_MAX: usize = 2 * 2048;

/// A GRE header without optional fields (RFC 2784 2).
pub const GRE_HEADER_BYTES: usize = 4;

/// The key of a GRE header (RFC 2890 2).
pub const GRE_KEY_BYTES: usize = 4;

/// The longest outer headers that are written: IPv6 and GRE with a key.
pub const OUTER_HEADERS_BYTES_MAX: usize = IPV6_HEADER_BYTES + GRE_HEADER_BYTES + GRE_KEY_BYTES;

/// A TCP header without options.
pub const TCP_HEADER_BYTES: usize = 20;

/// What a data offset of 15 leaves for options (RFC 9293 3.1).
pub const TCP_OPTIONS_BYTES_MAX: usize = 40;

/// Blocks in one SACK option: four fill the option space (RFC 2018 3).
pub const SACK_BLOCKS_MAX: usize = 4;

/// The largest shift a window may be announced with (RFC 7323 2.3). A larger one on the wire means this one.
pub const WINDOW_SHIFT_MAX: u8 = 14;

/// The longest IP datagram: both total length and payload length are sixteen bits.
pub const IP_LENGTH_BYTES_MAX: usize = 65_535;

/// Everything [`emit`](crate::emit) puts before the payload, at most: a buffer of this plus the payload always fits.
pub const HEADER_BYTES_MAX: usize = LINK_HEADER_BYTES_MAX
    + OUTER_HEADERS_BYTES_MAX
    + IPV6_HEADER_BYTES
    + TCP_HEADER_BYTES
    + TCP_OPTIONS_BYTES_MAX;

/// The smallest MTU of any IPv6 path (RFC 8200 5).
pub const IPV6_MTU_BYTES_MIN: u32 = 1280;

/// The MSS a peer that announces none is sent over IPv4 (RFC 9293 3.7.1).
pub const DEFAULT_MSS_IPV4_BYTES: u16 = 536;

/// The MSS a peer that announces none is sent over IPv6 (RFC 9293 3.7.1).
pub const DEFAULT_MSS_IPV6_BYTES: u16 = 1220;

const _: () = assert!(2 + 8 * SACK_BLOCKS_MAX <= TCP_OPTIONS_BYTES_MAX);
const _: () = assert!(LINK_HEADER_BYTES_MAX <= u8::MAX as usize);
const _: () = assert!((TCP_HEADER_BYTES + TCP_OPTIONS_BYTES_MAX) / 4 == 15);
