//! A burst of packets: parsed and looked up together, so that their cache misses overlap, then worked off in the order in
//! which they came. Adjacent segments of one end of a session are handed to its connection together: receive offload in
//! software, after which every segment is still there as it came.

use sluice_flow::{FlowHash, Packet};
use sluice_packet::{Frame, PacketBuf, SegmentId, Side, TcpFrame, TcpSegment, parse};
use sluice_telemetry::{Counter, DropReason};
use smallvec::SmallVec;

use crate::Now;
use crate::flow::{Flow, State};
use crate::intake::Frames;
use crate::limits::BURST_PACKETS_MAX;
use crate::output::Output;
use crate::worker::{Worker, touch};

/// A packet that was parsed and whose flow, if it is TCP, was hashed.
pub(crate) struct Arrival<B> {
    /// Until it is worked off.
    packet: Option<B>,
    frame: Frame,
    hash: Option<FlowHash>,
}

impl<B> Arrival<B> {
    fn tcp(&self) -> Option<&TcpFrame> {
        match &self.frame {
            Frame::Tcp(tcp) => Some(tcp),
            _ => None,
        }
    }

    /// Whether `next` may go on where this one ends: the same end of the same connection sent it, and it opens none.
    fn is_followed_by(&self, next: &Self) -> bool {
        self.hash == next.hash
            && self.tcp().zip(next.tcp()).is_some_and(|(tcp, next)| {
                tcp.source == next.source && tcp.key == next.key && !next.flags.syn()
            })
    }
}

impl<B: PacketBuf> Worker<B> {
    /// Packets from one port, in order. The same as [`Self::on_packet`] for each of them, and cheaper: a lookup reads three
    /// or four cache lines that depend on each other, and those of a whole burst are read side by side.
    pub fn on_burst(
        &mut self,
        segment: SegmentId,
        from: Side,
        packets: impl IntoIterator<Item = B>,
        now: Now,
        out: &mut impl Output<B>,
    ) {
        let mut packets = packets.into_iter();
        // It comes back empty, with its memory.
        let mut burst = core::mem::take(&mut self.burst);
        loop {
            let arrived = packets.by_ref().take(BURST_PACKETS_MAX);
            burst.extend(arrived.map(|packet| self.arrival(segment, packet)));
            if burst.is_empty() {
                break;
            }
            self.table.warm(
                burst.iter().filter_map(|arrival| arrival.hash),
                Flow::warm,
                |flow| flow.warm_behind(&self.wheel),
                |flow| flow.warm_to_leave(&self.wheel),
            );
            let mut rest = burst.as_mut_slice();
            while !rest.is_empty() {
                let (train, behind) = rest.split_at_mut(train_len(rest));
                if train.len() == 1 || !self.on_train(segment, from, train, now, out) {
                    for arrival in train {
                        self.on_arrival(segment, from, arrival, now, out);
                    }
                }
                rest = behind;
            }
            burst.clear();
        }
        self.burst = burst;
    }

    fn arrival(&self, segment: SegmentId, packet: B) -> Arrival<B> {
        let frame = parse(segment, packet.frame());
        let hash = match &frame {
            Frame::Tcp(tcp) => Some(self.table.hash(&tcp.key)),
            _ => None,
        };
        Arrival {
            packet: Some(packet),
            frame,
            hash,
        }
    }

    fn on_arrival(
        &mut self,
        segment: SegmentId,
        from: Side,
        arrival: &mut Arrival<B>,
        now: Now,
        out: &mut impl Output<B>,
    ) {
        let Some(packet) = arrival.packet.take() else {
            return;
        };
        let packet = Packet::Whole(packet);
        let (frame, hash) = (&arrival.frame, arrival.hash);
        self.on_frame(segment, from, packet, frame, hash, now, &mut Frames(out));
    }

    /// Adjacent segments that one end of a connection sent. False, and nothing done, if the connection is not taken over.
    fn on_train(
        &mut self,
        segment: SegmentId,
        from: Side,
        train: &mut [Arrival<B>],
        now: Now,
        out: &mut impl Output<B>,
    ) -> bool {
        let first = train
            .first()
            .and_then(|arrival| Some((arrival.hash?, arrival.tcp()?)));
        let Some((hash, first)) = first else {
            return false;
        };
        let id = self.table.lookup_hashed(hash, &first.key);
        let Some((id, flow)) = id.and_then(|id| Some((id, self.table.get_mut(id)?))) else {
            return false;
        };
        let from_client = flow.place.is_from_client(first);
        let State::Taken(session) = &mut flow.state else {
            return false;
        };
        if from_client != (from == flow.place.client_side) || first.flags.syn() {
            return false;
        }
        for arrival in train.iter_mut() {
            let bad = |packet: &mut B| {
                let tcp = match &arrival.frame {
                    Frame::Tcp(tcp) => Some(tcp),
                    _ => None,
                };
                tcp.is_none_or(|tcp| !tcp.intact(packet))
            };
            if let Some(packet) = arrival.packet.take_if(bad) {
                out.count(Counter::ChecksumErrors, 1);
                out.discard(packet, DropReason::BadChecksum);
            }
        }
        let segments: SmallVec<[TcpSegment<'_>; BURST_PACKETS_MAX]> = train
            .iter()
            .filter_map(|arrival| Some(arrival.tcp()?.segment(arrival.packet.as_ref()?.frame())))
            .collect();
        if segments.is_empty() {
            return true;
        }
        let half = session.half(from_client, now.mono);
        let mut rest = segments.as_slice();
        while !rest.is_empty() {
            half.acknowledge(segment, now.mono, out);
            let taken = half.tcp.on_train(now.mono, rest);
            rest = rest.get(taken..).unwrap_or_default();
        }
        drop(segments);
        for packet in train.iter_mut().filter_map(|arrival| arrival.packet.take()) {
            out.consume(packet);
        }
        flow.charge(&mut self.shared.memory);
        let retention = flow.state.retention();
        touch(id, flow, &mut self.touched);
        if self.table.retention(id) != Some(retention) {
            self.table.retain(id, retention);
        }
        true
    }
}

/// How many of the arrivals, at least one, are of one end of one connection.
fn train_len<B>(arrivals: &[Arrival<B>]) -> usize {
    let pairs = arrivals.iter().zip(arrivals.iter().skip(1));
    1 + pairs
        .take_while(|(arrival, next)| arrival.is_followed_by(next))
        .count()
}
