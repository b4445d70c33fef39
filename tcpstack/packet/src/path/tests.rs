use super::*;
use crate::{Frame, SegmentId, TcpSegment, emit, parse};

fn frame_of(v6: bool) -> Vec<u8> {
    let (one, other) = if v6 {
        ("[fd00::1]:1", "[fd00::2]:2")
    } else {
        ("10.0.0.1:1", "10.0.0.2:2")
    };
    let path = PathTemplate::new(
        [2; 6],
        [4; 6],
        VlanStack::single(0x6064),
        one.parse().unwrap(),
        other.parse().unwrap(),
    );
    let mut frame = vec![0; 200];
    let len = emit(&mut frame, &path, &TcpSegment::default(), &[]).unwrap();
    frame.truncate(len);
    frame
}

fn learned(frame: &[u8]) -> PathTemplate {
    match parse(SegmentId(0), frame) {
        Frame::Tcp(tcp) => PathTemplate::from_frame(&tcp, frame),
        other => panic!("{other:?}"),
    }
}

#[test]
fn hop_limit_class_and_label_are_learned_but_congestion_marks_are_not() {
    let mut frame = frame_of(true);
    frame[18..22].copy_from_slice(&[0x6b, 0x91, 0x23, 0x45]);
    frame[18 + 7] = 33;
    let path = learned(&frame);
    assert_eq!(path.link().traffic_class(), 0xb8);
    assert_eq!(path.link().flow_label(), 0x12345);
    assert_eq!(path.link().hop_limit(), 33);
    assert_eq!(&path.link().header()[..], &frame[..18]);
    assert_eq!(path.reversed().link().flow_label(), 0);
    assert_eq!(path.reversed().link().hop_limit(), 33);
}

#[test]
fn p84_p102_the_mss_that_fits_the_mtu() {
    let (v4, v6) = (learned(&frame_of(false)), learned(&frame_of(true)));
    assert_eq!((v4.mss_limit(1500), v6.mss_limit(1500)), (1460, 1440));
    assert_eq!((v4.mss_limit(576), v6.mss_limit(1280)), (536, 1220));
    assert_eq!((v4.mss_limit(9000), v4.mss_limit(10)), (8960, 0));
    assert_eq!((v4.header_bytes(), v6.header_bytes()), (58, 78));
    assert_eq!(v4.frame_bytes_max(1500), 1518);
}

#[test]
fn templates_are_small() {
    assert!(
        size_of::<LinkTemplate>() <= 22,
        "{}",
        size_of::<LinkTemplate>()
    );
    assert!(
        size_of::<PathTemplate>() <= 160,
        "{}",
        size_of::<PathTemplate>()
    );
}

#[test]
fn a_link_and_a_key_make_a_path() {
    let frame = frame_of(false);
    let path = learned(&frame);
    let key = FlowKey::new(
        SegmentId(0),
        VlanStack::single(100),
        path.source(),
        path.destination(),
    );
    assert_eq!(path.link().with_source(&key, path.source()), path);
    assert_eq!(
        path.link().reversed().with_source(&key, path.destination()),
        path.reversed()
    );
}
