//! From frames of the wire to packets of flows: fragments are put together first, and errors find the flow they are about.

use sluice_flow::{FlowId, Packet, Reassembled, Unreassembled};
use sluice_packet::{FragmentFrame, Frame, IcmpError, Opaque, PacketBuf, SegmentId, Side, parse};
use sluice_telemetry::{Counter, DropReason, FlowRecord, SystemEvent};

use crate::Now;
use crate::flow::State;
use crate::limits::{FRAME_BYTES_ALWAYS, REASSEMBLIES_PER_PACKET_MAX};
use crate::output::{Effects, Finishing, ForgeJob, Output, WriteUnfinished};
use crate::worker::{Worker, forward, touch};

impl<B: PacketBuf> Worker<B> {
    /// A datagram that another core put together from fragments, of a flow that this core owns, or itself a fragment of a
    /// datagram that is put together here.
    pub fn on_reassembled(
        &mut self,
        segment: SegmentId,
        from: Side,
        packet: Packet<B>,
        now: Now,
        out: &mut impl Output<B>,
    ) {
        let frame = parse(segment, packet.frame());
        self.on_frame(segment, from, packet, &frame, now, &mut Frames(out));
    }

    /// A part of a datagram is held until the rest is there: what one piece seems to say, the whole may not.
    pub(crate) fn on_fragment<O: Output<B>>(
        &mut self,
        segment: SegmentId,
        from: Side,
        (packet, fragment): (Packet<B>, &FragmentFrame),
        now: Now,
        out: &mut Frames<'_, O>,
    ) {
        if self.table.is_empty() && !self.watches() {
            forward(segment, from, packet, out);
            return;
        }
        let (mut packet, mut fragment) = (packet, *fragment);
        loop {
            let Some(whole) = self.reassemble(from, packet, &fragment, now, out) else {
                return;
            };
            let frame = parse(segment, whole.frame());
            match frame {
                // Fragments of fragments of fragments: nobody honest does that.
                Frame::Fragment(_) if whole.reassemblies() >= REASSEMBLIES_PER_PACKET_MAX => {
                    out.discard(whole, DropReason::FragmentMalformed);
                    return;
                }
                Frame::Fragment(_) => {}
                _ => out.count(Counter::DatagramsReassembled, 1),
            }
            // Fragments within a tunnel meet on one core too, however each of them came there.
            let Some(mine) = out.0.reassembled(segment, from, whole) else {
                return;
            };
            let Frame::Fragment(within) = frame else {
                self.on_frame(segment, from, mine, &frame, now, out);
                return;
            };
            (packet, fragment) = (mine, within);
        }
    }

    fn reassemble<O: Output<B>>(
        &mut self,
        from: Side,
        packet: Packet<B>,
        fragment: &FragmentFrame,
        now: Now,
        out: &mut Frames<'_, O>,
    ) -> Option<Packet<B>> {
        let mut give_back = |frame, why| out.0.discard(frame, drop_reason(why));
        self.fragments
            .offer(packet, fragment, from, now.mono, &mut give_back)
    }

    /// Gives up what did not get whole in time. True if there is more.
    pub(crate) fn expire_fragments<O: Output<B>>(
        &mut self,
        now: Now,
        out: &mut Frames<'_, O>,
    ) -> bool {
        let mut give_back = |frame, why| out.0.discard(frame, drop_reason(why));
        self.fragments.expire(now.mono, &mut give_back)
    }

    /// An error about a segment that a session sent is the session's; any other goes on to whom it is for.
    pub(crate) fn on_icmp_error<O: Output<B>>(
        &mut self,
        from: Side,
        (packet, error): (Packet<B>, &IcmpError),
        now: Now,
        out: &mut Frames<'_, O>,
    ) {
        let segment = error.key.segment();
        let id = self.table.lookup(&error.key);
        // A flow that only passes is not asked for: its packets go on as they did.
        let taken = |id: &FlowId| {
            let flow = self.table.get(*id);
            flow.is_some_and(|flow| matches!(flow.state, State::Taken(_)))
        };
        let id = id.filter(taken);
        let flow = id.and_then(|id| self.table.get_mut(id).map(|flow| (id, flow)));
        let Some((id, flow)) = flow else {
            forward(segment, from, packet, out);
            return;
        };
        let State::Taken(session) = &mut flow.state else {
            forward(segment, from, packet, out);
            return;
        };
        // What the client sent was sent on toward the origin, and only from there can come what is wrong about it.
        let about_client = error.source == flow.identity.client();
        if about_client == (from == flow.place.client_side) {
            out.discard(packet, DropReason::IrregularSegment);
            return;
        }
        if !error.checksum_ok(packet.frame()) {
            out.count(Counter::ChecksumErrors, 1);
            out.discard(packet, DropReason::BadChecksum);
            return;
        }
        if session.on_icmp(error, !about_client, now.mono) {
            out.count(Counter::IcmpErrorsTaken, 1);
            touch(id, flow, &mut self.touched);
        } else {
            out.count(Counter::IcmpErrorsIgnored, 1);
        }
        out.consume(packet);
    }
}

/// The way out for packets of flows, over the way out for frames of the wire: a datagram that was put together leaves as the
/// fragments it came in.
pub(crate) struct Frames<'out, O>(pub(crate) &'out mut O);

impl<O: Effects> Effects for Frames<'_, O> {
    fn emit(
        &mut self,
        segment: SegmentId,
        to: Side,
        len: usize,
        write: &mut dyn FnMut(&mut [u8]) -> usize,
    ) -> bool {
        self.0.emit(segment, to, len, write)
    }

    fn room(&mut self, segment: SegmentId, to: Side) -> usize {
        self.0.room(segment, to)
    }

    fn finishing(&mut self, segment: SegmentId, to: Side) -> Finishing {
        self.0.finishing(segment, to)
    }

    fn emit_unfinished(
        &mut self,
        segment: SegmentId,
        to: Side,
        len: usize,
        write: &mut WriteUnfinished<'_>,
    ) -> bool {
        self.0.emit_unfinished(segment, to, len, write)
    }

    fn event(&mut self, record: FlowRecord) {
        self.0.event(record);
    }

    fn system(&mut self, event: SystemEvent) {
        self.0.system(event);
    }

    fn submit(&mut self, job: ForgeJob) {
        self.0.submit(job);
    }

    fn count(&mut self, counter: Counter, by: u64) {
        self.0.count(counter, by);
    }

    fn gauge(&mut self, counter: Counter, value: u64) {
        self.0.gauge(counter, value);
    }
}

impl<B: PacketBuf, O: Output<B>> Output<Packet<B>> for Frames<'_, O> {
    fn forward(&mut self, segment: SegmentId, to: Side, packet: Packet<B>) {
        match packet {
            Packet::Whole(frame) => self.0.forward(segment, to, frame),
            Packet::Reassembled(parts) if parts.changed && !fits_one_frame(&parts) => {
                // A text whose urgent mark was cleared, in more pieces than one; its fragments still wear the mark.
                for fragment in parts.fragments {
                    self.0.discard(fragment, DropReason::FrameTooLong);
                }
            }
            Packet::Reassembled(parts) if parts.changed => {
                self.0.emit(segment, to, parts.frame.len(), &mut |buffer| {
                    buffer.copy_from_slice(&parts.frame);
                    parts.frame.len()
                });
                for fragment in parts.fragments {
                    self.0.consume(fragment);
                }
            }
            Packet::Reassembled(parts) => {
                // The whole was counted as one frame.
                let bytes: usize = parts.fragments.iter().map(|part| part.frame().len()).sum();
                let more = parts.fragments.len().saturating_sub(1);
                let longer = bytes.saturating_sub(parts.frame.len());
                self.0.count(Counter::ForwardedPackets, more as u64);
                self.0.count(Counter::ForwardedBytes, longer as u64);
                for fragment in parts.fragments {
                    self.0.forward(segment, to, fragment);
                }
            }
        }
    }

    fn discard(&mut self, packet: Packet<B>, reason: DropReason) {
        packet.each(&mut |frame| self.0.discard(frame, reason));
    }

    fn consume(&mut self, packet: Packet<B>) {
        packet.each(&mut |frame| self.0.consume(frame));
    }
}

/// Whether the whole is no longer than the longest of its fragments, or than what every IPv4 link carries.
fn fits_one_frame<B: PacketBuf>(parts: &Reassembled<B>) -> bool {
    let longest = parts.fragments.iter().map(|part| part.frame().len()).max();
    parts.frame.len() <= longest.unwrap_or(0).max(FRAME_BYTES_ALWAYS)
}

/// Where a frame that is not looked into is counted.
pub(crate) const fn opaque_counter(why: Opaque) -> Counter {
    match why {
        Opaque::Truncated => Counter::OpaqueTruncated,
        Opaque::Arp => Counter::OpaqueArp,
        Opaque::NotIp => Counter::OpaqueNotIp,
        Opaque::NotTcp => Counter::OpaqueNotTcp,
        Opaque::OtherFragment => Counter::OpaqueOtherFragment,
        Opaque::VlanTooDeep => Counter::OpaqueVlanTooDeep,
        Opaque::BadHeader => Counter::OpaqueBadHeader,
        Opaque::BadAddress => Counter::OpaqueBadAddress,
        Opaque::SourceRoute => Counter::OpaqueSourceRoute,
        Opaque::Ipv6Extension => Counter::OpaqueIpv6Extension,
        Opaque::Ipv6ChainTooLong => Counter::OpaqueIpv6ChainTooLong,
        Opaque::Authenticated => Counter::OpaqueAuthenticated,
        Opaque::Encrypted => Counter::OpaqueEncrypted,
        Opaque::GreChecksum => Counter::OpaqueGreChecksum,
        Opaque::GreRouting => Counter::OpaqueGreRouting,
        Opaque::GreSequence => Counter::OpaqueGreSequence,
        Opaque::GreVersion => Counter::OpaqueGreVersion,
        Opaque::GrePayload => Counter::OpaqueGrePayload,
        Opaque::SecondTunnel => Counter::OpaqueSecondTunnel,
        Opaque::Gtp => Counter::OpaqueGtp,
    }
}

const fn drop_reason(why: Unreassembled) -> DropReason {
    match why {
        Unreassembled::Overlap => DropReason::FragmentOverlap,
        Unreassembled::Duplicate => DropReason::FragmentDuplicate,
        Unreassembled::Malformed => DropReason::FragmentMalformed,
        Unreassembled::TooMany => DropReason::FragmentTooMany,
        Unreassembled::TimedOut => DropReason::FragmentTimeout,
        Unreassembled::Full => DropReason::FragmentTableFull,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f6_a_frame_that_is_not_looked_into_is_counted_under_its_reason() {
        for why in Opaque::ALL {
            let counter = opaque_counter(*why);
            assert_eq!(counter.name(), format!("uninspected-{}", why.name()));
            assert_eq!(counter.description(), why.description());
        }
    }
}
