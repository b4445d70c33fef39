use super::*;
use crate::limits::{HEADER_BYTES_MAX, TCP_OPTIONS_BYTES_MAX};
use crate::options::tests::{any_options, as_far_as_they_fit};
use crate::{
    Ecn, Encapsulation, Frame, SegmentId, SeqNum, TcpFlags, TcpOptions, Timestamps, VlanStack,
    parse,
};
use core::net::IpAddr;
use proptest::prelude::*;
use smoltcp::wire::{EthernetFrame, EthernetProtocol};

const MAC_ONE: [u8; 6] = [2, 0, 0, 0, 0, 1];
const MAC_OTHER: [u8; 6] = [2, 0, 0, 0, 0, 2];

fn path(source: &str, destination: &str, vlan: VlanStack) -> PathTemplate {
    PathTemplate::new(
        MAC_ONE,
        MAC_OTHER,
        vlan,
        source.parse().unwrap(),
        destination.parse().unwrap(),
    )
}

fn tcp(frame: &[u8]) -> TcpFrame {
    match parse(SegmentId(0), frame) {
        Frame::Tcp(tcp) => tcp,
        other => panic!("{other:?}"),
    }
}

#[test]
fn smoltcp_reads_what_is_written() {
    let segment = TcpSegment {
        seq: SeqNum(0xffff_fff0),
        ack: SeqNum(0x8000_0000),
        flags: TcpFlags::ACK | TcpFlags::PSH,
        window: 501,
        options: TcpOptions {
            timestamps: Some(Timestamps { value: 9, echo: 8 }),
            ..TcpOptions::default()
        },
        payload: b"abc",
        ..TcpSegment::default()
    };
    let mut out = [0xee; 200];
    let len = emit(
        &mut out,
        &path("10.0.0.1:40000", "10.0.0.2:443", VlanStack::UNTAGGED),
        &segment,
        b"defg",
    )
    .unwrap();
    let frame = EthernetFrame::new_checked(&out[..len]).unwrap();
    assert_eq!(frame.ethertype(), EthernetProtocol::Ipv4);
    assert_eq!(
        (frame.src_addr().0, frame.dst_addr().0),
        (MAC_ONE, MAC_OTHER)
    );
    let ip = Ipv4Packet::new_checked(frame.payload()).unwrap();
    assert!(ip.verify_checksum() && ip.dont_frag() && !ip.more_frags());
    assert_eq!((ip.frag_offset(), ip.hop_limit(), ip.ident()), (0, 64, 0));
    assert_eq!(usize::from(ip.total_len()), len - 14);
    let read = TcpPacket::new_checked(ip.payload()).unwrap();
    assert!(read.verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into()));
    assert_eq!(read.payload(), b"abcdefg");
    assert_eq!(
        (read.src_port(), read.dst_port(), read.window_len()),
        (40_000, 443, 501)
    );
    assert!(read.ack() && read.psh() && !read.ns() && !read.syn());
}

#[test]
fn a_reset_goes_back_the_way_its_cause_came() {
    for (one, other) in [
        ("10.0.0.1:40000", "10.0.0.2:443"),
        ("[fd00::1]:40000", "[fd00::2]:443"),
    ] {
        let vlan = VlanStack::double(0xe0c8, 100);
        let segment = TcpSegment {
            seq: SeqNum(10),
            ack: SeqNum(20),
            flags: TcpFlags::ACK,
            payload: b"hello",
            ..TcpSegment::default()
        };
        let mut out = [0; 200];
        let len = emit(&mut out, &path(one, other, vlan), &segment, &[]).unwrap();
        let cause = tcp(&out[..len]);
        let mut reply = [0; 200];
        let reply_len = emit_reset(&mut reply, &cause, &out[..len])
            .unwrap()
            .unwrap();
        let reply = &reply[..reply_len];
        let reset = tcp(reply);
        assert!(reset.checksum_ok(reply));
        assert_eq!(
            (reset.source, reset.destination, reset.key),
            (cause.destination, cause.source, cause.key)
        );
        assert_eq!((reset.flags, reset.seq), (TcpFlags::RST, SeqNum(20)));
        assert_eq!((&reply[..6], &reply[6..12]), (&MAC_ONE[..], &MAC_OTHER[..]));
        assert_eq!(reply[12..18], [0x88, 0xa8, 0xe0, 0xc8, 0x81, 0x00]);
        let mut none = [0; 200];
        assert_eq!(emit_reset(&mut none, &reset, reply), Ok(None));
    }
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_written() {
    let path = path("10.0.0.1:1", "10.0.0.2:2", VlanStack::UNTAGGED);
    let segment = TcpSegment {
        payload: b"12345",
        ..TcpSegment::default()
    };
    let mut out = [0xee; 58];
    assert_eq!(
        emit(&mut out, &path, &segment, &[]),
        Err(EmitError::NoRoom {
            needed: 59,
            available: 58
        })
    );
    assert_eq!(out, [0xee; 58]);
    let huge = vec![0; 65_536];
    let mut out = vec![0; 70_000];
    assert_eq!(
        emit(&mut out, &path, &segment, &huge),
        Err(EmitError::TooLong {
            bytes: 20 + 20 + 5 + 65_536
        })
    );
    assert_eq!(
        emit(&mut out, &path, &segment, &huge[..65_490]),
        Ok(14 + 65_535)
    );
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        v6: bool,
        addresses: ([u8; 16], [u8; 16]),
        ports: (u16, u16),
        tags in proptest::collection::vec(any::<u16>(), 0..=2),
        numbers: (u32, u32, u16, u16, u8),
        mark: u8,
        options in any_options(),
        payload in proptest::collection::vec(any::<u8>(), 0..300),
        cut in any::<proptest::sample::Index>(),
    ) {
        let address = |octets: [u8; 16], port| {
            // A unicast address of either family.
            let [_, b, c, d, ..] = octets;
            let ip = if v6 {
                let mut octets = octets;
                octets[0] = 0xfd;
                core::net::IpAddr::from(octets)
            } else {
                core::net::IpAddr::from([10, b, c, d])
            };
            SocketAddr::new(ip, port)
        };
        let (source, destination) = (address(addresses.0, ports.0), address(addresses.1, ports.1));
        prop_assume!(source != destination);
        let vlan = match tags[..] {
            [] => VlanStack::UNTAGGED,
            [tci] => VlanStack::single(tci),
            [outer, inner, ..] => VlanStack::double(outer, inner),
        };
        let path = PathTemplate::new(MAC_ONE, MAC_OTHER, vlan, source, destination);
        let cut = cut.index(payload.len() + 1);
        let segment = TcpSegment {
            seq: SeqNum(numbers.0),
            ack: SeqNum(numbers.1),
            flags: TcpFlags::from_bits(numbers.4),
            window: numbers.2,
            urgent: numbers.3,
            ecn: Ecn::of_traffic_class(mark),
            options,
            payload: &payload[..cut],
        };
        let mut out = vec![0xee; HEADER_BYTES_MAX + payload.len() + 9];
        let len = emit(&mut out, &path, &segment, &payload[cut..]).unwrap();
        prop_assert!(out[len..].iter().all(|&byte| byte == 0xee));
        let frame = &out[..len];
        let read = tcp(frame);
        prop_assert!(read.checksum_ok(frame));
        prop_assert_eq!(read.segment(frame), TcpSegment {
            payload: &payload,
            options: as_far_as_they_fit(&segment.options),
            ..segment
        });
        prop_assert_eq!((read.source, read.destination), (source, destination));
        prop_assert_eq!(read.key.vlan(), vlan);
        let tags = frame[14..].chunks(4).map(|tag| u16::from_be_bytes([tag[0], tag[1]]));
        prop_assert!(tags.take(vlan.len()).eq(vlan.tags()));
        prop_assert_eq!(PathTemplate::from_frame(&read, frame), path);
        prop_assert_eq!(path.reversed().reversed(), path);
        prop_assert!(path.header_bytes() <= HEADER_BYTES_MAX - TCP_OPTIONS_BYTES_MAX);
    }
}

/// A tunnel as a frame of it would show: its outer header has been on its way through routers that mark and count.
fn any_tunnel() -> impl Strategy<Value = (bool, Encapsulation, [u8; 3], bool)> {
    let ends = prop_oneof![
        any::<([u8; 4], [u8; 4])>().prop_map(|(one, other)| {
            let usable = |[_, b, c, d]: [u8; 4]| IpAddr::from([10, b, c, d]);
            (usable(one), usable(other))
        }),
        any::<([u8; 16], [u8; 16])>().prop_map(|(one, other)| {
            let usable = |mut octets: [u8; 16]| {
                octets[0] = 0xfd;
                IpAddr::from(octets)
            };
            (usable(one), usable(other))
        }),
    ];
    let gre = any::<Option<Option<u32>>>();
    let tunnel = (ends, gre, any::<bool>()).prop_map(|((one, other), gre, v6)| match gre {
        None => (v6, Encapsulation::ip_in_ip(one, other, v6)),
        Some(key) => (v6, Encapsulation::gre(one, other, key, v6)),
    });
    // Hop limit, DSCP in its place, flow label's last byte.
    let shown = (1u8.., 0u8..64, any::<u8>());
    let shown = shown.prop_map(|(hops, dscp, label)| [hops, dscp << 2, label]);
    (tunnel, shown, any::<bool>())
        .prop_map(|((v6, tunnel), shown, whole)| (v6, tunnel, shown, whole))
}

/// Writes into the outer header, which begins at `at`, what routers and the tunnel's end put there.
fn wear(frame: &mut [u8], at: usize, [hops, class, label]: [u8; 3], dont_fragment: bool) {
    if frame[at] >> 4 == 6 {
        let mut ip = Ipv6Packet::new_unchecked(&mut frame[at..]);
        ip.set_hop_limit(hops);
        ip.set_traffic_class(class);
        ip.set_flow_label(label.into());
    } else {
        let mut ip = Ipv4Packet::new_unchecked(&mut frame[at..at + 20]);
        ip.set_hop_limit(hops);
        ip.set_dscp(class >> 2);
        ip.set_dont_frag(dont_fragment);
        ip.fill_checksum();
    }
}

proptest! {
    #[test]
    fn f5_f6_f7_every_tunnel_that_a_frame_teaches_is_what_its_frames_say_again(
        (v6, tunnel, shown, dont_fragment) in any_tunnel(),
        tags in 0usize..3,
        tcis in any::<[u16; 2]>(),
        payload in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let vlan = [
            VlanStack::UNTAGGED,
            VlanStack::single(tcis[0]),
            VlanStack::double(tcis[0], tcis[1]),
        ][tags];
        let (one, other) = if v6 {
            ("[fd00::1]:40000", "[fd00::2]:443")
        } else {
            ("10.0.0.1:40000", "10.0.0.2:443")
        };
        let segment = TcpSegment {
            seq: SeqNum(7),
            flags: TcpFlags::ACK,
            payload: &payload,
            ..TcpSegment::default()
        };
        let write = |path: &PathTemplate| {
            let mut out = vec![0; HEADER_BYTES_MAX + payload.len()];
            let len = emit(&mut out, path, &segment, &[]).unwrap();
            out.truncate(len);
            out
        };
        let mut shows = write(&path(one, other, vlan).within(Some(tunnel)));
        wear(&mut shows, 14 + 4 * tags, shown, dont_fragment);
        let read = tcp(&shows);
        prop_assert_eq!(read.payload(&shows), payload.as_slice());
        let learned = PathTemplate::from_frame(&read, &shows);
        let outer = Encapsulation::from_frame(&read, &shows);
        prop_assert_eq!(learned.outer().copied(), outer);
        let again = write(&learned);
        let back = tcp(&again);
        prop_assert!(back.checksum_ok(&again));
        prop_assert_eq!(back.key, read.key);
        prop_assert_eq!(PathTemplate::from_frame(&back, &again), learned);
        prop_assert_eq!(Encapsulation::from_frame(&back, &again), outer);
        // The opposite direction is of the same flow.
        let reverse = write(&learned.reversed());
        prop_assert_eq!(tcp(&reverse).key, read.key);
        // Only the number that tells fragments apart may differ, where there may be any.
        if dont_fragment || outer.is_none_or(|outer| outer.is_ipv6()) {
            prop_assert_eq!(again, shows);
        }
    }
}
