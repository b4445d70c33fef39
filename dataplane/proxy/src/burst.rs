//! A burst of packets: parsed and looked up together, so that their cache misses overlap, then worked off one by one in
//! the order in which they came.

use sluice_flow::{FlowHash, Packet};
use sluice_packet::{Frame, PacketBuf, SegmentId, Side, parse};

use crate::Now;
use crate::flow::Flow;
use crate::intake::Frames;
use crate::limits::BURST_PACKETS_MAX;
use crate::output::Output;
use crate::worker::Worker;

/// A packet that was parsed and whose flow, if it is TCP, was hashed.
pub(crate) struct Arrival<B> {
    packet: B,
    frame: Frame,
    hash: Option<FlowHash>,
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
            );
            for Arrival {
                packet,
                frame,
                hash,
            } in burst.drain(..)
            {
                let packet = Packet::Whole(packet);
                self.on_frame(segment, from, packet, &frame, hash, now, &mut Frames(out));
            }
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
            packet,
            frame,
            hash,
        }
    }
}
