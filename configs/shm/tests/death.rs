//! F132 with real processes: one end is killed with SIGKILL while it works, again and again, at whatever instruction it
//! happens to be.

#![expect(
    clippy::unwrap_used,
    reason = "a test's helpers stop it where something is not as it should be"
)]

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sluice_shm::limits::EVENT_RING_BYTES_MIN;
use sluice_shm::{EventConsumer, EventProducer, StatsSegment, StatsView};
use sluice_telemetry::Counter;

const ROUNDS: u64 = 40;

/// A record whose content follows from its number.
fn record(number: u64) -> Vec<u8> {
    let length = usize::try_from(number * 37 % 700).unwrap_or(0);
    let mut record = number.to_le_bytes().to_vec();
    record.extend((0..length).map(|at| {
        number
            .wrapping_mul(31)
            .wrapping_add(at as u64)
            .to_le_bytes()[0]
    }));
    record
}

fn number_of(bytes: &[u8]) -> u64 {
    let number = bytes
        .first_chunk()
        .map_or(u64::MAX, |number| u64::from_le_bytes(*number));
    assert_eq!(bytes, record(number), "a record that nobody wrote");
    number
}

/// Runs one of the `child_` functions below in a process of its own, and gives the descriptors it shows.
fn child(role: &str, argument: &str) -> (Other, Vec<OwnedFd>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            role,
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("SHM_DEATH_ARGUMENT", argument)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.stdout.take().unwrap();
    let line = BufReader::new(output)
        .lines()
        .map(Result::unwrap)
        .find_map(|line| {
            line.split_once("descriptors:")
                .map(|(_, rest)| rest.to_owned())
        })
        .unwrap();
    let descriptors = line
        .split_whitespace()
        .map(|fd| open(child.id(), fd))
        .collect();
    (Other(child), descriptors)
}

fn open(pid: u32, fd: &str) -> OwnedFd {
    let path = format!("/proc/{pid}/fd/{fd}");
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap()
        .into()
}

/// A process that does not outlive its test, however that ends.
struct Other(Child);

impl Drop for Other {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn f132_a_producer_killed_while_it_writes_leaves_a_readable_ring_and_statistics() {
    for round in 0..ROUNDS {
        let (producer, descriptors) = child("child_producer", "");
        let [ring, stats]: [OwnedFd; 2] = descriptors.try_into().unwrap();
        let mut consumer = EventConsumer::open(ring).unwrap();
        let stats = StatsView::open(stats).unwrap();
        let mut bytes = Vec::new();
        let mut next = 0;
        let take = |consumer: &mut EventConsumer, next: &mut u64, bytes: &mut Vec<u8>| {
            while consumer.pop(bytes) {
                assert_eq!(number_of(bytes), *next);
                *next += 1;
            }
        };
        while next < 200 + round * 17 {
            take(&mut consumer, &mut next, &mut bytes);
        }
        drop(producer);
        take(&mut consumer, &mut next, &mut bytes);
        let health = consumer.health();
        assert_eq!((health.waiting_bytes, health.resynchronised), (0, 0));
        let core = stats.cores().next().unwrap();
        let sent = core.counter(Counter::EventsSent);
        assert!(
            sent == next || sent + 1 == next,
            "{sent} counted, {next} read"
        );
        if let Some(refusal) = core.refusal() {
            assert_eq!(
                refusal.reason,
                "x".repeat(usize::try_from(refusal.generation % 500).unwrap())
            );
        }
    }
}

#[test]
fn f132_a_consumer_killed_while_it_reads_is_followed_by_another_one() {
    let (mut producer, fd) = EventProducer::create(0, EVENT_RING_BYTES_MIN).unwrap();
    let argument = format!("{} {}", std::process::id(), fd.as_raw_fd());
    let mut written = 0;
    let mut read = 0;
    let mut bytes = Vec::new();
    for _ in 0..ROUNDS {
        let (consumer, _) = child("child_consumer", &argument);
        let until = written + 500;
        while written < until {
            if producer.push(&record(written)).is_ok() {
                written += 1;
            } else {
                std::thread::yield_now();
            }
        }
        drop(consumer);
        let mut successor = EventConsumer::open(fd.try_clone().unwrap()).unwrap();
        while successor.pop(&mut bytes) {
            let number = number_of(&bytes);
            assert!(number >= read, "record {number} again after {read}");
            read = number + 1;
        }
        assert_eq!(successor.health().resynchronised, 0);
        assert!(read <= written);
        read = written;
    }
}

#[test]
#[ignore = "the other process of the test above"]
fn child_producer() {
    let (mut producer, ring) = EventProducer::create(1, EVENT_RING_BYTES_MIN).unwrap();
    let (stats, stats_fd) = StatsSegment::create(&[1], 1, 1).unwrap();
    println!(
        "\ndescriptors:{} {}",
        ring.as_raw_fd(),
        stats_fd.as_raw_fd()
    );
    let core = stats.core(0).unwrap();
    let mut number = 0;
    loop {
        if producer.push(&record(number)).is_ok() {
            number += 1;
            core.add(Counter::EventsSent, 1);
        }
        core.refuse(number, &"x".repeat(usize::try_from(number % 500).unwrap()));
    }
}

#[test]
#[ignore = "the other process of the test above"]
fn child_consumer() {
    let argument = std::env::var("SHM_DEATH_ARGUMENT").unwrap();
    let (pid, fd) = argument.split_once(' ').unwrap();
    let mut consumer = EventConsumer::open(open(pid.parse().unwrap(), fd)).unwrap();
    println!("\ndescriptors:");
    let mut bytes = Vec::new();
    loop {
        if !consumer.pop(&mut bytes) {
            std::thread::park_timeout(Duration::from_micros(50));
        }
    }
}
