//! The limit of inspected sessions over all cores of a process: its states, what happens past it, and recovery.

mod world;

use std::sync::Arc;
use std::time::Duration;

use sluice_proxy::SessionLoad;
use sluice_telemetry::{Counter, DecisionCode, LoadState, SystemEvent, Verdict};
use world::{APPLIANCE, App, Pki, Settings, World};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n";
const REPLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const SOON: Duration = Duration::from_secs(5);
/// Longer than a session may be idle.
const IDLE: Duration = Duration::from_secs(4_000);
const OUTBOUND: &str = "10.2.0.1:443";

/// A core's worker with one session that waits for the rest of a reply. It shares its load with other such cores.
fn core(pki: &Arc<Pki>, limits: &str, load: &Arc<SessionLoad>) -> World {
    let settings = Settings {
        appliance: format!("{APPLIANCE}[limits]\n{limits}"),
        load: Arc::clone(load),
        ..Settings::default()
    };
    let good = pki.origin_root.leaf(&["good.test"]);
    let client = App::client(&pki.trusted, "good.test", &[], REQUEST, REPLY.len());
    let mut world = World::with(
        &settings,
        pki,
        client,
        App::server(&good, &[], 10_000, REPLY),
    );
    world.run(SOON);
    world
}

/// One more flow on a core, whose end trusts the origin itself: it succeeds when it is not inspected.
fn one_more(world: &mut World, source: &str) {
    let pki = Arc::clone(&world.pki);
    let good = pki.origin_root.leaf(&["good.test"]);
    let client = App::client(&pki.origin_root, "good.test", &[], REQUEST, REPLY.len());
    let origin = App::server(&good, &[], REQUEST.len(), REPLY);
    world.reconnect(source, OUTBOUND, client, origin);
    world.run(SOON);
}

fn told(world: &World) -> Vec<(LoadState, u32)> {
    let events = world.out.system.iter();
    events
        .filter_map(|event| match event {
            SystemEvent::SessionLoad {
                state,
                sessions,
                limit: 3,
                over_limit: Verdict::Bypass,
                ..
            } => Some((*state, *sessions)),
            _ => None,
        })
        .collect()
}

#[test]
fn d127_f28_the_limit_is_the_process_s_and_is_told_in_steps_until_it_recovers() {
    let pki = Arc::new(Pki::new());
    let load = Arc::new(SessionLoad::default());
    // Of three sessions one is a warning, two are critical.
    let limits = "inspected_sessions_max = 3\nsessions_warning_percent = 30\nsessions_critical_percent = 60\n";
    let mut first = core(&pki, limits, &load);
    assert_eq!(told(&first), [(LoadState::Warning, 1)]);
    let mut second = core(&pki, limits, &load);
    assert_eq!(told(&second), [(LoadState::Critical, 2)]);
    let mut third = core(&pki, limits, &load);
    assert_eq!(told(&third), [(LoadState::Reached, 3)]);
    assert_eq!(told(&first).len(), 1, "one core tells");
    assert_eq!(third.count(Counter::FlowsTaken), 1, "each has one");
    assert_eq!(third.worker.load_state(), LoadState::Reached);

    // A core with one session of its own bypasses the next, because the others have theirs.
    one_more(&mut first, "10.1.0.2:40000");
    assert_eq!(first.event().code, DecisionCode::BypassOverLimit);
    assert_eq!(first.client.heard, REPLY, "allowed, and not inspected");
    assert_eq!(told(&first).len(), 1, "no event per session");

    // Two of the sessions end by themselves.
    second.run(IDLE);
    third.run(IDLE);
    assert_eq!(told(&second).last(), Some(&(LoadState::Critical, 2)));
    assert_eq!(told(&third).last(), Some(&(LoadState::Warning, 1)));
    first.run(IDLE);
    assert_eq!(told(&first).last(), Some(&(LoadState::Normal, 0)));
    assert_eq!(load.sessions(), 0);

    first.out.events.clear();
    one_more(&mut first, "10.1.0.3:40000");
    assert!(
        first.client.error.is_some(),
        "inspected again: this client does not trust the forged leaf"
    );
}

#[test]
fn d127_a_limit_that_blocks_says_so_and_a_higher_one_recovers_without_traffic() {
    let pki = Arc::new(Pki::new());
    let load = Arc::new(SessionLoad::default());
    let mut world = core(
        &pki,
        "inspected_sessions_max = 1\nover_limit = \"block\"\n",
        &load,
    );
    let reached = SystemEvent::SessionLoad {
        before: LoadState::Normal,
        state: LoadState::Reached,
        sessions: 1,
        limit: 1,
        over_limit: Verdict::Block,
    };
    assert_eq!(world.out.system, [reached]);
    one_more(&mut world, "10.1.0.2:40000");
    assert_eq!(world.event().code, DecisionCode::BlockOverLimit);
    assert!(world.client.heard.is_empty());

    world.adopt(&Settings::default());
    world.run(SOON);
    assert!(
        matches!(
            world.out.system.last(),
            Some(SystemEvent::SessionLoad {
                before: LoadState::Reached,
                state: LoadState::Normal,
                limit: 20_000,
                ..
            })
        ),
        "{:?}",
        world.out.system
    );
}
