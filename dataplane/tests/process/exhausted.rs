//! Packet buffers that are used up in the running process: a core that stands still leaves its queue of frames full.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use sluice_shm::StatsView;
use sluice_telemetry::{Counter, DecisionCode, DropReason, FallbackReason, FallbackReasons};

use crate::harness::{Dataplane, Harness, appliance, eventually, pause, segment};
use crate::two_cores::{self, syn};

/// What the least memory holds of packet buffers, in this release.
const POOL_PACKETS: usize = 16_556;
/// Buffers that are to be had: the queue of one core takes 4,096, which leaves less than a tenth, and more than the core that
/// stands still may keep to itself.
const TO_BE_HAD: usize = 4_540;

/// The process with its second core standing still, until this is dropped.
struct Halted(Child);

impl Halted {
    fn second_core(dataplane: &Dataplane) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/lab/labkit/halt.py");
        let pid = dataplane.id();
        let child = Command::new(program)
            .args([&pid.to_string(), "rte-worker-2"])
            .stdin(Stdio::null())
            .spawn()
            .expect("a tracer");
        let halted = Self(child);
        eventually("the second core stands still", || {
            let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("a process");
            threads.flatten().any(|thread| {
                let stat = std::fs::read_to_string(thread.path().join("stat"));
                stat.is_ok_and(|stat| stat.contains("(rte-worker-2) t "))
            })
        });
        halted
    }
}

impl Drop for Halted {
    fn drop(&mut self) {
        // The kernel lets its threads go when it ends.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn used_up_buffers(on_exhaustion: &str, meanwhile: impl FnOnce(&StatsView)) {
    let harness = Harness::new();
    // The port keeps the frames that it gives over and over, each in a buffer.
    let frames: Vec<_> = (0..POOL_PACKETS - TO_BE_HAD).map(syn).collect();
    let received = harness.capture("syns.pcap", &frames);
    let port_a = format!("net_pcap0,rx_pcap={},infinite_rx=1", received.display());
    let appliance = appliance(&segment(&port_a, "net_null0,no-rx=1")).replace(
        "[limits]\n",
        &format!("[limits]\non_exhaustion = \"{on_exhaustion}\"\n"),
    );
    let (mut dataplane, _control, stats) = two_cores::start(&harness, &appliance);
    let candidates = || stats.total(Counter::FlowsCandidate);
    let passed = || stats.total(Counter::Decision(DecisionCode::BypassExhausted));
    eventually("flows begin", || candidates() > 20_000);

    let halted = Halted::second_core(&dataplane);
    let in_use = || stats.total(Counter::MempoolInUse);
    eventually("buffers are used up", || {
        in_use() > (POOL_PACKETS - TO_BE_HAD / 10) as u64
    });
    pause(Duration::from_millis(100));
    // Two cores on one processor may have been short of them before.
    let told = stats.total(Counter::Exhaustions);
    assert!(told > 0);
    meanwhile(&stats);
    assert_eq!(stats.total(Counter::Exhaustions), told, "it is told once");

    drop(halted);
    eventually("fallback is left", || {
        stats.total(Counter::Layer2Fallback) == 0
    });
    let refused = || stats.total(Counter::Drop(DropReason::Exhausted));
    eventually("new flows are watched again", || {
        let (before, passed_before, refused_before) = (candidates(), passed(), refused());
        pause(Duration::from_millis(100));
        candidates() > before && (passed(), refused()) == (passed_before, refused_before)
    });
    dataplane.signal(Signal::TERM);
    assert_eq!(dataplane.exit_status(), 0, "{}", dataplane.errors());
}

#[test]
fn d128_f22_buffers_that_are_used_up_let_new_flows_pass_and_all_recovers() {
    used_up_buffers("bypass", |stats| {
        eventually("new flows pass", || {
            stats.total(Counter::Decision(DecisionCode::BypassExhausted)) > 1_000
        });
        // Lasting, it is layer-2 fallback.
        let mut reasons = FallbackReasons::default();
        reasons.set(FallbackReason::BuffersExhausted, true);
        eventually("layer-2 fallback is entered", || {
            stats.total(Counter::Layer2Fallback) == u64::from(reasons.bits())
        });
        eventually("new flows pass", || {
            stats.total(Counter::Decision(DecisionCode::BypassLayer2Fallback)) > 1_000
        });
        assert_eq!(stats.total(Counter::Drop(DropReason::Exhausted)), 0);
    });
}

#[test]
fn d128_where_the_setting_says_so_new_flows_wait_for_buffers_however_long_it_takes() {
    used_up_buffers("drop", |stats| {
        let dropped = || stats.total(Counter::Drop(DropReason::Exhausted));
        eventually("new flows are dropped", || dropped() > 1_000);
        // Longer than where they pass.
        pause(Duration::from_secs(3));
        let before = dropped();
        eventually("new flows are dropped", || dropped() > before + 1_000);
        assert_eq!(stats.total(Counter::Layer2Fallback), 0);
        for code in [
            DecisionCode::BypassExhausted,
            DecisionCode::BypassLayer2Fallback,
        ] {
            assert_eq!(stats.total(Counter::Decision(code)), 0);
        }
    });
}
