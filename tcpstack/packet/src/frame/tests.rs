use super::*;
use crate::limits::{HEADER_BYTES_MAX, SACK_BLOCKS_MAX};
use crate::vlan::TAG_TYPES;
use crate::{FlowKey, PathTemplate, SeqNum, TcpFlags, TcpOptions, emit};
use core::net::SocketAddr;
use proptest::prelude::*;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, IpAddress, IpProtocol, Ipv4Address,
    Ipv4Packet, Ipv6Address, Ipv6Packet, TcpPacket,
};

const SEGMENT: SegmentId = SegmentId(3);

/// A frame written by smoltcp alone, so that what is read is not what this crate wrote itself.
fn smoltcp_frame(v6: bool, options: &[u8], payload: &[u8]) -> Vec<u8> {
    assert_eq!(options.len() % 4, 0);
    let tcp_len = 20 + options.len() + payload.len();
    let ip_header = if v6 { 40 } else { 20 };
    let mut frame = vec![0; 14 + ip_header + tcp_len];
    let mut ethernet = EthernetFrame::new_unchecked(&mut frame);
    ethernet.set_dst_addr(EthernetAddress([2, 0, 0, 0, 0, 2]));
    ethernet.set_src_addr(EthernetAddress([2, 0, 0, 0, 0, 1]));
    ethernet.set_ethertype(if v6 {
        EthernetProtocol::Ipv6
    } else {
        EthernetProtocol::Ipv4
    });
    let (source, destination);
    if v6 {
        let ends = (
            Ipv6Address::new(0xfd00, 0, 0, 0, 0, 0, 0, 1),
            Ipv6Address::new(0xfd00, 0, 0, 0, 0, 0, 0, 2),
        );
        let mut ip = Ipv6Packet::new_unchecked(ethernet.payload_mut());
        ip.set_version(6);
        ip.set_traffic_class(0xb8);
        ip.set_flow_label(0x12345);
        ip.set_payload_len(u16::try_from(tcp_len).unwrap());
        ip.set_next_header(IpProtocol::Tcp);
        ip.set_hop_limit(61);
        ip.set_src_addr(ends.0);
        ip.set_dst_addr(ends.1);
        (source, destination) = (IpAddress::Ipv6(ends.0), IpAddress::Ipv6(ends.1));
    } else {
        let ends = (
            Ipv4Address::new(10, 201, 1, 2),
            Ipv4Address::new(10, 201, 2, 2),
        );
        let mut ip = Ipv4Packet::new_unchecked(ethernet.payload_mut());
        ip.set_version(4);
        ip.set_header_len(20);
        ip.set_dscp(0x2e);
        ip.set_total_len(u16::try_from(20 + tcp_len).unwrap());
        ip.set_next_header(IpProtocol::Tcp);
        ip.set_hop_limit(61);
        ip.set_src_addr(ends.0);
        ip.set_dst_addr(ends.1);
        ip.fill_checksum();
        (source, destination) = (IpAddress::Ipv4(ends.0), IpAddress::Ipv4(ends.1));
    }
    let mut tcp = TcpPacket::new_unchecked(&mut frame[14 + ip_header..]);
    tcp.set_src_port(40_000);
    tcp.set_dst_port(443);
    tcp.set_seq_number(smoltcp::wire::TcpSeqNumber(-2));
    tcp.set_ack_number(smoltcp::wire::TcpSeqNumber(77));
    tcp.set_header_len(u8::try_from(20 + options.len()).unwrap());
    tcp.set_ack(true);
    tcp.set_psh(true);
    tcp.set_window_len(0xfedc);
    tcp.options_mut().copy_from_slice(options);
    tcp.payload_mut().copy_from_slice(payload);
    tcp.fill_checksum(&source, &destination);
    frame
}

fn with_tags(frame: &[u8], tags: &[(u16, u16)]) -> Vec<u8> {
    let mut tagged = frame[..12].to_vec();
    for (kind, tci) in tags {
        tagged.extend(kind.to_be_bytes());
        tagged.extend(tci.to_be_bytes());
    }
    tagged.extend(&frame[12..]);
    tagged
}

#[track_caller]
fn tcp(frame: &[u8]) -> TcpFrame {
    match parse(SEGMENT, frame) {
        Frame::Tcp(tcp) => tcp,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn opaque(frame: &[u8]) -> Opaque {
    match parse(SEGMENT, frame) {
        Frame::Other(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn everything_in_the_headers() {
    for v6 in [false, true] {
        let frame = smoltcp_frame(v6, &[2, 4, 5, 0xb4], b"hello");
        let tcp = tcp(&frame);
        let (source, destination): (SocketAddr, SocketAddr) = if v6 {
            (
                "[fd00::1]:40000".parse().unwrap(),
                "[fd00::2]:443".parse().unwrap(),
            )
        } else {
            (
                "10.201.1.2:40000".parse().unwrap(),
                "10.201.2.2:443".parse().unwrap(),
            )
        };
        assert_eq!((tcp.source, tcp.destination), (source, destination));
        assert_eq!(
            tcp.key,
            FlowKey::new(SEGMENT, VlanStack::UNTAGGED, destination, source)
        );
        assert!(tcp.from_lower());
        assert_eq!((tcp.seq, tcp.ack), (SeqNum(u32::MAX - 1), SeqNum(77)));
        assert_eq!(tcp.flags, TcpFlags::ACK | TcpFlags::PSH);
        assert_eq!((tcp.window, tcp.urgent), (0xfedc, 0));
        assert_eq!(
            tcp.options,
            TcpOptions {
                mss: Some(1460),
                ..TcpOptions::default()
            }
        );
        assert_eq!((tcp.ttl, tcp.traffic_class), (61, 0xb8));
        assert_eq!(
            (tcp.l3_offset(), tcp.l4_offset()),
            (14, if v6 { 54 } else { 34 })
        );
        assert_eq!(tcp.payload(&frame), b"hello");
        assert_eq!(tcp.payload_len(), 5);
        assert!(tcp.checksum_ok(&frame));
        assert_eq!(tcp.segment(&frame).sequence_len(), 5);
    }
}

#[test]
fn ethernet_padding_is_not_payload() {
    for v6 in [false, true] {
        let mut frame = smoltcp_frame(v6, &[], b"");
        frame.extend([0x5a; 26]);
        let tcp = tcp(&frame);
        assert_eq!(tcp.payload(&frame), b"");
        assert!(tcp.checksum_ok(&frame));
    }
}

#[test]
fn one_and_two_tags() {
    let plain = smoltcp_frame(false, &[], b"x");
    for kind in TAG_TYPES {
        let frame = with_tags(&plain, &[(kind, 0xe064)]);
        let tcp = tcp(&frame);
        assert_eq!(tcp.key.vlan(), VlanStack::single(100));
        assert!(tcp.key.vlan().vids().eq([100]));
        assert_eq!(tcp.payload(&frame), b"x");
        assert!(tcp.checksum_ok(&frame));
    }
    let frame = with_tags(&plain, &[(0x88a8, 200), (0x8100, 100)]);
    assert_eq!(tcp(&frame).key.vlan(), VlanStack::double(200, 100));
    assert!(tcp(&frame).checksum_ok(&frame));
    assert_eq!(
        opaque(&with_tags(&plain, &[(0x88a8, 1), (0x8100, 2), (0x8100, 3)])),
        Opaque::VlanTooDeep
    );
}

#[test]
fn ipv4_options_are_skipped() {
    let plain = smoltcp_frame(false, &[], b"payload");
    let mut frame = plain[..34].to_vec();
    frame.extend([0x94, 4, 0, 0]);
    frame.extend(&plain[34..]);
    frame[14] = 0x46;
    let total = u16::try_from(frame.len() - 14).unwrap();
    let mut ip = Ipv4Packet::new_unchecked(&mut frame[14..]);
    ip.set_total_len(total);
    ip.fill_checksum();
    let tcp = tcp(&frame);
    assert_eq!(
        (tcp.l4_offset(), tcp.payload(&frame)),
        (38, &b"payload"[..])
    );
    assert!(tcp.checksum_ok(&frame));
}

#[test]
fn p82_e105_a_wrong_checksum_is_told() {
    //= https://www.rfc-editor.org/rfc/rfc9293#section-3.1
    //= type=test
    //# The sender MUST generate it and the receiver MUST check it.
    for v6 in [false, true] {
        let frame = smoltcp_frame(v6, &[], b"odd");
        assert!(tcp(&frame).checksum_ok(&frame));
        let tcp_at = tcp(&frame).l4_offset();
        for at in tcp_at + 4..frame.len() {
            let mut bad = frame.clone();
            bad[at] ^= 0x10;
            match parse(SEGMENT, &bad) {
                Frame::Tcp(tcp) => assert!(!tcp.checksum_ok(&bad), "byte {at}"),
                other => {
                    assert!(matches!(other, Frame::Other(Opaque::BadHeader)));
                    assert_eq!(at, tcp_at + 12);
                }
            }
        }
    }
    let mut bad = smoltcp_frame(false, &[], b"odd");
    bad[22] ^= 1;
    assert!(!tcp(&bad).checksum_ok(&bad), "IPv4 header");
}

#[test]
fn f6_f7_p102_every_reason_to_stay_opaque() {
    //= https://www.rfc-editor.org/rfc/rfc2784#section-2.3
    //= type=test
    //# A receiver MUST discard a packet where any of bits 1-5 are non-zero,
    let v4 = smoltcp_frame(false, &[], b"xxxxxxxx");
    let v6 = smoltcp_frame(true, &[], b"xxxxxxxx");
    let changed = |frame: &[u8], at: usize, byte: u8| {
        let mut frame = frame.to_vec();
        frame[at] = byte;
        frame
    };
    let gre = |flags: [u8; 2], kind: [u8; 2]| {
        let header = [flags[0], flags[1], kind[0], kind[1]];
        wrapped(&v4, 47, &header)
    };
    let ip4 = [0x08, 0x00];
    let second = wrapped(&wrapped(&v4, 4, &[]), 4, &[]);
    let udp = |port: u16| {
        let mut frame = changed(&v4, 23, 17);
        frame[36..38].copy_from_slice(&port.to_be_bytes());
        frame
    };
    let with = |options: &[u8]| with_ipv4_options(&v4, options);
    let mut seen = Vec::new();
    for (frame, expected) in [
        (v4[..13].to_vec(), Opaque::Truncated),
        (v4[..33].to_vec(), Opaque::Truncated),
        (v4[..54].to_vec(), Opaque::Truncated),
        (v6[..53].to_vec(), Opaque::Truncated),
        (v6[..74].to_vec(), Opaque::Truncated),
        (changed(&v4, 13, 6), Opaque::Arp),
        (changed(&v4, 12, 0x12), Opaque::NotIp),
        (
            changed(&changed(&v4, 20, 0x20), 23, 17),
            Opaque::OtherFragment,
        ),
        (
            changed(&changed(&v4, 21, 1), 23, 132),
            Opaque::OtherFragment,
        ),
        (
            with_extension(&v6, 44, &[17, 0, 0, 1, 0, 0, 0, 9]),
            Opaque::OtherFragment,
        ),
        (
            with_extension(&v6, 135, &[6, 0, 0, 0, 0, 0, 0, 0]),
            Opaque::Ipv6Extension,
        ),
        (
            with_extension(&v6, 60, &[6, 0, 0xc9, 4, 0, 0, 0, 0]),
            Opaque::Ipv6Extension,
        ),
        (
            with_extension(&v6, 60, &[6, 0, 5, 9, 0, 0, 0, 0]),
            Opaque::Ipv6Extension,
        ),
        (
            // Hop-by-hop options anywhere but first.
            with_extension(
                &with_extension(&v6, 0, &[6, 0, 1, 4, 0, 0, 0, 0]),
                60,
                &[0, 0, 1, 4, 0, 0, 0, 0],
            ),
            Opaque::Ipv6Extension,
        ),
        (
            (0..9).fold(v6.clone(), |frame, _| {
                let next = frame[20];
                with_extension(&frame, 60, &[next, 0, 1, 4, 0, 0, 0, 0])
            }),
            Opaque::Ipv6ChainTooLong,
        ),
        (
            with_extension(&v6, 43, &[6, 0, 2, 1, 0, 0, 0, 0]),
            Opaque::SourceRoute,
        ),
        (with(&[131, 7, 4, 10, 0, 0, 9, 0]), Opaque::SourceRoute),
        (with(&[1, 137, 7, 4, 10, 0, 0, 9]), Opaque::SourceRoute),
        (with(&[148, 1, 0, 0]), Opaque::BadHeader),
        (with(&[148, 5, 0, 0]), Opaque::BadHeader),
        (changed(&v6, 20, 17), Opaque::NotTcp),
        (udp(443), Opaque::NotTcp),
        (changed(&v4, 23, 132), Opaque::NotTcp),
        (udp(2152), Opaque::Gtp),
        (udp(3386), Opaque::Gtp),
        (changed(&v4, 23, 51), Opaque::Authenticated),
        (changed(&v6, 20, 51), Opaque::Authenticated),
        (changed(&v4, 23, 50), Opaque::Encrypted),
        (changed(&v6, 20, 50), Opaque::Encrypted),
        (gre([0x80, 0], ip4), Opaque::GreChecksum),
        (gre([0x40, 0], ip4), Opaque::GreRouting),
        (gre([0x08, 0], ip4), Opaque::GreRouting),
        (gre([0x10, 0], ip4), Opaque::GreSequence),
        (gre([0x30, 0], ip4), Opaque::GreSequence),
        (gre([0x20, 1], ip4), Opaque::GreVersion),
        (gre([0x30, 0x01], [0x88, 0x0b]), Opaque::GreVersion),
        (gre([0, 0], [0x65, 0x58]), Opaque::GrePayload),
        (gre([0, 0], [0x88, 0x47]), Opaque::GrePayload),
        (second, Opaque::SecondTunnel),
        (
            wrapped(&wrapped(&v4, 47, &[0, 0, 8, 0]), 41, &[]),
            Opaque::BadHeader,
        ),
        (
            wrapped(&wrapped(&v6, 47, &[0, 0, 0x86, 0xdd]), 4, &[]),
            Opaque::SecondTunnel,
        ),
        (
            with_tags(&v4, &[(0x8100, 1), (0x8100, 2), (0x8100, 3)]),
            Opaque::VlanTooDeep,
        ),
        (changed(&v4, 14, 0x65), Opaque::BadHeader),
        (changed(&v4, 14, 0x44), Opaque::BadHeader),
        (changed(&v4, 17, 19), Opaque::BadHeader),
        (changed(&v6, 14, 0x40), Opaque::BadHeader),
        (changed(&v4, 46, 0x40), Opaque::BadHeader),
        (changed(&v4, 46, 0xf0), Opaque::Truncated),
    ] {
        assert_eq!(opaque(&frame), expected, "{frame:02x?}");
        seen.push(expected);
    }
    seen.push(Opaque::BadAddress);
    for (index, why) in Opaque::ALL.iter().enumerate() {
        assert!(seen.contains(why), "{why:?} is reached by no frame");
        assert!(
            Opaque::ALL[..index]
                .iter()
                .all(|other| other.name() != why.name())
        );
        assert!(why.description().ends_with('.'));
    }
}

/// `frame`'s IPv4 datagram or IPv6 packet in another IPv4 header of that protocol, with `header` between the two.
fn wrapped(frame: &[u8], protocol: u8, header: &[u8]) -> Vec<u8> {
    let inner = &frame[14..];
    let mut outer = frame[..12].to_vec();
    outer.extend([0x08, 0x00]);
    let total = u16::try_from(20 + header.len() + inner.len()).unwrap();
    outer.extend([0x45, 0xb8, 0, 0, 0x12, 0x34, 0, 0, 63, protocol, 0, 0]);
    outer[16..18].copy_from_slice(&total.to_be_bytes());
    outer.extend([192, 0, 2, 1, 192, 0, 2, 2]);
    Ipv4Packet::new_unchecked(&mut outer[14..]).fill_checksum();
    outer.extend(header);
    outer.extend(inner);
    outer
}

fn with_ipv4_options(frame: &[u8], options: &[u8]) -> Vec<u8> {
    let mut changed = frame[..34].to_vec();
    changed.extend(options);
    changed.extend(&frame[34..]);
    changed[14] = 0x45 + u8::try_from(options.len() / 4).unwrap();
    let total = u16::try_from(changed.len() - 14).unwrap();
    let mut ip = Ipv4Packet::new_unchecked(&mut changed[14..]);
    ip.set_total_len(total);
    ip.fill_checksum();
    changed
}

/// An IPv6 frame with one more extension header right behind the fixed header; `header` says itself what follows it.
fn with_extension(frame: &[u8], kind: u8, header: &[u8]) -> Vec<u8> {
    let mut changed = frame[..54].to_vec();
    changed[20] = kind;
    changed.extend(header);
    changed.extend(&frame[54..]);
    let payload = u16::try_from(changed.len() - 54).unwrap();
    changed[18..20].copy_from_slice(&payload.to_be_bytes());
    changed
}

#[test]
fn p95_an_end_that_cannot_be_one() {
    let v4 = smoltcp_frame(false, &[], b"x");
    for (at, octets) in [
        (26, [0, 0, 0, 0]),
        (26, [255, 255, 255, 255]),
        (26, [224, 0, 0, 1]),
        (30, [239, 1, 2, 3]),
        (30, [0, 0, 0, 0]),
    ] {
        let mut frame = v4.clone();
        frame[at..at + 4].copy_from_slice(&octets);
        assert_eq!(opaque(&frame), Opaque::BadAddress);
    }
    let mut land = v4.clone();
    land.copy_within(26..30, 30);
    land.copy_within(34..36, 36);
    assert_eq!(opaque(&land), Opaque::BadAddress);
    let mut multicast = smoltcp_frame(true, &[], b"x");
    multicast[38] = 0xff;
    assert_eq!(opaque(&multicast), Opaque::BadAddress);
}

#[test]
fn a_frame_fits_the_stack_of_a_burst() {
    assert!(size_of::<Frame>() <= 256, "{}", size_of::<Frame>());
}

/// Looks at everything a parsed frame offers: none of it may panic.
fn exercise(frame: &[u8]) {
    let Frame::Tcp(tcp) = parse(SEGMENT, frame) else {
        return;
    };
    let _ = tcp.checksum_ok(frame);
    assert_eq!(tcp.payload(frame).len(), tcp.payload_len());
    assert!(tcp.options.sack.len() <= SACK_BLOCKS_MAX);
    // Also with a frame it was not parsed from.
    let _ = (
        tcp.payload(&frame[..frame.len() / 2]),
        tcp.checksum_ok(&frame[..frame.len() / 2]),
    );
    let path = PathTemplate::from_frame(&tcp, frame);
    let mut out = vec![0xee; HEADER_BYTES_MAX + frame.len()];
    let len = emit(&mut out, &path, &tcp.segment(frame), &[]).unwrap();
    let again = self::tcp(&out[..len]);
    assert!(again.checksum_ok(&out));
    assert_eq!(again.payload(&out), tcp.payload(frame));
    assert_eq!(
        (again.key, again.source, again.seq, again.ack),
        (tcp.key, tcp.source, tcp.seq, tcp.ack)
    );
    assert_eq!(
        (again.flags, again.window, again.urgent, again.ttl),
        (tcp.flags, tcp.window, tcp.urgent, tcp.ttl)
    );
    let _ = PathTemplate::from_frame(&tcp, &frame[..frame.len() / 2])
        .reversed()
        .header_bytes();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes(frame in proptest::collection::vec(any::<u8>(), 0..200)) {
        exercise(&frame);
    }

    #[test]
    fn any_bytes_behind_a_plausible_header(
        v6: bool,
        options in proptest::collection::vec(any::<[u8; 4]>(), 0..=10),
        payload in proptest::collection::vec(any::<u8>(), 0..60),
        tags in 0usize..=3,
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        cut in 0usize..40,
    ) {
        let frame = smoltcp_frame(v6, &options.concat(), &payload);
        let mut frame = with_tags(&frame, &[(0x8100, 7); 3][..tags]);
        for (at, byte) in changes {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        frame.truncate(frame.len().saturating_sub(cut));
        exercise(&frame);
    }
}

proptest! {
    /// The short look finds what the long one finds, in whatever it takes.
    #[test]
    fn p102_what_is_found_at_once_is_what_the_whole_look_finds(
        v6: bool,
        tags in proptest::collection::vec((proptest::sample::select(TAG_TYPES.to_vec()), any::<u16>()), 0..=3),
        options in proptest::collection::vec(any::<u8>(), 0..=10),
        payload in proptest::collection::vec(any::<u8>(), 0..40),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..=3),
        swapped: bool,
        cut in any::<proptest::sample::Index>(),
        whole in proptest::bool::weighted(0.8),
    ) {
        let mut frame = smoltcp_frame(v6, &options.repeat(4), &payload);
        if swapped {
            let (ends, len) = if v6 { (22, 16) } else { (26, 4) };
            let at = if v6 { 54 } else { 34 };
            frame[ends..ends + 2 * len].rotate_left(len);
            frame[at..at + 4].rotate_left(2);
        }
        let mut frame = with_tags(&frame, &tags);
        let untouched = frame.clone();
        for (at, to) in changes {
            let at = at.index(frame.len().min(90));
            frame[at] = to;
        }
        if !whole {
            frame.truncate(cut.index(frame.len() + 1));
        }
        let mut head = TcpHead::NONE;
        let at_once = TcpHead::plain(SEGMENT, &frame, &mut head).is_some();
        prop_assert!(at_once || frame != untouched || tags.len() > 2);
        if at_once {
            let Ok(Found::Tcp(found)) = look(SEGMENT, &frame) else {
                return Err(TestCaseError::fail("there is no segment"));
            };
            prop_assert_eq!(head, found);
            let tcp = head.read(&frame);
            prop_assert_eq!(tcp.from_lower(), tcp.key.is_lower(tcp.source));
            prop_assert_eq!(tcp.key, FlowKey::new(SEGMENT, tcp.key.vlan(), tcp.source, tcp.destination));
        }
        let mut head = TcpHead::NONE;
        let same = match (glance(SEGMENT, &frame, &mut head), parse(SEGMENT, &frame)) {
            (Glance::Tcp, Frame::Tcp(tcp)) => head.read(&frame) == tcp,
            (Glance::Other(one), Frame::Other(other)) => one == other,
            (Glance::Rare, Frame::Fragment(_) | Frame::IcmpError(_)) => true,
            _ => false,
        };
        prop_assert!(same);
    }
}
