use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::SendFlags;
use sluice_telemetry::{Application, SessionPhase, SessionSummary};

use super::*;
use crate::limits::{LINK_DATAGRAM_BYTES_MAX, LINK_FDS_MAX};
use crate::{EventConsumer, EventProducer, KeySegment, SealedSnapshot, StatsSegment};

const SOON: Option<Duration> = Some(Duration::from_secs(5));

fn session(core: u16) -> SessionSummary {
    SessionSummary {
        core,
        generation: 3,
        age_us: 1_000,
        segment: "segment-1".to_owned(),
        vlan: vec![100],
        client: "10.201.1.2:40000".parse().unwrap(),
        server: "10.201.2.2:443".parse().unwrap(),
        policy: "outbound".to_owned(),
        sni: Some("a.example".to_owned()),
        phase: SessionPhase::Relaying,
        code: None,
        application: Application::Http1,
        bytes_to_origin: 1,
        bytes_to_client: 2,
        memory_bytes: 3,
    }
}

fn hello(cores: Vec<u16>) -> ToControl {
    ToControl::Hello {
        version: LINK_VERSION,
        pid: 7,
        release: "0.1.0".to_owned(),
        cores,
        adopted: Some(3),
    }
}

#[test]
fn a_generation_crosses_with_its_keys() {
    let (control, dataplane) = ControlLink::pair().unwrap();
    let snapshot = SealedSnapshot::seal(5, b"configuration").unwrap();
    let keys = KeySegment::create(&[(1, b"key")]).unwrap();
    control
        .send(
            &ToDataplane::Publish { generation: 5 },
            &[snapshot.as_fd(), keys.as_fd()],
        )
        .unwrap();
    let received = dataplane.receive(SOON).unwrap().unwrap();
    assert_eq!(received.message, ToDataplane::Publish { generation: 5 });
    let [snapshot, keys]: [OwnedFd; 2] = received.descriptors.try_into().unwrap();
    assert_eq!(
        SealedSnapshot::open(snapshot).unwrap().bytes(),
        b"configuration"
    );
    assert_eq!(
        KeySegment::open(keys).unwrap().key(1).unwrap().as_slice(),
        b"key"
    );
}

#[test]
fn statistics_and_rings_cross_with_the_hello() {
    let (dataplane, control) = DataplaneLink::pair().unwrap();
    let (_stats, stats_fd) = StatsSegment::create(&[1], 9, 9).unwrap();
    let (mut producer, ring_fd) =
        EventProducer::create(1, crate::limits::EVENT_RING_BYTES_MIN).unwrap();
    producer.push(b"event").unwrap();
    dataplane
        .send(&hello(vec![1]), &[stats_fd.as_fd(), ring_fd.as_fd()])
        .unwrap();
    let received = control.receive(SOON).unwrap().unwrap();
    assert_eq!(received.message, hello(vec![1]));
    let [stats, ring]: [OwnedFd; 2] = received.descriptors.try_into().unwrap();
    assert_eq!(StatsSegment::open(stats).unwrap().epoch(), 9);
    let mut event = Vec::new();
    assert!(EventConsumer::open(ring).unwrap().pop(&mut event));
    assert_eq!(event, b"event");
}

#[test]
fn a_large_reply_travels_in_parts() {
    let (dataplane, control) = DataplaneLink::pair().unwrap();
    let sessions: Vec<_> = (0..10_000).map(|index| session(index % 16)).collect();
    let reply = ToControl::Reply {
        id: 4,
        body: ReplyBody::Sessions { sessions },
    };
    assert!(postcard::to_stdvec(&reply).unwrap().len() > 5 * LINK_DATAGRAM_BYTES_MAX);
    std::thread::scope(|scope| {
        scope.spawn(|| dataplane.send(&reply, &[]).unwrap());
        assert_eq!(control.receive(SOON).unwrap().unwrap().message, reply);
    });
}

#[test]
fn messages_of_many_threads_never_mix() {
    let (dataplane, control) = DataplaneLink::pair().unwrap();
    std::thread::scope(|scope| {
        for core in 0..4_u16 {
            let dataplane = &dataplane;
            scope.spawn(move || {
                for _ in 0..20 {
                    let sessions = (0..2_000).map(|_| session(core)).collect();
                    let reply = ToControl::Reply {
                        id: u64::from(core),
                        body: ReplyBody::Sessions { sessions },
                    };
                    dataplane.send(&reply, &[]).unwrap();
                }
            });
        }
        for _ in 0..80 {
            let ToControl::Reply {
                id,
                body: ReplyBody::Sessions { sessions },
            } = control.receive(SOON).unwrap().unwrap().message
            else {
                panic!("a reply")
            };
            assert!(sessions.iter().all(|session| u64::from(session.core) == id));
        }
    });
}

#[test]
fn f132_a_peer_that_dies_ends_the_link_and_nothing_else() {
    let (control, dataplane) = ControlLink::pair().unwrap();
    dataplane
        .send(
            &ToControl::Adopted {
                core: 1,
                generation: 2,
            },
            &[],
        )
        .unwrap();
    drop(dataplane);
    assert!(
        control.receive(SOON).unwrap().is_some(),
        "what it said before is still heard"
    );
    assert!(matches!(control.receive(SOON), Err(LinkError::Closed)));
    assert!(matches!(
        control.send(&ToDataplane::Retire { generation: 1 }, &[]),
        Err(LinkError::Closed)
    ));
}

#[test]
fn f132_a_peer_that_dies_inside_a_message_ends_the_link() {
    let (control, dataplane) = ControlLink::pair().unwrap();
    rustix::net::send(&dataplane, &[1, 0, 1, 2], SendFlags::NOSIGNAL).unwrap();
    drop(dataplane);
    assert!(matches!(control.receive(SOON), Err(LinkError::Closed)));
}

#[test]
fn f132_garbage_is_an_error_and_never_a_panic() {
    let mut state = 0x1234_5678_9ABC_DEF1_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..5_000 {
        let (control, dataplane) = ControlLink::pair().unwrap();
        let length = usize::try_from(random() % 60 + 1).unwrap();
        let bytes: Vec<u8> = (0..length).map(|_| random().to_le_bytes()[0]).collect();
        rustix::net::send(&dataplane, &bytes, SendFlags::NOSIGNAL).unwrap();
        match control.receive(Some(Duration::ZERO)) {
            Ok(_) | Err(LinkError::Malformed) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn nothing_to_read_is_no_error() {
    let (control, _dataplane) = ControlLink::pair().unwrap();
    assert!(control.receive(Some(Duration::ZERO)).unwrap().is_none());
    assert!(
        control
            .receive(Some(Duration::from_millis(10)))
            .unwrap()
            .is_none()
    );
}

#[test]
fn too_many_descriptors_are_refused_before_they_are_sent() {
    let (control, _dataplane) = ControlLink::pair().unwrap();
    let file = tempfile::tempfile().unwrap();
    let many: Vec<BorrowedFd<'_>> = vec![file.as_fd(); LINK_FDS_MAX + 1];
    let error = control
        .send(&ToDataplane::Retire { generation: 1 }, &many)
        .unwrap_err();
    assert!(matches!(error, LinkError::TooLarge { .. }));
    control
        .send(
            &ToDataplane::Retire { generation: 1 },
            many.get(..LINK_FDS_MAX).unwrap(),
        )
        .unwrap();
}

#[test]
fn a_listener_is_found_at_its_path_and_only_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dataplane.sock");
    assert!(matches!(
        DataplaneLink::connect(&path),
        Err(LinkError::Connect { .. })
    ));
    let listener = Listener::bind(&path).unwrap();
    assert!(matches!(
        Listener::bind(&path),
        Err(LinkError::InUse { .. })
    ));
    let dataplane = DataplaneLink::connect(&path).unwrap();
    // The probe of the second bind is a connection too, closed at once.
    let mut control: ControlLink = listener.accept(SOON).unwrap().unwrap();
    dataplane.send(&hello(vec![]), &[]).unwrap();
    let message = loop {
        match control.receive(SOON) {
            Ok(received) => break received.unwrap().message,
            Err(LinkError::Closed) => control = listener.accept(SOON).unwrap().unwrap(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(message, hello(vec![]));
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o660);
    drop(listener);
    assert!(!path.exists());
}

#[test]
fn f130_a_socket_left_by_a_dead_process_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dataplane.sock");
    let left = std::os::unix::net::UnixListener::bind(&path).unwrap();
    drop(left);
    assert!(path.exists());
    let listener = Listener::bind(&path).unwrap();
    DataplaneLink::connect(&path).unwrap();
    assert!(
        listener
            .accept::<ToDataplane, ToControl>(SOON)
            .unwrap()
            .is_some()
    );
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let error = Listener::bind(std::path::Path::new(
        "/nonexistent-directory/dataplane.sock",
    ))
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("/nonexistent-directory/dataplane.sock"),
        "{error}"
    );
}
