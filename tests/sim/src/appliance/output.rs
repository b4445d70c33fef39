//! Where the worker's output goes: queues, and an account of every packet.

use std::collections::{BTreeMap, VecDeque};

use sluice_packet::{SegmentId, Side, TestBuf};
use sluice_proxy::{Effects, ForgeJob, Output};
use sluice_telemetry::{Counter, DropReason, FlowRecord};

use crate::random::Random;

/// How a frame came to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// As it came.
    Passed,
    /// Written by the appliance.
    Made,
}

/// The far side of the worker.
pub(super) struct Exit {
    pub(super) frames: VecDeque<(Side, Vec<u8>, Way)>,
    pub(super) events: Vec<FlowRecord>,
    pub(super) jobs: VecDeque<ForgeJob>,
    counters: BTreeMap<usize, u64>,
    held: usize,
    no_buffer_per_mille: u64,
    random: Random,
}

impl Exit {
    pub(super) fn new(no_buffer_per_mille: u64, random: Random) -> Self {
        Self {
            frames: VecDeque::new(),
            events: Vec::new(),
            jobs: VecDeque::new(),
            counters: BTreeMap::new(),
            held: 0,
            no_buffer_per_mille,
            random,
        }
    }

    /// A packet is handed to the worker.
    pub(super) fn taken_in(&mut self) {
        self.held += 1;
    }

    /// Packets that the worker has not given back.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    pub(super) fn count_of(&self, counter: Counter) -> u64 {
        self.counters.get(&counter.index()).copied().unwrap_or(0)
    }
}

impl Effects for Exit {
    fn emit(
        &mut self,
        _segment: SegmentId,
        to: Side,
        len: usize,
        write: &mut dyn FnMut(&mut [u8]) -> usize,
    ) -> bool {
        if self.random.chance(self.no_buffer_per_mille) {
            return false;
        }
        let mut frame = vec![0; len];
        let written = write(&mut frame);
        frame.truncate(written);
        self.frames.push_back((to, frame, Way::Made));
        true
    }

    fn event(&mut self, record: FlowRecord) {
        self.events.push(record);
    }

    fn submit(&mut self, job: ForgeJob) {
        self.jobs.push_back(job);
    }

    fn count(&mut self, counter: Counter, by: u64) {
        *self.counters.entry(counter.index()).or_default() += by;
    }

    fn gauge(&mut self, counter: Counter, value: u64) {
        self.counters.insert(counter.index(), value);
    }
}

impl Output<TestBuf> for Exit {
    fn forward(&mut self, _segment: SegmentId, to: Side, packet: TestBuf) {
        self.held = self.held.saturating_sub(1);
        self.frames.push_back((to, packet.0, Way::Passed));
    }

    fn discard(&mut self, _packet: TestBuf, reason: DropReason) {
        self.held = self.held.saturating_sub(1);
        self.count(Counter::Drop(reason), 1);
    }

    fn consume(&mut self, _packet: TestBuf) {
        self.held = self.held.saturating_sub(1);
    }
}
