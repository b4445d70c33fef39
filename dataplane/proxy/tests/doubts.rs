//! What is remembered of flows that pass costs a client nothing to make more of: it is charged, and forgotten in time.

mod world;

use sluice_packet::Side;
use sluice_proxy::{MemoryBudget, limits};
use sluice_telemetry::{Counter, DecisionCode, Verdict};
use world::Settings;
use world::script::{ACK, C, NONE, O, ORIGIN, SYN, Script, flows_after};

const HELD_BYTES_MAX: usize = 100_000;
const TEXT: [u8; 1_400] = [b'x'; 1_400];

fn script() -> Script {
    let settings = Settings {
        memory: MemoryBudget {
            held_bytes_max: HELD_BYTES_MAX,
            ..MemoryBudget::default()
        },
        ..Settings::default()
    };
    Script::under(&settings, ORIGIN)
}

fn held(script: &mut Script) -> u64 {
    script.world.worker.gauges(&mut script.world.out);
    script.count(Counter::HeldBytes)
}

/// A connection of that number that passes for not being TLS, and whose origin acknowledges none of what was read.
fn unconfirmed(script: &mut Script, number: usize) {
    let [.., high, low] = number.to_be_bytes();
    script.server = Box::leak(format!("10.2.{}.{low}:443", 100 + high).into_boxed_str());
    script.handshake(C, O);
    script.pass(Side::A, C + 1, O + 1, ACK, &TEXT);
}

#[test]
fn d122_what_was_read_of_flows_that_pass_is_charged_until_it_has_arrived() {
    let mut script = script();
    unconfirmed(&mut script, 0);
    assert_eq!(script.world.event().code.verdict(), Verdict::Bypass);
    let one = held(&mut script);
    assert!(one >= 1_400, "{one} bytes");
    script.pass(Side::B, O + 1, C + 1_000, ACK, b"");
    assert_eq!(held(&mut script), one, "not all of it");
    script.pass(Side::B, O + 1, C + 1_401, ACK, b"");
    assert_eq!(held(&mut script), 0);
    unconfirmed(&mut script, 1);
    assert_eq!(held(&mut script), one);
    let before = flows_after(&mut script, limits::UNCONFIRMED_TIMEOUT);
    assert_eq!(before, 1, "the other one");
    assert_eq!(held(&mut script), 0);
    script.send(Side::A, C + 1_401, O + 1, ACK, &TEXT);
    assert_eq!(script.count(Counter::IrregularMidStream), 1);
}

#[test]
fn d122_flows_that_pass_unacknowledged_leave_room_for_those_that_are_held() {
    let mut script = script();
    let flows = 500;
    for number in 0..flows {
        unconfirmed(&mut script, number);
        let held = held(&mut script);
        assert!(
            held <= HELD_BYTES_MAX as u64,
            "{held} bytes of {number} flows"
        );
        // Most are confirmed, and are not looked for any more.
        if number % 3 > 0 {
            script.pass(Side::B, O + 1, C + 1_401, ACK, b"");
        }
    }
    assert_eq!(script.count(Counter::MemoryRefusals), 0, "all were read");
    assert_eq!(
        script.count(Counter::Decision(DecisionCode::BypassOverLimit)),
        0
    );
    assert!(
        script.count(Counter::FlowsEvicted) > 50,
        "what was read first is forgotten"
    );
    // The last one is still remembered.
    unconfirmed(&mut script, flows);
    script.stop(Side::A, C + 1, O + 1, ACK, b"another text");
    assert_eq!(script.count(Counter::HeldContradicted), 1);
    flows_after(&mut script, limits::UNCONFIRMED_TIMEOUT);
    assert_eq!(held(&mut script), 0);
}

#[test]
fn e113_d122_syns_on_flows_that_pass_take_a_share_of_the_memory_for_a_time() {
    let mut script = script();
    let flows = 500;
    let mut refused = 0;
    for number in 0..flows {
        unconfirmed(&mut script, number);
        script.pass(Side::B, O + 1, C + 1_401, ACK, b"");
        let syn = script.frame(Side::A, C + 1_000_000, NONE, SYN, b"");
        refused += u64::from(script.give(Side::A, syn).is_empty());
    }
    assert!(refused > 0, "there is a bound");
    assert_eq!(script.count(Counter::MemoryRefusals), refused);
    let share = HELD_BYTES_MAX * limits::SUCCESSORS_PERCENT / 100;
    let watched = held(&mut script);
    assert!(
        watched > 0 && watched <= share as u64 + 1_000,
        "{watched} bytes"
    );
    let left = flows_after(&mut script, limits::SUCCESSOR_TIMEOUT);
    assert_eq!(left, flows as u64, "the flows go on");
    assert_eq!(held(&mut script), 0);
}
