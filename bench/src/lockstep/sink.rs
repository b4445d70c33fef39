//! Where a measured worker's output goes.

use sluice_packet::{SegmentId, Side, TestBuf};
use sluice_proxy::{Effects, ForgeJob, Output};
use sluice_telemetry::{Counter, DropReason, FlowRecord};

const BUFFER_BYTES: usize = 2048;

/// Buffers go round, as in a pool; counters are cells, as in the statistics segment; events end here.
#[derive(Default)]
pub(crate) struct Sink {
    /// Buffers to be used again.
    spare: Vec<TestBuf>,
    /// What left, and to which side.
    pub(crate) sent: Vec<(Side, TestBuf)>,
    pub(crate) jobs: Vec<ForgeJob>,
    counters: Vec<u64>,
}

impl Sink {
    /// An empty buffer.
    pub(crate) fn buffer(&mut self) -> TestBuf {
        self.spare
            .pop()
            .unwrap_or_else(|| TestBuf(vec![0; BUFFER_BYTES]))
    }

    /// A buffer to be used again. Brought back to its full length here, where nobody times it.
    pub(crate) fn recycle(&mut self, mut buffer: TestBuf) {
        buffer.0.resize(BUFFER_BYTES, 0);
        self.spare.push(buffer);
    }

    /// Everything that left, to be used again.
    pub(crate) fn recycle_sent(&mut self) {
        let mut sent = core::mem::take(&mut self.sent);
        for (_, buffer) in sent.drain(..) {
            self.recycle(buffer);
        }
        self.sent = sent;
        for buffer in &mut self.spare {
            buffer.0.resize(BUFFER_BYTES, 0);
        }
    }

    /// Memory for buffers is given back.
    pub(crate) fn forget_buffers(&mut self) {
        self.spare = Vec::new();
        self.sent = Vec::new();
    }

    pub(crate) fn count_of(&self, counter: Counter) -> u64 {
        self.counters.get(counter.index()).copied().unwrap_or(0)
    }

    fn cell(&mut self, counter: Counter) -> Option<&mut u64> {
        let index = counter.index();
        if self.counters.len() <= index {
            self.counters.resize(index + 1, 0);
        }
        self.counters.get_mut(index)
    }
}

impl Effects for Sink {
    fn emit(
        &mut self,
        _segment: SegmentId,
        to: Side,
        len: usize,
        write: &mut dyn FnMut(&mut [u8]) -> usize,
    ) -> bool {
        let mut buffer = self.buffer();
        buffer.0.resize(len, 0);
        let written = write(&mut buffer.0);
        buffer.0.truncate(written);
        self.sent.push((to, buffer));
        true
    }

    fn event(&mut self, record: FlowRecord) {
        drop(record);
    }

    fn submit(&mut self, job: ForgeJob) {
        self.jobs.push(job);
    }

    fn count(&mut self, counter: Counter, by: u64) {
        if let Some(cell) = self.cell(counter) {
            *cell += by;
        }
    }

    fn gauge(&mut self, counter: Counter, value: u64) {
        if let Some(cell) = self.cell(counter) {
            *cell = value;
        }
    }
}

impl Output<TestBuf> for Sink {
    fn forward(&mut self, _segment: SegmentId, to: Side, packet: TestBuf) {
        self.sent.push((to, packet));
    }

    fn discard(&mut self, packet: TestBuf, reason: DropReason) {
        self.count(Counter::Drop(reason), 1);
        self.spare.push(packet);
    }

    fn consume(&mut self, packet: TestBuf) {
        self.spare.push(packet);
    }
}
