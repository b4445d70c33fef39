//! Inspected transfers over bad links, beside what the kernel alone does over the same.
//!
//! Two links of the client's pass the impairing relay with one seed: one in front of the appliance, one in front of a plain
//! bridge, with CUBIC at both ends as in the appliance. Each transfer goes over both in turn. Which frames of a transfer are
//! lost is not the same on both, for the relay counts frames and no two transfers send the same: where the SYN is among
//! them, either takes a second, and where a segment that is alone, either takes 200 ms. So it is not pairs that are
//! compared but what many transfers took, over several seeds: the geometric mean of the ones with that of the others.
//!
//! `make test` runs a part; the whole matrix takes half an hour, and a part of that is chosen by the environment:
//!
//! ```text
//! cargo nextest run -p sluice-interop --run-ignored only --no-capture full_matrix
//! SLUICE_MATRIX_LINKS='loss=3% corrupt=1%' SLUICE_MATRIX_SIZES='1 1048576' SLUICE_MATRIX_SEEDS=9 SLUICE_MATRIX_TIMES=3 ...
//! ```

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use sluice_interop::{Curl, Lab, Running, until};

use crate::bodies::{fill, sha256};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const LARGE: usize = 50_000_000;
/// What an inspected transfer may take beside the kernel's own.
const RATIO_MAX: f64 = 1.5;
/// A transfer that takes the kernel less than this is mostly setup: one process that waits for its turn is a part of it.
const SHORT: Duration = Duration::from_millis(100);
/// What a short one may take beyond that: the appliance's second handshake of TLS, the way to the origin and a leaf, and two
/// passes of its ports' driver for each flight.
const SETUP_MAX: Duration = Duration::from_millis(60);
/// Transfers of which a mean says something, where a few in a hundred wait a second for a lost SYN.
const MEAN_OF_MIN: usize = 100;
const TRANSFER_SECONDS_MAX: Duration = Duration::from_secs(300);

/// The way that a transfer takes.
#[derive(Clone, Copy)]
enum Way {
    Inspected,
    Kernel,
}

/// Both bad links, for as long as this lives.
struct Links {
    ends: [Running; 2],
}

impl Links {
    fn new(lab: &Lab, spec: &str, seed: u64) -> Self {
        let seed = seed.to_string();
        let words = ["impair", spec, "--seed", &seed];
        let mut ends = [
            lab.start_command(&words).unwrap(),
            lab.start_command(&[&words[..], &["--plain"]].concat())
                .unwrap(),
        ];
        let up = until(Duration::from_secs(5), || {
            let listed = lab.client(&["ip", "-br", "address", "show", "up"]).unwrap();
            ["10.204.1.2", "10.205.1.2"]
                .iter()
                .all(|address| listed.stdout.contains(address))
        });
        let running = ends.iter_mut().all(Running::runs);
        if !(up && running) {
            let said = ends.map(|end| end.stop("TERM").unwrap().stderr);
            panic!("the bad links are not there: {said:?}");
        }
        Self { ends }
    }

    /// What the relays counted, the appliance's first.
    fn end(self) -> [serde_json::Value; 2] {
        self.ends.map(|end| {
            let outcome = end.stop("TERM").unwrap();
            serde_json::from_str(&outcome.stderr).unwrap_or_else(|_| panic!("{outcome:?}"))
        })
    }
}

/// Files to send, and a place for what arrives.
struct Bodies {
    directory: tempfile::TempDir,
}

impl Bodies {
    fn new(lab: &Lab, sizes: &[usize]) -> Self {
        let directory = tempfile::TempDir::with_prefix_in("impaired-", &lab.facts.www_dir).unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(directory.path(), open).unwrap();
        for bytes in sizes {
            fill(&directory.path().join(bytes.to_string()), *bytes);
        }
        Self { directory }
    }

    /// One transfer over its own connection; asserts that it arrives whole and returns what it took.
    fn transfer(&self, lab: &Lab, way: Way, bytes: usize, up: bool) -> Duration {
        let (address, anchor, issuer) = match way {
            Way::Inspected => ("10.204.2.2", &lab.facts.trust_anchor, "Sluice Lab CA"),
            Way::Kernel => ("10.205.2.2", &lab.facts.origin_anchor, Lab::ORIGIN_ISSUER),
        };
        let name = self.directory.path().file_name().unwrap();
        let name = name.to_str().unwrap();
        let original = self.directory.path().join(bytes.to_string());
        let (url, file, argument) = if up {
            let url = format!("https://good.lab.test/upload/{name}");
            (url, original.clone(), "--upload-file")
        } else {
            let url = format!("https://good.lab.test/{name}/{bytes}");
            (url, self.directory.path().join("arrived"), "--output")
        };
        let resolve = format!("good.lab.test:443:{address}");
        let file = file.display().to_string();
        let response = Curl::get(&url)
            .with(&["--http1.1", "--resolve", &resolve, argument, &file])
            .within(TRANSFER_SECONDS_MAX)
            .send(lab, anchor)
            .unwrap();
        assert_eq!(response.exit, 0, "{bytes} bytes, up {up}: {response:?}");
        assert_eq!(response.issuer, issuer);
        let arrived = if up {
            lab.facts.upload_dir.join(name)
        } else {
            self.directory.path().join("arrived")
        };
        assert_eq!(
            sha256(&arrived),
            sha256(&original),
            "{bytes} bytes, up {up}"
        );
        remove(&arrived);
        response.took
    }
}

fn remove(file: &Path) {
    std::fs::remove_file(file).unwrap();
}

/// What transfers of one size and direction took.
struct Cell {
    bytes: usize,
    up: bool,
    inspected: Vec<Duration>,
    kernel: Vec<Duration>,
}

impl Cell {
    /// A line of figures, and whether they keep the bound.
    fn judge(&self, spec: &str) -> (String, bool) {
        let times = [&self.inspected, &self.kernel];
        let [inspected, kernel] = times.map(|times| middle(times));
        let medians = times.map(|times| median(times));
        let ratio = inspected.as_secs_f64() / kernel.as_secs_f64();
        let way = if self.up { "up" } else { "down" };
        let line = format!(
            "{spec:<50} {:>9} B {way:<4} {:>3} times: inspected {inspected:>9.1?} kernel {kernel:>9.1?} ratio {ratio:.2} (medians {medians:.1?})",
            self.bytes,
            self.kernel.len(),
        );
        (line, keeps(inspected, kernel))
    }
}

/// The geometric mean. What a transfer takes is a matter of factors: a loss before the window has opened costs several times
/// what one after costs, which makes two heaps between which a median jumps, and a lost SYN costs a second, which a mean is
/// mostly made of.
fn middle(times: &[Duration]) -> Duration {
    let count = f64::from(u32::try_from(times.len()).unwrap());
    let sum: f64 = times.iter().map(|time| time.as_secs_f64().ln()).sum();
    Duration::from_secs_f64((sum / count).exp())
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

/// Whether `inspected` is beside `kernel` as it should be.
fn keeps(inspected: Duration, kernel: Duration) -> bool {
    let setup = if kernel < SHORT {
        SETUP_MAX
    } else {
        Duration::ZERO
    };
    inspected <= kernel.mul_f64(RATIO_MAX) + setup
}

fn mean<'a>(times: impl Iterator<Item = &'a Duration> + Clone) -> Duration {
    let count = u32::try_from(times.clone().count()).unwrap();
    times.sum::<Duration>() / count
}

/// The means over all transfers, the few that wait for a timer included: of one cell they are too few for a mean.
fn judge_together(cells: &[Cell], spec: &str) -> (String, bool) {
    let inspected = mean(cells.iter().flat_map(|cell| &cell.inspected));
    let kernel = mean(cells.iter().flat_map(|cell| &cell.kernel));
    let ratio = inspected.as_secs_f64() / kernel.as_secs_f64();
    let line = format!(
        "{spec:<50} all, means: inspected {inspected:>9.1?} kernel {kernel:>9.1?} ratio {ratio:.2}"
    );
    let count: usize = cells.iter().map(|cell| cell.kernel.len()).sum();
    (line, count < MEAN_OF_MIN || keeps(inspected, kernel))
}

/// Every size both ways over both links, `times` times in turn.
fn run(lab: &Lab, spec: &str, seed: u64, times: usize, cells: &mut [Cell]) {
    let sizes: Vec<usize> = cells.iter().map(|cell| cell.bytes).collect();
    let bodies = Bodies::new(lab, &sizes);
    let links = Links::new(lab, spec, seed);
    for cell in &mut *cells {
        for _ in 0..times {
            let transfer = |way| bodies.transfer(lab, way, cell.bytes, cell.up);
            cell.inspected.push(transfer(Way::Inspected));
            cell.kernel.push(transfer(Way::Kernel));
        }
    }
    for counts in links.end() {
        println!("{counts}");
        for (name, count) in [
            ("loss", "lost"),
            ("reorder=", "held_back"),
            ("duplicate", "doubled"),
            ("corrupt", "corrupted"),
        ] {
            let met =
                counts["out"][count].as_u64().unwrap() + counts["back"][count].as_u64().unwrap();
            assert_eq!(met > 0, spec.contains(name), "{count}: {counts}");
        }
        assert_eq!(counts["out"]["overflowed"], 0, "{counts}");
        assert_eq!(counts["back"]["overflowed"], 0, "{counts}");
    }
}

/// Compares under each link what came of all seeds, each size and direction by itself, and what all of them took together;
/// all are run before the first that is beyond the bound is told.
fn compare_all(links: &[&str], sizes: &[usize], seeds: RangeInclusive<u64>, times: usize) {
    let Some(lab) = Lab::with_appliance().unwrap() else {
        return;
    };
    let mut beyond = Vec::new();
    for spec in links {
        let cell = |&bytes| {
            [false, true].map(|up| Cell {
                bytes,
                up,
                inspected: Vec::new(),
                kernel: Vec::new(),
            })
        };
        let mut cells: Vec<Cell> = sizes.iter().flat_map(cell).collect();
        for seed in seeds.clone() {
            run(&lab, spec, seed, times, &mut cells);
        }
        let mut lines: Vec<(String, bool)> = cells.iter().map(|cell| cell.judge(spec)).collect();
        lines.push(judge_together(&cells, spec));
        for (line, kept) in lines {
            println!("{line}");
            if !kept {
                beyond.push(line);
            }
        }
    }
    assert!(
        beyond.is_empty(),
        "more than {RATIO_MAX} times what the kernel takes, and {SETUP_MAX:?} if that is less than {SHORT:?}:\n{}",
        beyond.join("\n")
    );
}

/// The whole matrix, or the part of it that the environment chooses.
fn compare_chosen(sizes: &[usize], seeds: u64, times: usize) {
    let chosen = |name: &str| std::env::var(name).ok();
    let links = chosen("SLUICE_MATRIX_LINKS");
    let links = links.as_ref().map(|links| links.split(' ').collect());
    let number = |word: &str| word.parse::<usize>().expect("a number");
    let those = chosen("SLUICE_MATRIX_SIZES").map(|sizes| sizes.split(' ').map(number).collect());
    let seeds =
        chosen("SLUICE_MATRIX_SEEDS").map_or(seeds, |seeds| u64::try_from(number(&seeds)).unwrap());
    let times = chosen("SLUICE_MATRIX_TIMES").map_or(times, |times| number(&times));
    compare_all(
        &links.unwrap_or(LINKS.to_vec()),
        &those.unwrap_or(sizes.to_vec()),
        1..=seeds,
        times,
    );
}

const MIXED: &str = "loss=0.5%,reorder=5%,duplicate=1%,corrupt=0.2%,delay=5ms";

#[test]
fn p99_transfers_over_a_lossy_link_arrive_whole_in_the_kernels_time() {
    compare_all(&["loss=1%"], &[1, KIB, 64 * KIB, MIB], 1..=3, 3);
}

const LINKS: [&str; 9] = [
    "none",
    "loss=0.1%",
    "loss=1%",
    "loss=3%",
    "reorder=25%",
    "duplicate=5%",
    "corrupt=1%",
    "delay=20ms",
    MIXED,
];

#[test]
fn p99_transfers_over_every_other_bad_link_arrive_whole_in_the_kernels_time() {
    let links = [
        "none",
        "reorder=25%",
        "duplicate=5%",
        "corrupt=1%",
        "delay=20ms",
    ];
    compare_all(&links, &[1, 64 * KIB, MIB], 1..=1, 5);
}

#[test]
fn p99_transfers_over_a_link_that_does_all_of_it_arrive_whole_in_the_kernels_time() {
    compare_all(&[MIXED], &[1, 64 * KIB], 1..=3, 3);
}

#[test]
fn p99_fifty_megabytes_over_a_good_link_arrive_whole_in_the_kernels_time() {
    compare_all(&["none"], &[LARGE], 1..=1, 3);
}

#[test]
#[ignore = "some minutes: run it by its name"]
fn p99_the_full_matrix_against_the_kernel() {
    compare_chosen(&[1, KIB, 64 * KIB, MIB], 7, 3);
}

#[test]
#[ignore = "some minutes: run it by its name"]
fn p99_the_full_matrix_of_fifty_megabytes_against_the_kernel() {
    compare_chosen(&[LARGE], 4, 3);
}
