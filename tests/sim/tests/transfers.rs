//! Row P99: whatever the network does, both streams arrive whole and both ends close.

#![expect(
    clippy::unwrap_used,
    reason = "a test program: helpers outside of test functions fail like them"
)]

use core::net::SocketAddr;
use core::time::Duration;

use sluice_packet::{PathTemplate, SeqNum, VlanStack};
use sluice_sim::{
    Application, ApplicationPlan, Engine, Failure, Impairments, Independent, Network, Outcome,
    Pace, Preface, Random, Simulation, Start, draw, seeds,
};
use sluice_tcp::{Takeover, TimestampClock};

const LEFT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const RIGHT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
use draw::{LIMIT, START};

fn path(ipv6: bool) -> PathTemplate {
    let (left, right): (SocketAddr, SocketAddr) = if ipv6 {
        (
            "[fd00::1]:40000".parse().unwrap(),
            "[fd00::2]:443".parse().unwrap(),
        )
    } else {
        (
            "10.0.0.1:40000".parse().unwrap(),
            "10.0.0.2:443".parse().unwrap(),
        )
    };
    PathTemplate::new(LEFT_MAC, RIGHT_MAC, VlanStack::UNTAGGED, left, right)
}

/// Two applications that send each other streams.
fn applications(
    random: &mut Random,
    bytes_max: u64,
    slow_per_mille: u64,
) -> (Application, Application) {
    let sizes = [0, 1, 100, 1_460, 20_000, bytes_max / 4, bytes_max];
    let (left_bytes, right_bytes) = (random.pick(&sizes), random.pick(&sizes));
    let left_seed = random.bits();
    let right_seed = random.bits();
    let slow = |random: &mut Random| {
        let most = usize::try_from(random.between(100, 60_000)).unwrap();
        random
            .chance(slow_per_mille)
            .then(|| (most, Duration::from_millis(random.between(1, 80))))
    };
    let left = ApplicationPlan {
        sends: left_seed,
        sends_bytes: left_bytes,
        expects: right_seed,
        expects_bytes: right_bytes,
        reads: slow(random),
        pace: Pace::Free,
        piece_bytes_max: 40_000,
        finishes_last: random.chance(300),
        says_first: Preface::None,
        hears_first: Preface::None,
    };
    let right = ApplicationPlan {
        sends: right_seed,
        sends_bytes: right_bytes,
        expects: left_seed,
        expects_bytes: left_bytes,
        reads: slow(random),
        pace: Pace::Free,
        piece_bytes_max: 40_000,
        finishes_last: !left.finishes_last && random.chance(300),
        says_first: Preface::None,
        hears_first: Preface::None,
    };
    (
        Application::new(left, random.branch()),
        Application::new(right, random.branch()),
    )
}

fn engines_that_open(
    seed: u64,
    impairments: impl Fn(&mut Random) -> Impairments,
    bytes_max: u64,
) -> Result<Outcome, Failure> {
    let random = &mut Random::new(seed);
    let impairments = impairments(random);
    let (left, right) = applications(random, bytes_max, 200);
    let path = path(random.chance(500));
    let (connect, listen) = (draw::opening(random), draw::opening(random));
    let left = Engine::new(
        Start::Connect(connect),
        draw::config(random),
        path,
        left,
        START,
    );
    let right = Engine::new(
        Start::Listen(listen),
        draw::config(random),
        path.reversed(),
        right,
        START,
    );
    Simulation::new(
        left,
        right,
        Network::new(impairments, random.branch()),
        START,
        LIMIT,
    )
    .with_trace(seeds::trace())
    .run()
}

fn engines_that_take_over(seed: u64) -> Result<Outcome, Failure> {
    let random = &mut Random::new(seed);
    let impairments = Impairments::random(random);
    let (left, right) = applications(random, 200_000, 200);
    let path = path(random.chance(500));
    let sequence = |random: &mut Random| SeqNum(u32::try_from(random.below(1 << 32)).unwrap());
    let (left_next, right_next) = (sequence(random), sequence(random));
    let (left_scale, right_scale) = (random.pick(&[0, 3, 7, 14]), random.pick(&[0, 3, 7, 14]));
    let timestamps = random.chance(700);
    let (left_clock, right_clock) = (sequence(random).0, sequence(random).0);
    let clock = |value, echo_recent| {
        timestamps.then_some(TimestampClock {
            value,
            at: START,
            echo_recent,
        })
    };
    let takeover = Takeover {
        send_next: left_next,
        receive_next: right_next,
        send_window: 30_000,
        peer_mss: 1_460,
        send_scale: right_scale,
        receive_scale: left_scale,
        sack: random.chance(800),
        ecn: false,
        timestamps: clock(left_clock, right_clock),
        round_trip: None,
        path_mss: 1_440,
        path_mss_min: sluice_tcp::limits::PATH_MSS_IPV4_BYTES_MIN,
    };
    let opposite = Takeover {
        send_next: right_next,
        receive_next: left_next,
        send_scale: left_scale,
        receive_scale: right_scale,
        timestamps: clock(right_clock, left_clock),
        ..takeover
    };
    let left = Engine::new(
        Start::Takeover(takeover),
        draw::config(random),
        path,
        left,
        START,
    );
    let right = Engine::new(
        Start::Takeover(opposite),
        draw::config(random),
        path.reversed(),
        right,
        START,
    );
    Simulation::new(
        left,
        right,
        Network::new(impairments, random.branch()),
        START,
        LIMIT,
    )
    .with_trace(seeds::trace())
    .run()
}

/// smoltcp 0.14 forgets its retransmission timer when a zero window is acknowledged while something of its own is lost,
/// and sends without end when a window closes on its FIN. So `closes_windows` goes with a network that loses nothing, and
/// elsewhere the engine reads fast and has room.
fn engine_and_independent(
    seed: u64,
    engine_opens: bool,
    closes_windows: bool,
    impairments: impl Fn(&mut Random) -> Impairments,
    bytes_max: u64,
) -> Result<Outcome, Failure> {
    let random = &mut Random::new(seed);
    let impairments = impairments(random);
    let slow_per_mille = if closes_windows { 600 } else { 0 };
    let (left, right) = applications(random, bytes_max, slow_per_mille);
    let path = path(false);
    let buffer = random.pick(&[4_096, 16_384, 65_535, 262_144]);
    let (opening, mut config) = (draw::opening(random), draw::config(random));
    if !closes_windows {
        config.recv_buffer_bytes_max = 1_048_576;
    }
    let socket_seed = random.bits();
    let network = Network::new(impairments, random.branch());
    if engine_opens {
        let left = Engine::new(Start::Connect(opening), config, path, left, START);
        let right = Independent::new(
            false,
            buffer,
            1_500,
            path.reversed(),
            right,
            socket_seed,
            START,
        );
        Simulation::new(left, right, network, START, LIMIT)
            .with_trace(seeds::trace())
            .run()
    } else {
        let left = Independent::new(true, buffer, 1_500, path, left, socket_seed, START);
        let right = Engine::new(
            Start::Listen(opening),
            config,
            path.reversed(),
            right,
            START,
        );
        Simulation::new(left, right, network, START, LIMIT)
            .with_trace(seeds::trace())
            .run()
    }
}

#[test]
fn p99_engines_that_open_deliver_whole_streams_and_close() {
    seeds::run(1_000, |seed| {
        engines_that_open(seed, Impairments::random, 200_000)
    });
}

#[test]
fn p99_engines_that_take_over_deliver_whole_streams_and_close() {
    seeds::run(1_000, engines_that_take_over);
}

#[test]
fn p99_everything_at_its_worst_between_engines() {
    seeds::run(300, |seed| {
        engines_that_open(seed, |_| Impairments::worst(), 60_000)
    });
}

#[test]
fn p99_the_engine_opens_towards_an_independent_tcp() {
    seeds::run(1_000, |seed| {
        engine_and_independent(seed, true, false, Impairments::random, 100_000)
    });
}

#[test]
fn p99_an_independent_tcp_opens_towards_the_engine() {
    seeds::run(1_000, |seed| {
        engine_and_independent(seed, false, false, Impairments::random, 100_000)
    });
}

#[test]
fn p99_everything_at_its_worst_with_an_independent_tcp() {
    seeds::run(300, |seed| {
        engine_and_independent(seed, seed % 2 == 0, false, |_| Impairments::worst(), 40_000)
    });
}

#[test]
fn p92_windows_that_close_and_open_with_an_independent_tcp() {
    let clean =
        |random: &mut Random| Impairments::clean(Duration::from_millis(random.between(1, 100)));
    seeds::run(300, |seed| {
        engine_and_independent(seed, seed % 2 == 0, true, clean, 300_000)
    });
}
