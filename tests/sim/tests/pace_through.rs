//! Rows P93, P98 and G11 through the appliance: no reply waits for a timer, and what it costs in time to be in the middle.

#![expect(
    clippy::unwrap_used,
    reason = "a test program: helpers outside of test functions fail like them"
)]

use core::time::Duration;
use std::sync::LazyLock;

use sluice_packet::{Instant, PathTemplate, SeqNum, VlanStack};
use sluice_sim::{
    Appliance, AppliancePlan, Application, ApplicationPlan, Endpoint, Engine, Expected,
    Impairments, Independent, Network, ORIGIN_NAME, Outcome, Pace, Preface, Random, Simulation,
    Site, Start, TlsEnd,
};
use sluice_tcp::{Config, CongestionAlgorithm, Opening};

const START: Instant = Instant::from_secs(1);
const LIMIT: Duration = Duration::from_secs(3_600);

static SITE: LazyLock<Site> = LazyLock::new(|| Site::new().unwrap());

fn path() -> PathTemplate {
    PathTemplate::new(
        [2, 0, 0, 0, 0, 1],
        [2, 0, 0, 0, 0, 2],
        VlanStack::UNTAGGED,
        "10.1.0.1:40000".parse().unwrap(),
        "10.1.0.2:443".parse().unwrap(),
    )
}

fn opening() -> Opening {
    Opening {
        iss: SeqNum(77),
        path_mss: 1_460,
        mss_default: 536,
        window_scale: Some(7),
        sack: true,
        ecn: false,
        timestamps: Some(5),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Inspected,
    Spliced,
    Bypassed,
}

fn client_plan(kind: Kind, sends_bytes: u64, expects_bytes: u64, pace: Pace) -> ApplicationPlan {
    ApplicationPlan {
        sends: 0,
        sends_bytes,
        expects: 1,
        expects_bytes,
        reads: None,
        pace,
        piece_bytes_max: 16_384,
        finishes_last: false,
        says_first: match kind {
            Kind::Inspected => Preface::None,
            Kind::Spliced => Preface::HaltingHello,
            Kind::Bypassed => Preface::Hello,
        },
        hears_first: Preface::None,
    }
}

fn applications(kind: Kind, client: ApplicationPlan, random: &mut Random) -> [Application; 2] {
    let server = ApplicationPlan {
        finishes_last: true,
        ..client.opposite()
    };
    if kind != Kind::Inspected {
        return [
            Application::new(client, random.branch()),
            Application::new(server, random.branch()),
        ];
    }
    let tls = [
        TlsEnd::client(SITE.client(false), ORIGIN_NAME).unwrap(),
        TlsEnd::server(SITE.server(false)).unwrap(),
    ];
    let [client_tls, server_tls] = tls;
    [
        Application::over_tls(client, random.branch(), client_tls),
        Application::over_tls(server, random.branch(), server_tls),
    ]
}

/// One end: the engine, or the independent TCP.
fn end(
    independent: bool,
    opens: bool,
    config: Config,
    application: Application,
) -> Box<dyn Endpoint> {
    let path = if opens { path() } else { path().reversed() };
    if independent {
        let buffer = config.recv_buffer_bytes_max;
        return Box::new(Independent::new(
            opens,
            buffer,
            1_500,
            path,
            application,
            9,
            START,
        ));
    }
    let start = if opens {
        Start::Connect(opening())
    } else {
        Start::Listen(opening())
    };
    Box::new(Engine::new(start, config, path, application, START))
}

fn appliance(links: [Impairments; 2], random: &mut Random) -> Appliance {
    let plan = AppliancePlan {
        client: path().source(),
        server: path().destination(),
        expected: Expected::MayPass,
        client_behind_b: false,
        mtus: [1_500; 2],
        helper: Duration::from_millis(2),
        no_buffer_per_mille: 0,
        flows_max: 64,
    };
    let links = links.map(|link| Network::new(link, random.branch()));
    Appliance::new(plan, &SITE, links, random, START).unwrap()
}

/// `turns` requests and replies, each written in two pieces; the longest that a reply took.
fn longest_turn(kind: Kind, turns: u64, request: u64, reply: u64, independent: bool) -> Duration {
    let random = &mut Random::new(request ^ reply);
    let pace = Pace::Requests { request, reply };
    let mut plan = client_plan(kind, turns * request, turns * reply, pace);
    plan.piece_bytes_max = request.max(reply) / 2 + 1;
    let [client, server] = applications(kind, plan, random);
    let left = end(false, true, Config::default(), client);
    let config = Config {
        recv_buffer_bytes_max: 65_535,
        ..Config::default()
    };
    let right = end(independent, false, config, server);
    let clean = Impairments::clean(Duration::from_millis(10));
    let appliance = appliance([clean.clone(), clean], random);
    let mut simulation = Simulation::new(left, right, appliance, START, LIMIT);
    simulation.run().unwrap();
    simulation.left.application().longest_turn()
}

#[test]
fn g11_p93_no_reply_through_the_appliance_waits_for_a_timer() {
    let round_trip = Duration::from_millis(40);
    for kind in [Kind::Inspected, Kind::Spliced, Kind::Bypassed] {
        for (request, reply) in [
            (1, 1),
            (300, 800),
            (1_448, 1_448),
            (1_500, 9_000),
            (700, 11_000),
            (2_896, 2_897),
        ] {
            for independent in [false, true] {
                let longest = longest_turn(kind, 30, request, reply, independent);
                // A delayed acknowledgement or a coalescing sender would add its 40 ms.
                assert!(
                    longest >= round_trip && longest < round_trip + Duration::from_millis(10),
                    "{kind:?}, {request} for {reply}, independent {independent}: {longest:?}"
                );
            }
        }
    }
}

/// Where the loss is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lossy {
    Before,
    Behind,
}

const BULK_BYTES: u64 = 1_000_000;
const BULK_RUNS: u64 = 3;

/// Virtual milliseconds for 1 MB from the client through the appliance, 20 ms round trip on either side, 10 MB/s.
fn bulk(kind: Kind, lossy: Lossy, loss_per_mille: u64, buffer: usize, independent: bool) -> u128 {
    let mut total = Duration::ZERO;
    for seed in 0..BULK_RUNS {
        total += bulk_once(seed, kind, lossy, loss_per_mille, buffer, independent).transferred;
    }
    total.as_millis() / u128::from(BULK_RUNS)
}

fn bulk_once(
    seed: u64,
    kind: Kind,
    lossy: Lossy,
    loss_per_mille: u64,
    buffer: usize,
    independent: bool,
) -> Outcome {
    let random = &mut Random::new(seed);
    let plan = client_plan(kind, BULK_BYTES, 0, Pace::Free);
    let [client, server] = applications(kind, plan, random);
    let config = Config {
        recv_buffer_bytes_max: buffer,
        send_buffer_bytes_max: buffer,
        congestion: CongestionAlgorithm::Cubic,
        ..Config::default()
    };
    let link = |loss_per_mille| Impairments {
        loss_per_mille,
        rate: Some(10_000_000),
        queue_frames: 256,
        ..Impairments::clean(Duration::from_millis(10))
    };
    let links = match lossy {
        Lossy::Before => [link(loss_per_mille), link(0)],
        Lossy::Behind => [link(0), link(loss_per_mille)],
    };
    let left = end(independent, true, config, client);
    let right = end(independent, false, config, server);
    let appliance = appliance(links, random);
    Simulation::new(left, right, appliance, START, LIMIT)
        .run()
        .unwrap()
}

#[test]
fn p98_throughput_through_the_appliance_by_buffer_and_loss() {
    let mut table = String::from(
        "virtual ms for 1 MB through two halves, 20 ms round trip on either side, 10 MB/s, 400 ms pause included\n",
    );
    for (name, lossy, independent) in [
        ("engine, loss before", Lossy::Before, false),
        ("engine, loss behind", Lossy::Behind, false),
        ("smoltcp, loss before", Lossy::Before, true),
        ("smoltcp, loss behind", Lossy::Behind, true),
    ] {
        for buffer in [16_384, 65_536, 1_048_576] {
            let times: Vec<String> = [0, 1, 10, 30, 100]
                .map(|loss| {
                    let time = bulk(Kind::Spliced, lossy, loss, buffer, independent);
                    format!("{loss:>3}/1000 {time:>6}")
                })
                .into();
            table.push_str(&format!(
                "{name:<20} {:>5} KiB: {}\n",
                buffer / 1_024,
                times.join("  ")
            ));
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn p98_inspection_costs_round_trips_and_not_throughput() {
    for loss in [0, 10] {
        let time = |kind| bulk(kind, Lossy::Before, loss, 1_048_576, false);
        let (inspected, spliced) = (time(Kind::Inspected), time(Kind::Spliced));
        // Both handshakes take a few round trips of 20 ms; the hello of the spliced flow halts for 400 ms.
        assert!(
            inspected < spliced * 3 / 2,
            "{loss}/1000: {inspected} ms inspected, {spliced} ms spliced"
        );
    }
}
