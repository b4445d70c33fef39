//! Ports that take little, or nothing: what cannot leave waits, and who has nothing to send does not.

mod world;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use sluice_packet::Side;
use sluice_proxy::limits;
use sluice_telemetry::{Counter, DropReason};
use world::script::pki;
use world::{App, Settings, World, payload_len};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n";

fn world(reply: &[u8]) -> World {
    let pki = pki();
    let leaf = pki.origin_root.leaf(&["good.test"]);
    let client = App::client(&pki.trusted, "good.test", &[], REQUEST, usize::MAX);
    let server = App::server(&leaf, &[], REQUEST.len(), reply);
    World::with(&Settings::default(), &pki, client, server)
}

#[test]
fn d128_a_port_that_takes_few_frames_loses_none_of_what_is_gathered_for_it() {
    let reply = vec![b'r'; 500_000];
    for places in [1, 2, 3, 5, 7, 11] {
        let mut world = world(&reply);
        world.out.places = Some(places);
        world.run(Duration::from_secs(60));
        assert!(world.client.heard == reply, "{}", world.client.heard.len());
        let lost = Counter::Drop(DropReason::NoBuffer);
        assert_eq!(world.count(lost), 0, "{places} places");
    }
}

#[test]
fn d128_a_port_that_cuts_and_has_no_large_buffer_loses_none_of_what_is_cut_for_it() {
    let reply = vec![b'r'; 500_000];
    for (places, large_buffers) in [(1, 0), (3, 0), (5, 2), (7, 10)] {
        let mut world = world(&reply);
        world.out.ports_finish = true;
        world.out.places = Some(places);
        world.out.large_buffers = Some(large_buffers);
        world.run(Duration::from_secs(60));
        assert!(world.client.heard == reply, "{}", world.client.heard.len());
        assert_eq!(world.out.cut, large_buffers, "{places} places");
        let lost = Counter::Drop(DropReason::NoBuffer);
        assert_eq!(world.count(lost), 0, "{places} places");
    }
}

#[test]
fn d128_a_session_with_nothing_to_send_does_not_wait_for_a_full_port() {
    let reply = vec![b'r'; 10_000];
    let mut world = world(&reply);
    let said = Rc::new(RefCell::new(Vec::new()));
    let copies = Rc::clone(&said);
    world.tamper = Some(Box::new(move |frame| {
        copies.borrow_mut().push(frame.clone());
        vec![frame]
    }));
    world.run(Duration::from_secs(5));
    assert_eq!(world.client.heard, reply);
    let now = world.now().mono;
    let due = |world: &World, now| {
        world
            .worker
            .next_timeout(now)
            .expect("a session's deadline")
    };
    let before = due(&world, now);
    assert!(before > now + limits::PORT_RETRY_MAX * 10, "nothing moves");
    world.out.ports_full = true;
    // The client says again how far it has read: nothing is owed for it.
    let bare = said
        .borrow()
        .last()
        .expect("the client has said something")
        .clone();
    assert_eq!(payload_len(&bare), 0);
    for _ in 0..4 {
        world.inject(Side::A, bare.clone());
        let now = world.now();
        world.worker.poll(now, &mut world.out);
    }
    assert!(due(&world, now) >= before, "it is not in the retry loop");
    // What it says again is acknowledged again, and that waits.
    let said = said.borrow();
    let repeated = said.iter().rfind(|frame| payload_len(frame) > 0);
    world.inject(Side::A, repeated.expect("a request").clone());
    let now = world.now();
    world.worker.poll(now, &mut world.out);
    assert!(due(&world, now.mono) <= now.mono + limits::PORT_RETRY_MAX);
}
