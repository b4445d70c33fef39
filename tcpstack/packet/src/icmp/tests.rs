use super::*;
use crate::{Encapsulation, Frame, PathTemplate, SegmentId, TcpSegment, VlanStack, emit, parse};
use proptest::prelude::*;
use smoltcp::wire::Ipv4Packet;

const SEGMENT: SegmentId = SegmentId(1);

fn path(v6: bool) -> PathTemplate {
    let (one, other) = if v6 {
        ("[fd00::1]:40000", "[fd00::2]:443")
    } else {
        ("10.0.0.1:40000", "10.0.0.2:443")
    };
    PathTemplate::new(
        [2; 6],
        [4; 6],
        VlanStack::single(5),
        one.parse().unwrap(),
        other.parse().unwrap(),
    )
}

fn written(path: &PathTemplate) -> Vec<u8> {
    let segment = TcpSegment {
        seq: SeqNum(0xdead_beef),
        payload: &[0x55; 100],
        ..TcpSegment::default()
    };
    let mut frame = vec![0; 400];
    let len = emit(&mut frame, path, &segment, &[]).unwrap();
    frame.truncate(len);
    frame
}

/// An ICMP message from a router that quotes `quoted`, in a frame of VLAN 5.
fn message(v6: bool, kind: u8, code: u8, rest: [u8; 4], quoted: &[u8]) -> Vec<u8> {
    let mut icmp = vec![kind, code, 0, 0];
    icmp.extend(rest);
    icmp.extend(quoted);
    let mut frame = vec![4; 6];
    frame.extend([2; 6]);
    frame.extend([0x81, 0, 0, 5]);
    let length = u16::try_from(icmp.len()).unwrap();
    let (router, host): (IpAddr, IpAddr) = if v6 {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend(length.to_be_bytes());
        frame.extend([58, 64]);
        ("fd00::99".parse().unwrap(), "fd00::1".parse().unwrap())
    } else {
        frame.extend([0x08, 0x00, 0x45, 0]);
        frame.extend((length + 20).to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, 1, 0, 0]);
        ("192.0.2.99".parse().unwrap(), "10.0.0.1".parse().unwrap())
    };
    for ip in [router, host] {
        match ip {
            IpAddr::V4(ip) => frame.extend(ip.octets()),
            IpAddr::V6(ip) => frame.extend(ip.octets()),
        }
    }
    let mut sum = Checksum::default();
    if v6 {
        sum.add_pseudo_header(router, host, 58, icmp.len());
    } else {
        Ipv4Packet::new_unchecked(&mut frame[18..]).fill_checksum();
    }
    sum.add(&icmp);
    icmp[2..4].copy_from_slice(&sum.finish().to_be_bytes());
    frame.extend(icmp);
    frame
}

fn error(frame: &[u8]) -> IcmpError {
    match parse(SEGMENT, frame) {
        Frame::IcmpError(error) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn p94_every_error_names_the_flow_it_is_about() {
    for v6 in [false, true] {
        let path = path(v6);
        let frame = written(&path);
        let key = match parse(SEGMENT, &frame) {
            Frame::Tcp(tcp) => tcp.key,
            other => panic!("{other:?}"),
        };
        let header = if v6 { 40 } else { 20 };
        // No more than the eight bytes that every router quotes.
        let quoted = &frame[18..18 + header + 8];
        let expected: &[(u8, u8, IcmpKind)] = if v6 {
            &[
                (1, 4, IcmpKind::Unreachable { code: 4 }),
                (2, 0, IcmpKind::TooBig { mtu: 0x0102_0304 }),
                (3, 0, IcmpKind::TimeExceeded),
                (4, 1, IcmpKind::ParameterProblem),
            ]
        } else {
            &[
                (3, 3, IcmpKind::Unreachable { code: 3 }),
                (3, 4, IcmpKind::TooBig { mtu: 0x0304 }),
                (4, 0, IcmpKind::Quench),
                (11, 0, IcmpKind::TimeExceeded),
                (12, 0, IcmpKind::ParameterProblem),
            ]
        };
        for &(kind, code, says) in expected {
            let mut frame = message(v6, kind, code, [1, 2, 3, 4], quoted);
            let read = error(&frame);
            assert!(read.checksum_ok(&frame));
            assert_eq!((read.kind, read.key), (says, key));
            assert_eq!(
                (read.source, read.destination),
                (path.source(), path.destination())
            );
            assert_eq!(read.seq, SeqNum(0xdead_beef));
            *frame.last_mut().unwrap() ^= 1;
            assert!(!read.checksum_ok(&frame));
        }
        // Seven bytes of the segment do not say which it is.
        let short = message(v6, if v6 { 1 } else { 3 }, 0, [0; 4], &quoted[..header + 7]);
        assert!(matches!(
            parse(SEGMENT, &short),
            Frame::Other(Opaque::NotTcp)
        ));
        // An echo request is no error, whatever it carries.
        let echo = message(v6, if v6 { 128 } else { 8 }, 0, [0; 4], quoted);
        assert!(matches!(
            parse(SEGMENT, &echo),
            Frame::Other(Opaque::NotTcp)
        ));
    }
}

#[test]
fn p94_the_mss_that_fits_what_the_router_says() {
    for (v6, mss) in [(false, 1360), (true, 1340)] {
        let kind = if v6 { (2, 0) } else { (3, 4) };
        let quoted = &written(&path(v6))[18..];
        let read = error(&message(v6, kind.0, kind.1, [0, 0, 0x05, 0x78], quoted));
        assert_eq!(read.mss_limit(), Some(mss));
        let silent = error(&message(v6, kind.0, kind.1, [0; 4], quoted));
        assert_eq!(silent.mss_limit(), None);
        let unreachable = error(&message(v6, if v6 { 1 } else { 3 }, 1, [0; 4], quoted));
        assert_eq!(unreachable.mss_limit(), None);
    }
}

#[test]
fn p94_no_router_makes_an_ipv6_path_smaller_than_ipv6_allows() {
    //= https://www.rfc-editor.org/rfc/rfc8201#section-4
    //= type=test
    //# A node must not reduce its estimate of the Path MTU below the IPv6 minimum link MTU on receipt of a Packet Too Big
    //= https://www.rfc-editor.org/rfc/rfc8201#section-4
    //= type=test
    //# If a node receives a Packet Too Big message reporting a next-hop MTU that is less than the IPv6 minimum link MTU,
    let limit = |v6: bool, mtu: u32| {
        let (kind, code) = if v6 { (2, 0) } else { (3, 4) };
        let quoted = &written(&path(v6))[18..];
        error(&message(v6, kind, code, mtu.to_be_bytes(), quoted)).mss_limit()
    };
    assert_eq!((limit(true, 1280), limit(true, 1279)), (Some(1220), None));
    assert_eq!(
        (limit(false, 1279), limit(false, 68)),
        (Some(1239), Some(28))
    );
}

#[test]
fn p94_p102_a_quoted_tunnel_packet_is_about_the_flow_within() {
    let outer = Encapsulation::gre([10, 9, 0, 1].into(), [10, 9, 0, 2].into(), Some(3), false);
    let frame = written(&path(false).within(Some(outer)));
    let key = match parse(SEGMENT, &frame) {
        Frame::Tcp(tcp) => tcp.key,
        other => panic!("{other:?}"),
    };
    assert_ne!(key.tunnel(), TunnelId::NONE);
    let read = error(&message(false, 3, 4, [0, 0, 0x05, 0xdc], &frame[18..]));
    assert_eq!(
        (read.key, read.kind),
        (key, IcmpKind::TooBig { mtu: 1500 - 28 })
    );
    // A second layer is nobody's.
    let mut second = frame[18..46].to_vec();
    second[26..28].copy_from_slice(&[8, 0]);
    second.extend(&frame[18..]);
    let read = parse(SEGMENT, &message(false, 3, 4, [0, 0, 5, 0xdc], &second));
    assert!(matches!(read, Frame::Other(Opaque::NotTcp)), "{read:?}");
}

#[test]
fn a_later_fragment_quoted_says_nothing_about_ports() {
    let frame = written(&path(false));
    let mut quoted = frame[18..].to_vec();
    Ipv4Packet::new_unchecked(&mut quoted[..]).set_frag_offset(8);
    let read = parse(SEGMENT, &message(false, 3, 4, [0; 4], &quoted));
    assert!(matches!(read, Frame::Other(Opaque::NotTcp)));
}

proptest! {
    #[test]
    fn any_message_is_read(v6: bool, kind: u8, code: u8, rest: [u8; 4], quoted in proptest::collection::vec(any::<u8>(), 0..120)) {
        let frame = message(v6, kind, code, rest, &quoted);
        if let Frame::IcmpError(error) = parse(SEGMENT, &frame) {
            prop_assert!(error.checksum_ok(&frame));
            let _ = error.mss_limit();
            prop_assert!(!error.checksum_ok(&frame[..frame.len() - 1]));
        }
    }
}
