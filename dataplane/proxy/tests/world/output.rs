//! Where a worker's output goes: vectors.

use std::collections::{BTreeMap, VecDeque};

use sluice_packet::{SegmentId, Side, TestBuf};
use sluice_proxy::{Effects, Finishing, ForgeJob, Output, WriteUnfinished};
use sluice_telemetry::{Counter, DropReason, FlowRecord, SystemEvent};

#[derive(Default)]
pub struct Out {
    pub frames: VecDeque<(Side, Vec<u8>)>,
    pub events: Vec<FlowRecord>,
    pub system: Vec<SystemEvent>,
    pub jobs: VecDeque<ForgeJob>,
    pub discarded: Vec<DropReason>,
    pub no_buffers: bool,
    /// The ports fill in checksums.
    pub ports_finish: bool,
    counters: BTreeMap<usize, u64>,
}

impl Out {
    pub fn count_of(&self, counter: Counter) -> u64 {
        self.counters.get(&counter.index()).copied().unwrap_or(0)
    }
}

impl Effects for Out {
    fn emit(
        &mut self,
        _segment: SegmentId,
        to: Side,
        len: usize,
        write: &mut dyn FnMut(&mut [u8]) -> usize,
    ) -> bool {
        if self.no_buffers {
            return false;
        }
        let mut frame = vec![0; len];
        let written = write(&mut frame);
        assert_eq!(written, len, "the length asked for is the length written");
        self.frames.push_back((to, frame));
        true
    }

    fn finishing(&self, _segment: SegmentId, _to: Side) -> Finishing {
        Finishing {
            checksums: self.ports_finish,
        }
    }

    fn emit_unfinished(
        &mut self,
        segment: SegmentId,
        to: Side,
        len: usize,
        write: &mut WriteUnfinished<'_>,
    ) -> bool {
        assert!(self.ports_finish, "nobody said that they do");
        self.emit(segment, to, len, &mut |frame| {
            let (written, left) = write(frame).expect("it fits");
            left.finish(frame);
            written
        })
    }

    fn event(&mut self, record: FlowRecord) {
        self.events.push(record);
    }

    fn system(&mut self, event: SystemEvent) {
        self.system.push(event);
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

impl Output<TestBuf> for Out {
    fn forward(&mut self, _segment: SegmentId, to: Side, packet: TestBuf) {
        self.frames.push_back((to, packet.0));
    }

    fn discard(&mut self, _packet: TestBuf, reason: DropReason) {
        self.discarded.push(reason);
        self.count(Counter::Drop(reason), 1);
    }
}
