//! Frames: whatever was read of one comes out again when it is written.

use sluice_packet::{
    EmitError, Frame, PathTemplate, SegmentId, TcpFlags, TcpFrame, TcpOptions, VlanStack,
    clear_urgent, emit, normalise_syn, parse,
};

const SEGMENT: SegmentId = SegmentId(3);

/// Any bytes as a frame.
pub(crate) fn run(bytes: &[u8]) {
    match parse(SEGMENT, bytes) {
        Frame::Tcp(tcp) => segment(&tcp, bytes),
        Frame::Fragment(fragment) => {
            assert_eq!(fragment.key.segment, SEGMENT);
            // Touches every byte of the header.
            let _ = fragment.header_ok(bytes);
        }
        Frame::IcmpError(error) => assert_eq!(error.key.segment(), SEGMENT),
        Frame::Other(_) => {}
    }
}

/// Any bytes as the options of a SYN.
pub(crate) fn options(bytes: &[u8]) {
    const FIXED: usize = 14 + 20 + 20;
    let len = bytes.len().min(40) & !3;
    let path = PathTemplate::new(
        [2, 0, 0, 0, 0, 1],
        [2, 0, 0, 0, 0, 2],
        VlanStack::UNTAGGED,
        "10.0.0.1:1000".parse().unwrap(),
        "10.0.0.2:443".parse().unwrap(),
    );
    let syn = sluice_packet::TcpSegment {
        flags: TcpFlags::SYN,
        ..Default::default()
    };
    let mut frame = vec![0; FIXED];
    let written = emit(&mut frame, &path, &syn, &[]).unwrap();
    assert_eq!(written, FIXED);
    frame.extend_from_slice(&bytes[..len]);
    frame[16..18].copy_from_slice(&u16::try_from(40 + len).unwrap().to_be_bytes());
    frame[46] = u8::try_from((20 + len) / 4).unwrap() << 4;
    let Frame::Tcp(tcp) = parse(SEGMENT, &frame) else {
        panic!("a segment with {len} bytes of options");
    };
    segment(&tcp, &frame);
}

fn segment(tcp: &TcpFrame, frame: &[u8]) {
    let payload = tcp.payload_range();
    assert!(tcp.l3_offset() < tcp.l4_offset() && tcp.l4_offset() + 20 <= payload.start);
    assert!(payload.start <= payload.end && payload.end <= frame.len());
    assert_eq!(tcp.key.segment(), SEGMENT);
    assert_ne!(tcp.source, tcp.destination);
    let right = tcp.checksum_ok(frame);

    let path = PathTemplate::from_frame(tcp, frame);
    let said = tcp.segment(frame);
    let mut out = vec![0; path.header_bytes() + 40 + said.payload.len()];
    match emit(&mut out, &path, &said, &[]) {
        Ok(len) => {
            let written = &out[..len];
            let Frame::Tcp(again) = parse(SEGMENT, written) else {
                panic!("what was written is no segment");
            };
            assert!(again.checksum_ok(written));
            assert_eq!(again.key, tcp.key);
            assert_eq!(
                (again.source, again.destination),
                (tcp.source, tcp.destination)
            );
            let heard = again.segment(written);
            assert_eq!((heard.seq, heard.ack), (said.seq, said.ack));
            assert_eq!((heard.flags, heard.window), (said.flags, said.window));
            assert_eq!(heard.payload, said.payload);
            same_options(&heard.options, &said.options);
        }
        Err(EmitError::TooLong { .. }) => assert!(said.payload.len() > 65_000),
        Err(error) => panic!("{error}"),
    }

    let mut calm = frame.to_vec();
    clear_urgent(&mut calm, tcp);
    assert_eq!(tcp.checksum_ok(&calm), right);
    let Frame::Tcp(cleared) = parse(SEGMENT, &calm) else {
        panic!("without its mark it is no segment");
    };
    assert_eq!(cleared.flags, tcp.flags.without(TcpFlags::URG));

    let mut plain = frame.to_vec();
    let done = normalise_syn(&mut plain, tcp);
    assert!(done.len <= plain.len());
    plain.truncate(done.len);
    if done.stripped || done.cut {
        let Frame::Tcp(syn) = parse(SEGMENT, &plain) else {
            panic!("a normalised SYN is no segment");
        };
        assert!(right && syn.flags.syn() && syn.checksum_ok(&plain));
        assert_eq!(syn.payload_len(), 0);
        assert!(!syn.options.mptcp && !syn.options.fast_open && !syn.options.unknown);
    } else {
        assert_eq!(plain, frame);
    }
}

fn same_options(heard: &TcpOptions, said: &TcpOptions) {
    assert_eq!(
        (heard.mss, heard.window_scale, heard.sack_permitted),
        (said.mss, said.window_scale, said.sack_permitted)
    );
    assert_eq!(heard.timestamps, said.timestamps);
    // The first blocks, as many as fit.
    let blocks = heard.sack.as_slice();
    assert!(said.sack.as_slice().starts_with(blocks));
    assert!(!(heard.signature || heard.malformed || heard.unknown));
}
