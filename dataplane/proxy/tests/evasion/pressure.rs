//! E112: half of something, a full state table, and the other half.

use std::time::Duration;

use sluice_packet::TcpFlags;
use sluice_telemetry::{Counter, DecisionCode};

use super::craft::Craft;
use super::lab::{EXCEPTED, INSPECTED, Outcome, Run, Way, hello, strict};
use super::receiver::MODERN;
use super::strategies::inspected_session_under;
use super::world::Settings;

const FLOWS_MAX: usize = 32;

fn small(settings: Settings) -> Settings {
    Settings {
        flows_max: FLOWS_MAX,
        ..settings
    }
}

/// SYNs of clients that nobody hears from again, eight times as many as the table has room for.
fn flood() -> Vec<Craft> {
    (0..8 * u16::try_from(FLOWS_MAX).unwrap())
        .map(|number| {
            let [high, low] = number.to_be_bytes();
            let source = format!("10.1.{}.{}:5000", 16 + high, low);
            let mut syn = Craft::new(source.parse().unwrap(), "10.2.0.1:443".parse().unwrap());
            syn.flags = TcpFlags::SYN;
            syn
        })
        .collect()
}

#[test]
fn e112_a_flow_of_which_half_a_hello_is_held_is_not_forgotten_under_pressure() {
    let said = hello(INSPECTED);
    // Held, and taken over early since.
    for patience in [0, 300] {
        let mut run = Run::with(Way::Outbound, MODERN, &small(strict()));
        run.connect();
        let data = run.data(&said.bytes);
        run.send(&data.part(0, 90));
        run.wait(Duration::from_millis(patience));
        run.mute = true;
        run.send_all(&flood());
        run.mute = false;
        run.send(&data.part(90, usize::MAX));
        run.wait(Duration::from_millis(200));
        assert!(run.count(Counter::FlowsEvicted) > 100, "there was pressure");
        assert_eq!(run.judge(&[&said]), Ok(Outcome::Inspected), "{patience} ms");
    }
}

#[test]
fn e112_a_handshake_forgotten_under_pressure_is_blocked_or_logged_as_passed_unseen() {
    let said = hello(INSPECTED);
    for (settings, code) in [
        (strict(), DecisionCode::BlockIrregularHandshake),
        (Settings::default(), DecisionCode::BypassIrregularHandshake),
    ] {
        let mut run = Run::with(Way::Outbound, MODERN, &small(settings));
        run.send(&run.syn());
        run.mute = true;
        run.send_all(&flood());
        run.mute = false;
        run.send(&run.ack());
        run.send(&run.data(&said.bytes));
        assert!(run.count(Counter::FlowsEvicted) > 100, "there was pressure");
        assert_eq!(run.count(Counter::IrregularMidStream), 1);
        let mine = |event: &&sluice_telemetry::FlowRecord| event.client == run.client.into();
        let logged: Vec<_> = run.world.out.events.iter().filter(mine).collect();
        assert_eq!(logged.len(), 1);
        assert_eq!(logged[0].code, code);
        let passed = !run.receiver.delivered.is_empty();
        assert_eq!(passed, code == DecisionCode::BypassIrregularHandshake);
    }
}

/// The hello that passed died on its way, and behind a flood another version comes.
#[test]
fn e112_what_was_read_of_a_flow_that_passes_is_not_replaced_under_pressure() {
    let (bank, good) = (hello(EXCEPTED), hello(INSPECTED));
    let mut run = Run::with(Way::Outbound, MODERN, &small(strict()));
    run.connect();
    let mut short = run.data(&bank.bytes);
    short.ttl = 4;
    run.send(&short);
    run.mute = true;
    run.send_all(&flood());
    run.mute = false;
    run.send(&run.data(&good.bytes));
    assert!(run.count(Counter::FlowsEvicted) > 100, "there was pressure");
    assert!(run.receiver.delivered.is_empty());
    // Watched handshakes make room before a flow that passes does.
    assert_eq!(run.world.event().code, DecisionCode::BypassDomainException);
    assert_eq!(run.count(Counter::HeldContradicted), 1);
}

#[test]
fn e112_an_inspected_session_is_never_forgotten_under_pressure() {
    let world = inspected_session_under(&small(strict()), |honest, _| {
        let half = honest.payload.len() / 2;
        [
            vec![honest.part(0, half)],
            flood(),
            vec![honest.part(half, usize::MAX)],
        ]
        .concat()
        .iter()
        .map(Craft::frame)
        .collect()
    });
    assert!(
        world.count(Counter::FlowsEvicted) > 100,
        "there was pressure"
    );
    assert_eq!(world.event().code, DecisionCode::InspectedClient);
    assert_eq!(
        world.origin.heard.len() as u64,
        world.event().bytes_to_origin
    );
    assert_eq!(world.origin.heard.len(), 600);
}
