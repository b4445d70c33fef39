//! Where a worker's frames, events, jobs and counts go.

use std::collections::VecDeque;
use std::sync::Arc;

use dpdk::{Burst, Mbuf, Mempool};
use sluice_flow::Packet;
use sluice_packet::{PacketBuf, SegmentId, Side};
use sluice_proxy::{Effects, Finishing, ForgeDone, ForgeJob, Output, WriteUnfinished};
use sluice_shm::{CoreStats, EventProducer};
use sluice_telemetry::{Counter, DropReason, Event, FlowRecord, SystemEvent, SystemRecord};

use crate::handoff::{Handoff, Mesh};
use crate::helpers::HelperPort;
use crate::limits::TX_PENDING_PACKETS_MAX;
use crate::ports::Transmit;
use crate::translation::Translations;
use crate::wall_clock;

/// One core's way out.
pub(crate) struct Wire<'core> {
    core: u16,
    ports: Vec<WirePort>,
    pool: Mempool,
    /// Buffers of segments that ports are to cut, where a port does.
    large: Option<Mempool>,
    /// One of them, for the next such segment: what was promised room for is not lost because other cores had the last.
    large_at_hand: Option<Mbuf>,
    stats: CoreStats<'core>,
    events: EventProducer,
    helpers: HelperPort,
    /// Jobs that found the helpers' queue full.
    backlog: VecDeque<ForgeJob>,
    mesh: Option<&'core Mesh>,
    /// Absent when every frame keeps its VLAN.
    translations: Option<Arc<Translations>>,
}

/// One port, with the frames that wait to be sent.
pub(crate) struct WirePort {
    segment: SegmentId,
    side: Side,
    tx: Transmit,
    pending: Burst<TX_PENDING_PACKETS_MAX>,
    /// Frames that were queued since the counters were last moved, and their bytes.
    sent: (u64, u64),
}

impl WirePort {
    /// With nothing waiting.
    pub(crate) fn new(segment: SegmentId, side: Side, tx: Transmit) -> Self {
        Self {
            segment,
            side,
            tx,
            pending: Burst::new(),
            sent: (0, 0),
        }
    }
}

impl WirePort {
    /// Moves the counters by what was queued since.
    fn count_sent(&mut self, stats: CoreStats<'_>) {
        let (packets, bytes) = core::mem::take(&mut self.sent);
        if packets == 0 {
            return;
        }
        let (packet_counter, byte_counter) = match self.side {
            Side::A => (Counter::TxPacketsA, Counter::TxBytesA),
            Side::B => (Counter::TxPacketsB, Counter::TxBytesB),
        };
        stats.add(packet_counter, packets);
        stats.add(byte_counter, bytes);
    }
}

/// Position of a segment's port among all ports.
pub(crate) fn port_position(segment: SegmentId, side: Side) -> usize {
    usize::from(segment.0) * 2 + usize::from(side == Side::B)
}

impl<'core> Wire<'core> {
    /// Over the core's ports, in the order of [`port_position`].
    pub(crate) fn new(
        core: u16,
        ports: Vec<WirePort>,
        (pool, large): (Mempool, Option<Mempool>),
        stats: CoreStats<'core>,
        events: EventProducer,
        helpers: HelperPort,
        mesh: Option<&'core Mesh>,
    ) -> Self {
        Self {
            core,
            ports,
            pool,
            large,
            large_at_hand: None,
            stats,
            events,
            helpers,
            backlog: VecDeque::new(),
            mesh,
            translations: None,
        }
    }

    /// What frames leave with from now on.
    pub(crate) fn translate(&mut self, translations: Arc<Translations>) {
        self.translations = (!translations.is_empty()).then_some(translations);
    }

    /// Whether frames change their VLAN between the ports.
    pub(crate) const fn translates(&self) -> bool {
        self.translations.is_some()
    }

    /// A frame that has just come in gets the VLAN by which its segment knows it.
    pub(crate) fn take_in(&self, segment: SegmentId, side: Side, packet: &mut Mbuf) {
        if let Some(translations) = &self.translations {
            translations.received(segment, side, packet.frame_mut());
        }
    }

    /// Hands waiting frames to the ports' queues, and waiting jobs to the helpers. True if any of them left: a port whose
    /// link is down takes nothing, and waiting for it is no work.
    pub(crate) fn flush(&mut self) -> bool {
        let mut moved = false;
        for port in &mut self.ports {
            port.count_sent(self.stats);
            if let Transmit::Own(queue) = &mut port.tx {
                moved |= queue.send(&mut port.pending) > 0;
            }
        }
        while let Some(job) = self.backlog.pop_front() {
            if let Err(job) = self.helpers.submit(job) {
                self.backlog.push_front(job);
                break;
            }
            moved = true;
        }
        moved
    }

    /// The next forged leaf, if one has come back.
    pub(crate) fn completed(&mut self) -> Option<ForgeDone> {
        let done = self.helpers.completed()?;
        self.stats.add(Counter::JobsCompleted, 1);
        Some(done)
    }

    /// Counts frames that came in.
    pub(crate) fn received(&mut self, side: Side, packets: u64, bytes: u64) {
        let (packet_counter, byte_counter) = match side {
            Side::A => (Counter::RxPacketsA, Counter::RxBytesA),
            Side::B => (Counter::RxPacketsB, Counter::RxBytesB),
        };
        self.stats.add(packet_counter, packets);
        self.stats.add(byte_counter, bytes);
    }

    /// A frame for this port, from the worker or from a core that cannot send there itself.
    pub(crate) fn transmit(&mut self, position: usize, mut packet: Mbuf) {
        let refused = match self.ports.get_mut(position) {
            None => Some((Packet::Whole(packet), DropReason::UnknownSegment)),
            Some(port) => {
                let bytes = packet.len() as u64;
                // A frame that changes cores is translated by the core that sends it.
                if let (Some(translations), Transmit::Own(_)) = (&self.translations, &port.tx) {
                    translations.sent(port.segment, port.side, packet.frame_mut());
                }
                match queue(port, position, packet, self.mesh) {
                    Ok(()) => {
                        // A frame that changes cores is counted by the core that sends it.
                        if matches!(port.tx, Transmit::Own(_)) {
                            port.sent.0 += 1;
                            port.sent.1 += bytes;
                        }
                        None
                    }
                    Err(packet) => Some((packet, DropReason::TransmitFull)),
                }
            }
        };
        if let Some((packet, reason)) = refused {
            packet.each(&mut |frame| self.discard(frame, reason));
        }
    }

    /// How many further frames for this port will be taken. One whose queue another core has takes them as they come: only the
    /// handing over shows whether that core's queue is full, and what does not fit there is lost as on the wire.
    fn room_at(&mut self, position: usize) -> usize {
        let Some(port) = self.ports.get_mut(position) else {
            return 0;
        };
        if port.pending.is_full()
            && let Transmit::Own(queue) = &mut port.tx
        {
            queue.send(&mut port.pending);
        }
        TX_PENDING_PACKETS_MAX - port.pending.len()
    }

    fn log(&mut self, event: &Event) {
        let sent = event
            .encode()
            .is_ok_and(|bytes| self.events.push(&bytes).is_ok());
        self.stats.add(
            if sent {
                Counter::EventsSent
            } else {
                Counter::EventsLost
            },
            1,
        );
    }
}

/// Puts a frame behind those that wait, sending some first if there is no room; or hands it to the core that has the queue.
fn queue(
    port: &mut WirePort,
    position: usize,
    packet: Mbuf,
    mesh: Option<&Mesh>,
) -> Result<(), Packet<Mbuf>> {
    match &mut port.tx {
        Transmit::Own(queue) => {
            if port.pending.is_full() {
                queue.send(&mut port.pending);
            }
            port.pending.push(packet).map_err(Packet::Whole)
        }
        Transmit::Core(core) => match mesh {
            Some(mesh) => mesh.give(
                *core,
                Handoff::Transmit {
                    port: position,
                    packet,
                },
            ),
            None => Err(Packet::Whole(packet)),
        },
    }
}

/// Bytes of the longest frame that the pool's buffers hold.
fn room(pool: &Mempool) -> usize {
    usize::from(pool.data_room()).saturating_sub(dpdk::limits::HEADROOM_BYTES)
}

impl Wire<'_> {
    /// Whether a buffer for a segment that a port is to cut is at hand.
    fn has_large(&mut self) -> bool {
        if self.large_at_hand.is_none() {
            self.large_at_hand = self.large.and_then(|pool| pool.alloc());
        }
        self.large_at_hand.is_some()
    }

    /// A buffer of `len` bytes for a frame that leaves by that port, a large one if the port may cut it. `Err` says whether to
    /// count it as sent.
    fn blank(&mut self, position: usize, len: usize, may_be_cut: bool) -> Result<Mbuf, bool> {
        if self.room_at(position) == 0 {
            return Err(false);
        }
        let buffer = if may_be_cut && len > room(&self.pool) && self.has_large() {
            self.large_at_hand.take()
        } else {
            self.pool.alloc()
        };
        let Some(mut packet) = buffer else {
            self.stats.add(Counter::NoBuffer, 1);
            return Err(false);
        };
        if packet.append(len).is_none() {
            // Longer than any buffer: trying again would not help, so it counts as lost on the wire.
            self.discard(packet, DropReason::FrameTooLong);
            return Err(true);
        }
        Ok(packet)
    }

    fn send_written(&mut self, position: usize, mut packet: Mbuf, written: usize) {
        packet.truncate(written);
        if written > 0 {
            self.transmit(position, packet);
        }
    }
}

impl Effects for Wire<'_> {
    fn emit(
        &mut self,
        segment: SegmentId,
        to: Side,
        len: usize,
        write: &mut dyn FnMut(&mut [u8]) -> usize,
    ) -> bool {
        let position = port_position(segment, to);
        match self.blank(position, len, false) {
            Ok(mut packet) => {
                let written = write(packet.frame_mut());
                self.send_written(position, packet, written);
                true
            }
            Err(sent) => sent,
        }
    }

    fn room(&mut self, segment: SegmentId, to: Side) -> usize {
        self.room_at(port_position(segment, to))
    }

    fn finishing(&mut self, segment: SegmentId, to: Side) -> Finishing {
        let port = self.ports.get(port_position(segment, to));
        // The core that has another port's queue takes frames as they are.
        let Some(Transmit::Own(queue)) = port.map(|port| &port.tx) else {
            return Finishing::default();
        };
        let offloads = queue.offloads();
        Finishing {
            checksums: offloads.tx_checksum,
            cuts: offloads.tx_segmentation && self.has_large(),
        }
    }

    fn emit_unfinished(
        &mut self,
        segment: SegmentId,
        to: Side,
        len: usize,
        write: &mut WriteUnfinished<'_>,
    ) -> bool {
        let position = port_position(segment, to);
        match self.blank(position, len, true) {
            Ok(mut packet) => {
                if let Some((written, left)) = write(packet.frame_mut()) {
                    packet.leave_unfinished(left);
                    self.send_written(position, packet, written);
                }
                true
            }
            Err(sent) => sent,
        }
    }

    fn event(&mut self, record: FlowRecord) {
        self.log(&Event::Flow(Box::new(record)));
    }

    fn system(&mut self, event: SystemEvent) {
        self.log(&Event::System(SystemRecord {
            unix_us: wall_clock::unix_us(),
            core: Some(self.core),
            event,
        }));
    }

    fn submit(&mut self, job: ForgeJob) {
        self.stats.add(Counter::JobsSubmitted, 1);
        if let Err(job) = self.helpers.submit(job) {
            self.backlog.push_back(job);
        }
    }

    fn count(&mut self, counter: Counter, by: u64) {
        self.stats.add(counter, by);
    }

    fn gauge(&mut self, counter: Counter, value: u64) {
        self.stats.set(counter, value);
    }
}

impl Output<Mbuf> for Wire<'_> {
    fn forward(&mut self, segment: SegmentId, to: Side, packet: Mbuf) {
        self.transmit(port_position(segment, to), packet);
    }

    fn reassembled(
        &mut self,
        segment: SegmentId,
        side: Side,
        packet: Packet<Mbuf>,
    ) -> Option<Packet<Mbuf>> {
        let elsewhere = self.mesh.and_then(|mesh| {
            let owner = mesh.owner_elsewhere(segment, packet.frame())?;
            Some((mesh, owner))
        });
        let Some((mesh, owner)) = elsewhere else {
            return Some(packet);
        };
        let whole = Handoff::Reassembled {
            segment,
            side,
            packet,
        };
        if let Err(packet) = mesh.give(owner, whole) {
            packet.each(&mut |frame| self.discard(frame, DropReason::TransmitFull));
        }
        None
    }

    fn discard(&mut self, packet: Mbuf, reason: DropReason) {
        self.stats.add(Counter::Drop(reason), 1);
        drop(packet);
    }
}
