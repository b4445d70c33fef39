use super::*;
use crate::limits::{HEADER_BYTES_MAX, SACK_BLOCKS_MAX};
use crate::{PathTemplate, emit};
use proptest::prelude::*;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, IpAddress, Ipv4Address, Ipv6Address,
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
        Frame::Other(why) => panic!("{}", why.name()),
    }
}

#[track_caller]
fn opaque(frame: &[u8]) -> Opaque {
    match parse(SEGMENT, frame) {
        Frame::Tcp(tcp) => panic!("{tcp:?}"),
        Frame::Other(why) => why,
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
        assert_eq!(tcp.key.vlan, VlanStack::single(100));
        assert_eq!(tcp.key.vlan.tags(), [0xe064]);
        assert_eq!(tcp.payload(&frame), b"x");
        assert!(tcp.checksum_ok(&frame));
    }
    let frame = with_tags(&plain, &[(0x88a8, 200), (0x8100, 100)]);
    assert_eq!(tcp(&frame).key.vlan, VlanStack::double(200, 100));
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
    for v6 in [false, true] {
        let frame = smoltcp_frame(v6, &[], b"odd");
        assert!(tcp(&frame).checksum_ok(&frame));
        let tcp_at = tcp(&frame).l4_offset();
        for at in tcp_at + 4..frame.len() {
            let mut bad = frame.clone();
            bad[at] ^= 0x10;
            match parse(SEGMENT, &bad) {
                Frame::Tcp(tcp) => assert!(!tcp.checksum_ok(&bad), "byte {at}"),
                Frame::Other(why) => assert_eq!((why, at), (Opaque::BadHeader, tcp_at + 12)),
            }
        }
    }
    let mut bad = smoltcp_frame(false, &[], b"odd");
    bad[22] ^= 1;
    assert!(!tcp(&bad).checksum_ok(&bad), "IPv4 header");
}

#[test]
fn every_reason_to_stay_opaque() {
    let v4 = smoltcp_frame(false, &[], b"x");
    let v6 = smoltcp_frame(true, &[], b"x");
    let changed = |frame: &[u8], at: usize, byte: u8| {
        let mut frame = frame.to_vec();
        frame[at] = byte;
        frame
    };
    let mut seen = Vec::new();
    for (frame, expected) in [
        (v4[..13].to_vec(), Opaque::Truncated),
        (v4[..33].to_vec(), Opaque::Truncated),
        (v4[..54].to_vec(), Opaque::Truncated),
        (v6[..53].to_vec(), Opaque::Truncated),
        (v6[..74].to_vec(), Opaque::Truncated),
        (changed(&v4, 13, 6), Opaque::Arp),
        (changed(&v4, 12, 0x12), Opaque::NotIp),
        (changed(&v4, 20, 0x20), Opaque::Ipv4Fragment),
        (changed(&v4, 21, 1), Opaque::Ipv4Fragment),
        (changed(&v6, 20, 44), Opaque::Ipv6Extension),
        (changed(&v6, 20, 0), Opaque::Ipv6Extension),
        (changed(&v6, 20, 17), Opaque::NotTcp),
        (changed(&v4, 23, 17), Opaque::NotTcp),
        (changed(&v4, 23, 47), Opaque::Tunnel),
        (changed(&v4, 23, 4), Opaque::Tunnel),
        (changed(&v6, 20, 41), Opaque::Tunnel),
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
    assert!(Opaque::ALL.iter().all(|why| seen.contains(why)));
    for (index, why) in Opaque::ALL.iter().enumerate() {
        assert!(
            Opaque::ALL[..index]
                .iter()
                .all(|other| other.name() != why.name())
        );
    }
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
