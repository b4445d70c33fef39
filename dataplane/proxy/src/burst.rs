//! A burst of packets: parsed and looked for together, so that what one needs comes to the cache while others are worked on;
//! then worked off in the order in which they came. Adjacent segments of one end of a session are handed to its connection
//! together: receive offload in software, after which every segment is still there as it came.

use sluice_flow::{Packet, Sought};
use sluice_packet::{Glance, PacketBuf, SegmentId, Side, TcpHead, TcpSegment, glance, parse};
use sluice_telemetry::{Counter, DropReason};
use smallvec::SmallVec;

use crate::Now;
use crate::ends::Ends;
use crate::flow::{Flow, State};
use crate::intake::Frames;
use crate::limits::{BURST_PACKETS_MAX, FETCH_AHEAD, LOCATE_AHEAD, SOUGHT_TOGETHER};
use crate::output::Output;
use crate::worker::{Worker, on_opaque, touch};

/// A packet that was looked at, and what finds its flow.
pub(crate) struct Arrival<B> {
    /// Until it is worked off.
    packet: Option<B>,
    glance: Glance,
    /// Of the segment, if it is one.
    head: TcpHead,
    /// None where no flow in the table can be its, and none begins with it.
    sought: Option<Sought>,
}

impl<B> Arrival<B> {
    /// A place for one.
    pub(crate) const NONE: Self = Self {
        packet: None,
        glance: Glance::Rare,
        head: TcpHead::NONE,
        sought: None,
    };

    fn tcp(&self) -> Option<&TcpHead> {
        matches!(self.glance, Glance::Tcp).then_some(&self.head)
    }

    /// Whether nothing but passing is expected of it: no flow was looked for, or one was located that only passes.
    fn only_passes(&self) -> bool {
        self.sought.is_none_or(Sought::has_lent)
    }

    /// Whether `next` may go on where this one ends: the same end of the same connection sent it, and it opens none.
    fn is_followed_by(&self, next: &Self) -> bool {
        let may_be = self.sought.zip(next.sought);
        may_be.is_some_and(|(one, other)| one.may_be(other))
            && self.tcp().zip(next.tcp()).is_some_and(|(tcp, next)| {
                tcp.from_lower == next.from_lower && tcp.key == next.key && !next.flags.syn()
            })
    }
}

/// Packets that passed at once, counted together.
#[derive(Default)]
struct Passed {
    packets: u64,
    bytes: u64,
}

impl Passed {
    fn forward<B: PacketBuf>(
        &mut self,
        segment: SegmentId,
        to: Side,
        packet: B,
        out: &mut impl Output<B>,
    ) {
        self.packets += 1;
        self.bytes += packet.frame().len() as u64;
        out.forward(segment, to, packet);
    }
}

impl<B: PacketBuf> Worker<B> {
    /// Packets from one port, in order. The same as [`Self::on_packet`] for each of them, and cheaper: what most packets need
    /// is done first, and what a lookup reads is asked for some packets before it is read.
    pub fn on_burst(
        &mut self,
        segment: SegmentId,
        from: Side,
        packets: impl IntoIterator<Item = B>,
        now: Now,
        out: &mut impl Output<B>,
    ) {
        let mut packets = packets.into_iter();
        // It comes back with its places empty.
        let mut burst = core::mem::take(&mut self.burst);
        let mut passed = Passed::default();
        loop {
            let (mut count, mut strangers) = (0, 0);
            // A place comes first: no packet is taken that has none.
            while let Some(arrival) = burst.get_mut(count)
                && let Some(packet) = packets.next()
            {
                self.look_at(segment, packet, arrival);
                count += 1;
                if count.is_multiple_of(SOUGHT_TOGETHER) {
                    let begin = count - SOUGHT_TOGETHER;
                    self.fetch_places(burst.get(begin..count));
                    if let Some(before) = begin.checked_sub(SOUGHT_TOGETHER) {
                        let before = burst.get_mut(before..begin);
                        strangers += self.locate_all(before.unwrap_or_default());
                    }
                }
            }
            let begin = count - count % SOUGHT_TOGETHER;
            self.fetch_places(burst.get(begin..count));
            let mut located = begin.saturating_sub(SOUGHT_TOGETHER);
            let arrived = burst.get_mut(..count).unwrap_or_default();
            if arrived.is_empty() {
                break;
            }
            // Where all else passes, the last ones are looked for while the first ones are worked off.
            let (before, last_ones) = arrived.split_at_mut(located);
            if before.is_empty() || !before.iter().all(Arrival::only_passes) {
                strangers += self.locate_all(last_ones);
                located = count;
            }
            let leaving = self.table.leaving(strangers);
            leaving.for_each(|flow| flow.fetch_to_leave(&self.wheel));
            if self.table.keeps_any() {
                let places = arrived.iter().filter_map(|arrival| self.place(arrival));
                places.for_each(Flow::reach);
            }
            let (mut fetched, mut at, mut last) = (0, 0, None);
            while let Some(rest) = arrived.get(at..).filter(|rest| !rest.is_empty()) {
                let len = train_len(rest);
                let ahead = (at + len + FETCH_AHEAD).min(count);
                let until = (ahead + LOCATE_AHEAD).min(count);
                if until > located {
                    self.locate_all(arrived.get_mut(located..until).unwrap_or_default());
                    located = until;
                }
                self.fetch_for_packets(arrived.get(fetched..ahead), &mut last);
                fetched = ahead;
                let touched = self.touched.len();
                let train = arrived.get_mut(at..at + len).unwrap_or_default();
                if len == 1 || !self.on_train(from, train, now, out) {
                    for arrival in train {
                        self.on_arrival((segment, from), arrival, now, &mut passed, out);
                    }
                }
                if self.touched.len() > touched && touched < FETCH_AHEAD {
                    self.fetch_first_turns(touched);
                }
                at += len;
            }
        }
        self.burst = burst;
        if passed.packets > 0 {
            out.count(Counter::ForwardedPackets, passed.packets);
            out.count(Counter::ForwardedBytes, passed.bytes);
        }
    }

    #[inline(always)]
    fn look_at(&self, segment: SegmentId, packet: B, arrival: &mut Arrival<B>) {
        arrival.glance = glance(segment, packet.frame(), &mut arrival.head);
        let key = &arrival.head.key;
        let watched = matches!(arrival.glance, Glance::Tcp)
            && (self.ports.contains(key.lower_port()) || self.ports.contains(key.higher_port()));
        arrival.sought = watched.then(|| self.table.seek(key));
        arrival.packet = Some(packet);
    }

    /// What stands where the flow of a packet was located, unless that only passes.
    #[inline(always)]
    fn place(&self, arrival: &Arrival<B>) -> Option<&Flow<Packet<B>>> {
        arrival.sought.and_then(|sought| self.table.at(sought))
    }

    /// Asks for what these packets will read, but of the flow that was `last`.
    #[inline(always)]
    fn fetch_for_packets(
        &self,
        arrived: Option<&[Arrival<B>]>,
        last: &mut Option<*const Flow<Packet<B>>>,
    ) {
        for arrival in arrived.unwrap_or_default() {
            let flow = self.place(arrival);
            let before = core::mem::replace(last, flow.map(core::ptr::from_ref));
            if let Some(flow) = flow
                && *last != before
            {
                flow.fetch_for_packet(arrival.head.from_lower, &self.wheel);
            }
        }
    }

    #[inline(always)]
    fn fetch_places(&self, arrived: Option<&[Arrival<B>]>) {
        let sought = arrived.unwrap_or_default().iter();
        let sought = sought.filter_map(|arrival| arrival.sought);
        sought.for_each(|sought| self.table.fetch_place(sought));
    }

    #[inline(always)]
    fn locate_all(&self, arrived: &mut [Arrival<B>]) -> usize {
        let arrived = arrived.iter_mut();
        arrived.map(|arrival| self.locate(arrival)).sum()
    }

    /// 1 if the packet's flow is looked for and not in the table, else 0.
    #[inline(always)]
    fn locate(&self, arrival: &mut Arrival<B>) -> usize {
        let tells = arrival.head.flags.intersects(Ends::TOLD_BY);
        arrival
            .sought
            .as_mut()
            .map_or(0, |sought| usize::from(!self.table.locate(sought, tells)))
    }

    #[inline]
    fn on_arrival(
        &mut self,
        (segment, from): (SegmentId, Side),
        arrival: &mut Arrival<B>,
        now: Now,
        passed: &mut Passed,
        out: &mut impl Output<B>,
    ) {
        let Some(packet) = arrival.packet.take() else {
            return;
        };
        match (&arrival.glance, arrival.sought) {
            (Glance::Tcp, None) => passed.forward(segment, from.other(), packet, out),
            (Glance::Tcp, Some(sought)) => {
                let head = &arrival.head;
                if let Some(ends) = self.table.brief_mut(sought, &head.key)
                    && ends.pass_at_once(head, &packet, from, now.mono)
                {
                    return passed.forward(segment, from.other(), packet, out);
                }
                let tcp = head.read(packet.frame());
                let (packet, out) = (Packet::Whole(packet), &mut Frames(out));
                match self.table.find(sought, &head.key) {
                    Some(id) => self.on_known(id, from, packet, &tcp, now, out),
                    None => self.on_unknown((from, false), packet, &tcp, now, out),
                }
            }
            (Glance::Other(why), _) => on_opaque(segment, from, (packet, *why), out),
            (Glance::Rare, _) => {
                let frame = parse(segment, packet.frame());
                let packet = Packet::Whole(packet);
                self.on_frame(segment, from, packet, &frame, now, &mut Frames(out));
            }
        }
    }

    /// Adjacent segments that one end of a connection sent. False, and nothing done, if the connection is not taken over.
    fn on_train(
        &mut self,
        from: Side,
        train: &mut [Arrival<B>],
        now: Now,
        out: &mut impl Output<B>,
    ) -> bool {
        let first = train
            .first()
            .and_then(|arrival| Some((arrival.sought?, arrival.tcp()?)));
        let Some((sought, first)) = first else {
            return false;
        };
        // To ask for the value of a flow that only passes would take back what its packets need.
        let stands = self.table.at(sought).map(|flow| &flow.state);
        if !matches!(stands, Some(State::Taken(_))) {
            return false;
        }
        let Some((id, flow)) = self.table.find_mut(sought, &first.key) else {
            return false;
        };
        let key = first.key;
        let from_client = flow.place.is_from_client(first.from_lower);
        let State::Taken(session) = &mut flow.state else {
            return false;
        };
        if from_client != (from == flow.place.client_side) || first.flags.syn() {
            return false;
        }
        for arrival in train.iter_mut() {
            let bad = |packet: &mut B| !arrival.head.intact(packet);
            if let Some(packet) = arrival.packet.take_if(bad) {
                out.count(Counter::ChecksumErrors, 1);
                out.discard(packet, DropReason::BadChecksum);
            }
        }
        let segments: SmallVec<[TcpSegment<'_>; BURST_PACKETS_MAX]> = train
            .iter()
            .filter_map(|arrival| {
                let frame = arrival.packet.as_ref()?.frame();
                Some(arrival.tcp()?.read(frame).segment(frame))
            })
            .collect();
        if segments.is_empty() {
            return true;
        }
        let half = session.half(from_client, now.mono);
        let mut rest = segments.as_slice();
        while !rest.is_empty() {
            half.acknowledge(&key, now.mono, out);
            let taken = half.tcp.on_train(now.mono, rest);
            rest = rest.get(taken..).unwrap_or_default();
        }
        drop(segments);
        for packet in train.iter_mut().filter_map(|arrival| arrival.packet.take()) {
            out.consume(packet);
        }
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
