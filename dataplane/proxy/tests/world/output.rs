//! Where a worker's output goes: vectors.

use std::collections::{BTreeMap, VecDeque};

use sluice_flow::Packet;
use sluice_packet::{
    CoreSpread, Frame, PacketBuf, PathTemplate, SegmentId, Side, TcpFlags, TcpSegment, TestBuf,
    Unfinished, emit, parse,
};
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
    /// The ports take nothing.
    pub ports_full: bool,
    /// Frames that wait at most to leave.
    pub places: Option<usize>,
    /// Times that a port was asked whether it takes a frame.
    pub asked: usize,
    /// The ports fill in checksums, and cut.
    pub ports_finish: bool,
    /// Segments that the ports have cut.
    pub cut: u64,
    /// Buffers for segments to be cut; however many are needed if none.
    pub large_buffers: Option<u64>,
    /// Which of several cores this is, and how frames are dealt out to them.
    pub core: Option<(u16, CoreSpread)>,
    /// What was put together here for another core.
    pub handed: VecDeque<(Side, Packet<TestBuf>)>,
    counters: BTreeMap<usize, u64>,
}

impl Out {
    pub fn count_of(&self, counter: Counter) -> u64 {
        self.counters.get(&counter.index()).copied().unwrap_or(0)
    }

    fn places_left(&self) -> usize {
        match self.places {
            _ if self.ports_full => 0,
            Some(places) => places.saturating_sub(self.frames.len()),
            None => usize::MAX,
        }
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
        if self.no_buffers || self.places_left() == 0 {
            return false;
        }
        let mut frame = vec![0; len];
        let written = write(&mut frame);
        assert_eq!(written, len, "the length asked for is the length written");
        self.frames.push_back((to, frame));
        true
    }

    fn room(&mut self, _segment: SegmentId, _to: Side) -> usize {
        self.asked += 1;
        self.places_left()
    }

    fn finishing(&mut self, _segment: SegmentId, _to: Side) -> Finishing {
        Finishing {
            checksums: self.ports_finish,
            cuts: self.ports_finish && self.large_buffers.is_none_or(|most| self.cut < most),
        }
    }

    fn emit_unfinished(
        &mut self,
        _segment: SegmentId,
        to: Side,
        len: usize,
        write: &mut WriteUnfinished<'_>,
    ) -> bool {
        assert!(self.ports_finish, "nobody said that they do");
        if self.no_buffers || self.places_left() == 0 {
            return false;
        }
        let mut frame = vec![0; len];
        let (written, left) = write(&mut frame).expect("it fits");
        assert_eq!(written, len, "the length asked for is the length written");
        if left.cut_bytes == 0 {
            left.finish(&mut frame);
            self.frames.push_back((to, frame));
        } else {
            self.cut += 1;
            assert!(self.large_buffers.is_none_or(|most| self.cut <= most));
            self.frames
                .extend(cut(&frame, left).into_iter().map(|frame| (to, frame)));
        }
        true
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

    fn reassembled(
        &mut self,
        segment: SegmentId,
        from: Side,
        packet: Packet<TestBuf>,
    ) -> Option<Packet<TestBuf>> {
        if let Some((here, spread)) = self.core
            && spread
                .owner(&parse(segment, packet.frame()))
                .is_some_and(|owner| owner != here)
        {
            self.handed.push_back((from, packet));
            return None;
        }
        Some(packet)
    }
}

/// What a port does with a segment that it is to cut.
fn cut(frame: &[u8], left: Unfinished) -> Vec<Vec<u8>> {
    let Frame::Tcp(tcp) = parse(SegmentId(0), frame) else {
        panic!("a frame that is to be cut is TCP");
    };
    let whole = tcp.segment(frame);
    let pieces: Vec<&[u8]> = whole.payload.chunks(usize::from(left.cut_bytes)).collect();
    assert!(pieces.len() > 1, "nothing to cut");
    let mut seq = whole.seq;
    let mut frames = Vec::new();
    for (index, payload) in pieces.iter().enumerate() {
        let mut flags = whole.flags;
        if index > 0 {
            flags = flags.without(TcpFlags::CWR);
        }
        if index + 1 < pieces.len() {
            flags = flags.without(TcpFlags::FIN | TcpFlags::PSH);
        }
        let piece = TcpSegment {
            seq,
            flags,
            payload,
            ..whole
        };
        seq += u32::try_from(payload.len()).expect("small");
        let mut out = vec![0; frame.len()];
        let path = PathTemplate::from_frame(&tcp, frame);
        let written = emit(&mut out, &path, &piece, &[]).expect("it fits");
        out.truncate(written);
        frames.push(out);
    }
    frames
}
