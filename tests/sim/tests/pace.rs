//! How long things take: no reply waits for a timer, and a lossy path is still used.

#![expect(
    clippy::unwrap_used,
    reason = "a test program: helpers outside of test functions fail like them"
)]

use core::time::Duration;

use sluice_packet::{Instant, PathTemplate, SeqNum, VlanStack};
use sluice_sim::{
    Application, ApplicationPlan, Engine, Impairments, Independent, Network, Outcome, Pace,
    Preface, Random, Simulation, Start,
};
use sluice_tcp::{Config, CongestionAlgorithm, Opening};

const START: Instant = Instant::from_secs(1);
const LIMIT: Duration = Duration::from_secs(3_600);

fn path() -> PathTemplate {
    let (left, right) = (
        "10.0.0.1:40000".parse().unwrap(),
        "10.0.0.2:443".parse().unwrap(),
    );
    PathTemplate::new(
        [2, 0, 0, 0, 0, 1],
        [2, 0, 0, 0, 0, 2],
        VlanStack::UNTAGGED,
        left,
        right,
    )
}

fn opening(sack: bool) -> Opening {
    Opening {
        iss: SeqNum(77),
        path_mss: 1_460,
        mss_default: 536,
        window_scale: Some(7),
        sack,
        ecn: false,
        timestamps: Some(5),
    }
}

fn plan(seed: u64, sends_bytes: u64, expects_bytes: u64, pace: Pace) -> ApplicationPlan {
    ApplicationPlan {
        sends: seed,
        sends_bytes,
        expects: 1 - seed,
        expects_bytes,
        reads: None,
        pace,
        piece_bytes_max: 16_384,
        finishes_last: seed == 1,
        says_first: Preface::None,
        hears_first: Preface::None,
    }
}

/// `turns` requests and replies, written in pieces, over a path of 10 ms each way.
fn conversation(turns: u64, request: u64, reply: u64, independent: bool) -> Outcome {
    let random = &mut Random::new(request ^ reply);
    let mut client = plan(
        0,
        turns * request,
        turns * reply,
        Pace::Requests { request, reply },
    );
    let mut server = plan(
        1,
        turns * reply,
        turns * request,
        Pace::Replies { request, reply },
    );
    // A header first, the body after it: what stalls where Nagle meets delayed acknowledgements.
    client.piece_bytes_max = request / 2 + 1;
    server.piece_bytes_max = reply / 2 + 1;
    let (client, server) = (
        Application::new(client, random.branch()),
        Application::new(server, random.branch()),
    );
    let left = Engine::new(
        Start::Connect(opening(true)),
        Config::default(),
        path(),
        client,
        START,
    );
    let network = Network::new(
        Impairments::clean(Duration::from_millis(10)),
        random.branch(),
    );
    let outcome = if independent {
        let right = Independent::new(false, 65_535, 1_500, path().reversed(), server, 9, START);
        Simulation::new(left, right, network, START, LIMIT).run()
    } else {
        let listen = Start::Listen(opening(true));
        let right = Engine::new(listen, Config::default(), path().reversed(), server, START);
        Simulation::new(left, right, network, START, LIMIT).run()
    };
    outcome.unwrap()
}

#[test]
fn p93_no_reply_ever_waits_for_a_timer() {
    for (request, reply) in [
        (1, 1),
        (300, 800),
        (1_448, 1_448),
        (1_500, 9_000),
        (700, 14_000),
        (2_896, 2_897),
    ] {
        for independent in [false, true] {
            let turns = 50;
            let outcome = conversation(turns, request, reply, independent);
            // One round trip to open, one per turn.
            let ideal = Duration::from_millis(20) * (1 + u32::try_from(turns).unwrap());
            assert!(
                outcome.transferred <= ideal + Duration::from_millis(30),
                "{turns} times {request} for {reply}, independent {independent}: {:?} instead of {ideal:?}",
                outcome.transferred
            );
        }
    }
}

/// Virtual milliseconds for 1 MB one way over 20 ms each way, at most 10 MB/s, with `loss_per_mille`.
fn bulk(loss_per_mille: u64, buffer: usize, congestion: CongestionAlgorithm, sack: bool) -> u128 {
    bulk_of(1_000_000, loss_per_mille, buffer, congestion, sack)
}

fn bulk_of(
    bytes: u64,
    loss_per_mille: u64,
    buffer: usize,
    congestion: CongestionAlgorithm,
    sack: bool,
) -> u128 {
    let mut total = Duration::ZERO;
    let runs = 3;
    for seed in 0..runs {
        let random = &mut Random::new(seed);
        let (sender, receiver) = (plan(0, bytes, 0, Pace::Free), plan(1, 0, bytes, Pace::Free));
        let config = Config {
            congestion,
            recv_buffer_bytes_max: buffer,
            send_buffer_bytes_max: buffer,
            ..Config::default()
        };
        let impairments = Impairments {
            loss_per_mille,
            rate: Some(10_000_000),
            queue_frames: 256,
            ..Impairments::clean(Duration::from_millis(20))
        };
        let sender = Application::new(sender, random.branch());
        let receiver = Application::new(receiver, random.branch());
        let left = Engine::new(Start::Connect(opening(sack)), config, path(), sender, START);
        let right = Engine::new(
            Start::Listen(opening(sack)),
            config,
            path().reversed(),
            receiver,
            START,
        );
        let network = Network::new(impairments, random.branch());
        total += Simulation::new(left, right, network, START, LIMIT)
            .run()
            .unwrap()
            .transferred;
    }
    total.as_millis() / u128::from(runs)
}

#[test]
fn p98_throughput_by_buffer_and_loss() {
    use CongestionAlgorithm::{Cubic, NewReno};
    let mut table = String::from("virtual ms for 1 MB, 40 ms round trip, 10 MB/s\n");
    for (name, congestion, sack) in [
        ("cubic", Cubic, true),
        ("newreno", NewReno, true),
        ("no sack", NewReno, false),
    ] {
        for buffer in [16_384, 65_536, 1_048_576] {
            let times: Vec<String> = [0, 1, 10, 30, 100]
                .map(|loss| {
                    format!(
                        "{:>3}/1000 {:>6}",
                        loss,
                        bulk(loss, buffer, congestion, sack)
                    )
                })
                .into();
            table.push_str(&format!(
                "{name:<8} {:>5} KiB: {}\n",
                buffer / 1_024,
                times.join("  ")
            ));
        }
    }
    insta::assert_snapshot!(table);
}

/// Mathis, Semke, Mahdavi, Ott: "The macroscopic behavior of the TCP congestion avoidance algorithm", 1997: under random loss
/// at rate p a sender that halves its window gets MSS / RTT * sqrt(3/2) / sqrt(p) on average. The model counts losses that
/// halve the window; of several in one window only the first does, so that the engine does somewhat better.
#[test]
fn p98_newreno_under_loss_is_about_what_the_model_says() {
    let (mss, round_trip_s, bytes) = (1_448.0, 0.040, 10_000_000);
    for loss_per_mille in [10, 30] {
        let loss = f64::from(u32::try_from(loss_per_mille).unwrap()) / 1_000.0;
        let model = mss / round_trip_s * (1.5_f64 / loss).sqrt();
        let millis = bulk_of(
            bytes,
            loss_per_mille,
            1_048_576,
            CongestionAlgorithm::NewReno,
            true,
        );
        let measured = 1_000.0 * f64::from(u32::try_from(bytes).unwrap())
            / f64::from(u32::try_from(millis).unwrap());
        let ratio = measured / model;
        assert!(
            (0.8..1.7).contains(&ratio),
            "{loss_per_mille}/1000: {measured:.0} B/s, the model says {model:.0}: {ratio:.2}"
        );
    }
}
