//! E105 and E106: every row of the table, before the decision and after the takeover, in front of every receiver.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use sluice_telemetry::{Counter, Verdict};

use super::craft::Craft;
use super::lab::{
    INSPECTED, Outcome, PKI, Run, Said, Way, cleartext, contradicting_hellos, strict,
};
use super::overlaps::{Order, POSITIONS, pair};
use super::receiver::{MODERN, PROFILES, Profile, Receiver};
use super::table::{At, INSERTIONS, MISPLACED, Row, STALE, STRATEGIES};
use super::world::{App, Settings, World};

/// The honest flow with one part of it written as the row says; then the client sends its first bytes again, twice.
fn attack(row: &Row, mut run: Run, real: &Said, decoy: &Said) -> Run {
    let steps = [
        (At::Syn, run.syn()),
        (At::Ack, run.ack()),
        (At::Data, run.data(&real.bytes)),
    ];
    for (at, honest) in steps {
        let segments = if at == row.at {
            (row.write)(&honest, &decoy.bytes)
        } else {
            vec![honest]
        };
        run.send_all(&segments);
    }
    run.wait(Duration::from_millis(300));
    let again = run.data(&real.bytes);
    for _ in 0..2 {
        run.send(&again);
        run.wait(Duration::from_secs(1));
    }
    run
}

fn versions() -> [(Said, Said); 3] {
    let (good, bank) = contradicting_hellos();
    let plain = cleartext(good.bytes.len());
    [
        (good.clone(), bank.clone()),
        (bank, good.clone()),
        (good, plain),
    ]
}

/// Every row against every receiver: with the settings that bypass what cannot be looked into, which is logged as such; and
/// with those that block it, under which nothing passes unseen.
pub fn before_the_decision(rows: &[Row]) {
    let mut wrong = Vec::new();
    for (real, decoy) in versions() {
        for row in rows {
            for profile in PROFILES {
                let lenient = profile.name == MODERN.name;
                let settings = [(strict(), false), (Settings::default(), true)];
                for (settings, lenient) in settings.into_iter().take(1 + usize::from(lenient)) {
                    let run = Run::with(Way::Outbound, profile, &settings);
                    let run = attack(row, run, &real, &decoy);
                    match run.judge(&[&real, &decoy]) {
                        Ok(Outcome::Unseen(_)) if lenient => {}
                        Ok(Outcome::Unseen(code)) => {
                            wrong.push(format!("{}: {code} in spite of the setting", row.name));
                        }
                        Ok(_) => {}
                        Err(why) => wrong.push(format!(
                            "{} ({}), {:?} for {:?}, at {}: {why}",
                            row.name, row.source, decoy.name, real.name, profile.name
                        )),
                    }
                }
            }
            let strict = Run::with(Way::Inbound, MODERN, &strict());
            let run = attack(row, strict, &real, &decoy);
            match run.judge(&[&real, &decoy]) {
                Ok(Outcome::Bypassed(code) | Outcome::Unseen(code)) => {
                    wrong.push(format!("{}: {code} to a protected server", row.name));
                }
                Ok(_) => {}
                Err(why) => wrong.push(format!("{} to a protected server: {why}", row.name)),
            }
        }
    }
    let [(real, decoy), ..] = versions();
    for row in rows {
        let run = attack(
            row,
            Run::with(Way::Outbound, MODERN, &strict()),
            &real,
            &decoy,
        );
        let outcome = run
            .judge(&[&real, &decoy])
            .map_or("leak", |outcome| outcome.name());
        let counted = Counter::from_name(row.counted).map_or(0, |counter| run.count(counter));
        if outcome != row.before || counted == 0 {
            let all: Vec<_> = Counter::ALL
                .iter()
                .filter(|counter| run.count(**counter) > 0)
                .map(|counter| counter.name())
                .filter(|name| !name.starts_with("forwarded") && !name.starts_with("flows"))
                .collect();
            wrong.push(format!(
                "PIN {}: {outcome}, {all:?}; expected {}, {}",
                row.name, row.before, row.counted
            ));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn e105_insertions_before_the_decision_show_policy_what_the_receiver_gets() {
    before_the_decision(INSERTIONS);
}

#[test]
fn e106_published_strategies_before_the_decision_show_policy_what_the_receiver_gets() {
    before_the_decision(STRATEGIES);
}

const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn request() -> Vec<u8> {
    let mut request = b"GET / HTTP/1.1\r\nHost: www.good.test\r\nX: ".to_vec();
    request.resize(600, b'y');
    request
}

/// An inspected session in which the first record of application data comes as `write` has it, with another version of the
/// bytes to choose from.
fn inspected_session(write: impl Fn(&Craft, &[u8]) -> Vec<Craft> + 'static) -> World {
    inspected_session_under(&strict(), move |honest, decoy| {
        write(honest, decoy).iter().map(Craft::frame).collect()
    })
}

/// An inspected session each of whose client's frames is changed, from the first one on.
pub fn inspected_session_between(
    client: &str,
    server: &str,
    change: impl Fn(&[u8]) -> Vec<u8> + 'static,
) -> World {
    let mut world = session(&strict());
    world.client.aim(client, server);
    world.tamper = Some(Box::new(move |frame| vec![change(&frame)]));
    world.run(Duration::from_secs(1));
    ask(&mut world);
    world.run(Duration::from_secs(200));
    world
}

pub fn inspected_session_under(
    settings: &Settings,
    write: impl Fn(&Craft, &[u8]) -> Vec<Vec<u8>> + 'static,
) -> World {
    let mut world = session(settings);
    world.run(Duration::from_secs(1));
    ask(&mut world);
    let done = Rc::new(Cell::new(false));
    let seen = Rc::clone(&done);
    world.tamper = Some(Box::new(move |frame| {
        let honest = Craft::read(&frame).unwrap();
        if done.get() || honest.payload.is_empty() {
            return vec![frame];
        }
        assert_eq!(honest.payload[0], 23, "a record of application data");
        done.set(true);
        let decoy: Vec<u8> = (0..honest.payload.len()).map(|_| b'!').collect();
        write(&honest, &decoy)
    }));
    // Longer than what is owed to a client that acknowledges nothing is sent again.
    world.run(Duration::from_secs(1_000));
    assert!(seen.get(), "the request came by");
    world
}

/// A client that has nothing to ask yet, and a server.
fn session(settings: &Settings) -> World {
    let origin = PKI.origin_root.leaf(&[INSPECTED]);
    let request = request();
    let client = App::client(&PKI.trusted, INSPECTED, &[], b"", REPLY.len());
    let server = App::server(&origin, &[], request.len(), REPLY);
    World::with(settings, &PKI, client, server)
}

/// The client asks.
fn ask(world: &mut World) {
    let App::TlsClient { request: later, .. } = &mut world.client.app else {
        panic!("a TLS client");
    };
    *later = request();
}

/// What every receiver delivers of the frames that left toward the origin.
fn delivered_of(world: &World, profile: Profile) -> Vec<u8> {
    let mut receiver = Receiver::new(profile);
    receiver.sent = 60_000;
    for frame in &world.wire_to_origin {
        receiver.on_frame(frame);
    }
    receiver.delivered
}

/// How a session ended, and what is wrong with what was delivered of it.
fn judge_session(name: &str, world: &World, wrong: &mut Vec<String>) -> String {
    let request = request();
    let streams: Vec<_> = PROFILES
        .into_iter()
        .map(|profile| delivered_of(world, profile))
        .collect();
    for (stream, profile) in streams.iter().zip(PROFILES) {
        if *stream != streams[0] {
            wrong.push(format!(
                "{}: at {} {} bytes, else {}",
                name,
                profile.name,
                stream.len(),
                streams[0].len()
            ));
        }
    }
    if !request.starts_with(&world.origin.heard) {
        wrong.push(format!("{name}: the origin heard something else"));
    }
    let (event, later) = world.out.events.split_first().unwrap();
    if later
        .iter()
        .any(|event| event.code.verdict() != Verdict::Block)
    {
        wrong.push(format!("{name}: it went on afterwards"));
    }
    let whole = world.origin.heard == request && world.client.heard == REPLY;
    if event.bytes_to_origin != world.origin.heard.len() as u64 {
        wrong.push(format!(
            "{}: {} inspected, {} heard",
            name,
            event.bytes_to_origin,
            world.origin.heard.len()
        ));
    }
    // What is no TCP at all passes at layer 2, and no receiver takes it.
    let broken = |segment: Craft| !(segment.tcp_sum_right && segment.ip_sum_right);
    let read = world
        .wire_to_origin
        .iter()
        .filter_map(|frame| Craft::read(frame));
    if read.into_iter().any(broken) {
        wrong.push(format!("{name}: a wrong checksum left"));
    }
    if whole {
        event.code.name().to_owned()
    } else {
        format!("{} {}", event.code.name(), event.ended.name())
    }
}

fn after_the_takeover(rows: &[Row]) {
    let mut wrong = Vec::new();
    for row in rows.iter().filter(|row| row.at == At::Data) {
        let world = inspected_session(row.write);
        let end = judge_session(row.name, &world, &mut wrong);
        if end != row.after {
            wrong.push(format!("PIN {}: {end}; expected {}", row.name, row.after));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn e105_insertions_after_the_takeover_leave_every_receiver_the_same_stream() {
    after_the_takeover(INSERTIONS);
}

#[test]
fn e106_published_strategies_after_the_takeover_leave_every_receiver_the_same_stream() {
    after_the_takeover(STRATEGIES);
}

#[test]
fn e109_misplaced_data_after_the_takeover_leaves_every_receiver_the_same_stream() {
    after_the_takeover(MISPLACED);
}

#[test]
fn e113_stale_sequence_numbers_after_the_takeover_leave_every_receiver_the_same_stream() {
    after_the_takeover(STALE);
}

#[test]
fn e104_overlapping_segments_after_the_takeover_leave_every_receiver_the_same_stream() {
    let mut wrong = Vec::new();
    let mut ends = BTreeMap::<String, usize>::new();
    for (position, from, to) in POSITIONS {
        for order in Order::ALL {
            let world = inspected_session(move |honest, decoy| {
                pair(honest, &honest.saying(decoy), (from, to), order)
            });
            let end = judge_session(position, &world, &mut wrong);
            *ends.entry(end).or_default() += 1;
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    // A record of which a byte was replaced does not open.
    let names: Vec<_> = ends.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["inspected-client", "inspected-client failed-client"]
    );
    assert_eq!(ends.values().sum::<usize>(), 13 * 6);
}
