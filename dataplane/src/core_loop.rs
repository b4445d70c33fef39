//! One polling core: receive, work, send, batch by batch, for as long as the process lives.

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender};
use dpdk::{Burst, Clock, Mbuf, Mempool, RxQueue, cycles};
use sluice_packet::{Instant, PacketBuf, SegmentId, Side};
use sluice_proxy::{Effects, Generation, Now, Output, Worker, WorkerSettings};
use sluice_random::{HardwareFault, Source};
use sluice_schema::IdleMode;
use sluice_shm::{CoreStats, EventProducer, StatsSegment};
use sluice_telemetry::{Counter, DropReason, FallbackReasons, SessionSummary, SystemEvent};

use crate::exhaustion::{Buffers, Exhaustion};
use crate::failure::StartFailure;
use crate::handoff::{Handoff, Mesh};
use crate::helpers::HelperPort;
use crate::idle::Idle;
use crate::limits::{COMPLETIONS_PER_TURN, GAUGE_INTERVAL, HANDOFF_PACKETS_PER_TURN};
use crate::output::{Wire, WirePort, port_position};
use crate::ports::CorePort;
use crate::translation::Translations;
use crate::wall_clock::CoreClock;

/// What the main loop tells a core. Taken between two batches.
pub(crate) enum Command {
    /// New flows get this generation from now on.
    Adopt {
        /// The policy.
        generation: Arc<Generation>,
        /// What frames leave with, from now on.
        translations: Arc<Translations>,
    },
    /// Why new flows are forwarded at layer 2 from now on, if they are.
    Fallback(FallbackReasons),
    /// End every inspected session.
    ClearSessions {
        /// Where their number goes.
        answer: Sender<u64>,
    },
    /// List up to `limit` flows.
    Sessions {
        /// At most this many.
        limit: usize,
        /// Where the list goes.
        answer: Sender<Vec<SessionSummary>>,
    },
}

/// Everything a core is started with.
pub(crate) struct Core {
    /// Its position among the polling cores.
    pub(crate) position: usize,
    /// The core, as configured.
    pub(crate) core: u16,
    /// Its share of the ports, in the order of [`port_position`].
    pub(crate) ports: Vec<CorePort>,
    /// Where buffers come from.
    pub(crate) pool: Mempool,
    /// Where buffers of large segments come from, where a port cuts them.
    pub(crate) large: Option<Mempool>,
    /// Where it counts.
    pub(crate) stats: Arc<StatsSegment>,
    /// Where it logs.
    pub(crate) events: EventProducer,
    /// Who forges for it.
    pub(crate) helpers: HelperPort,
    /// The other cores, if frames change cores.
    pub(crate) mesh: Option<Mesh>,
    /// What the main loop wants.
    pub(crate) commands: Receiver<Command>,
    /// The generation it decides by, for the main loop.
    pub(crate) adopted: Arc<AtomicU64>,
    /// The packet buffers as all cores see them.
    pub(crate) buffers: Buffers,
    /// Set for the main loop when the random numbers of this core fail their health test.
    pub(crate) random_unhealthy: Arc<AtomicBool>,
    /// Set when the process ends.
    pub(crate) stop: Arc<AtomicBool>,
    /// The process's clock.
    pub(crate) clock: Clock,
    /// What to do without work.
    pub(crate) idle: IdleMode,
    /// Its worker's tables are to be in hugepages, if the kernel has any.
    pub(crate) hugepages: bool,
    /// Its worker's settings.
    pub(crate) worker: WorkerSettings,
}

struct Receive {
    port: usize,
    segment: SegmentId,
    side: Side,
    queue: RxQueue,
}

/// The parts that live on the core's own stack.
struct Turn<'core> {
    worker: Worker<Mbuf>,
    wire: Wire<'core>,
    receive: Vec<Receive>,
    /// Segment and side of every port, also of those that another core receives from.
    places: Vec<(SegmentId, Side)>,
    stats: CoreStats<'core>,
    mesh: Option<&'core Mesh>,
    first: bool,
    pool: Mempool,
    commands: Receiver<Command>,
    /// Who waits for all sessions to be cleared.
    clearing: Vec<Sender<u64>>,
    adopted: Arc<AtomicU64>,
    exhaustion: Exhaustion,
    /// Reasons for layer-2 fallback, which all cores are told alike.
    fallback: FallbackReasons,
    random_unhealthy: Arc<AtomicBool>,
    seeded_by_hardware: bool,
    gauges_at: Instant,
}

/// Polls until `stop`. `ready` is told once the core is about to take its first packet, or why it never will.
pub(crate) fn run(core: Core, ready: &Sender<Result<(), StartFailure>>) {
    let Core {
        position,
        core: id,
        ports,
        pool,
        large,
        stats,
        events,
        helpers,
        mesh,
        commands,
        adopted,
        buffers,
        random_unhealthy,
        stop,
        clock,
        idle,
        hugepages,
        worker,
    } = core;
    let Some(cells) = stats.core(position) else {
        // The segment was made for these very cores.
        let _ = ready.send(Err(StartFailure::CoreEnded { core: id }));
        return;
    };
    let worker = match Worker::new(id, worker) {
        Ok(worker) => worker,
        Err(error) => {
            let _ = ready.send(Err(StartFailure::Worker { core: id, error }));
            return;
        }
    };
    if hugepages {
        for memory in worker.addresses() {
            dpdk::advise_hugepages(memory);
        }
    }
    let places = ports.iter().map(|port| (port.segment, port.side)).collect();
    let mut receive = Vec::with_capacity(ports.len());
    let mut wire_ports = Vec::with_capacity(ports.len());
    for (port, share) in ports.into_iter().enumerate() {
        debug_assert_eq!(port, port_position(share.segment, share.side));
        wire_ports.push(WirePort::new(share.segment, share.side, share.tx));
        if let Some(queue) = share.rx {
            receive.push(Receive {
                port,
                segment: share.segment,
                side: share.side,
                queue,
            });
        }
    }
    let wire = Wire::new(
        id,
        wire_ports,
        (pool, large),
        cells,
        events,
        helpers,
        mesh.as_ref(),
    );
    let seeded_by_hardware = matches!(random_source(&worker), Source::Rdrand);
    let mut turn = Turn {
        worker,
        wire,
        receive,
        places,
        stats: cells,
        mesh: mesh.as_ref(),
        first: position == 0,
        pool,
        commands,
        clearing: Vec::new(),
        adopted,
        exhaustion: Exhaustion::new(buffers, position == 0),
        fallback: FallbackReasons::default(),
        random_unhealthy,
        seeded_by_hardware,
        gauges_at: Instant::ZERO,
    };
    let mut clock = CoreClock::new(clock);
    turn.take_commands(clock.at(cycles()));
    let _ = ready.send(Ok(()));
    poll_until(&stop, &mut turn, &mut clock, Idle::new(idle));
}

fn poll_until(stop: &AtomicBool, turn: &mut Turn<'_>, clock: &mut CoreClock, mut idle: Idle) {
    let mut began = cycles();
    while !stop.load(Ordering::Relaxed) {
        let now = clock.at(began);
        let worked = turn.run(now);
        let ended = cycles();
        let nanos = clock.clock().nanos(ended.saturating_sub(began));
        began = ended;
        if worked {
            turn.stats.add_busy_ns(nanos);
            idle.worked();
            continue;
        }
        turn.stats.add_idle_ns(nanos);
        let timer = turn
            .worker
            .next_timeout(now.mono)
            .map(|due| due.saturating_since(now.mono));
        if let Some(sleep) = idle.found_nothing(Duration::from_nanos(nanos), timer) {
            #[expect(
                clippy::disallowed_methods,
                reason = "this is the process's own loop; a core without work sleeps here"
            )]
            std::thread::sleep(sleep);
            began = cycles();
            turn.stats
                .add_idle_ns(clock.clock().nanos(began.saturating_sub(ended)));
        }
    }
    let now = clock.at(cycles());
    turn.worker.shutdown(now, &mut turn.wire);
    while turn.wire.flush() {}
}

/// What seeds this core's random numbers: those of its leaves, and those that its thread draws for handshakes, which are
/// many more. Of two the one that RDRAND does not seed.
fn random_source(worker: &Worker<Mbuf>) -> Source {
    match sluice_random::source() {
        Ok(Source::Rdrand) | Err(_) => worker.random_source(),
        Ok(other) => other,
    }
}

impl Turn<'_> {
    /// One batch. True if there was any work in it.
    fn run(&mut self, now: Now) -> bool {
        let mut worked = self.take_commands(now);
        worked |= self.receive(now);
        worked |= self.take_handoffs(now);
        for _ in 0..COMPLETIONS_PER_TURN {
            let Some(done) = self.wire.completed() else {
                break;
            };
            worked = true;
            self.worker.on_completion(done, &mut self.wire);
        }
        worked |= self.worker.poll(now, &mut self.wire);
        if let Some(cleared) = self.worker.cleared() {
            for answer in self.clearing.drain(..) {
                // Whoever asked may have given up.
                let _ = answer.try_send(cleared);
            }
        }
        worked |= self.wire.flush();
        self.look_at_exhaustion(now);
        if now.mono >= self.gauges_at {
            self.gauges_at = now.mono + GAUGE_INTERVAL;
            self.set_gauges(now);
        }
        worked
    }

    fn take_commands(&mut self, now: Now) -> bool {
        let mut any = false;
        while let Ok(command) = self.commands.try_recv() {
            any = true;
            match command {
                Command::Adopt {
                    generation,
                    translations,
                } => {
                    self.wire.translate(translations);
                    let number = generation.number();
                    self.exhaustion.follow(generation.limits().on_exhaustion);
                    self.worker.adopt(generation);
                    self.stats.adopt(number);
                    self.adopted.store(number, Ordering::Release);
                }
                Command::Fallback(reasons) => {
                    self.fallback = reasons;
                    self.worker.set_fallback(reasons);
                }
                Command::ClearSessions { answer } => {
                    self.worker.clear_sessions(now);
                    self.clearing.push(answer);
                }
                Command::Sessions { limit, answer } => {
                    // Whoever asked may have given up.
                    let _ = answer.try_send(self.worker.sessions(limit, now.mono));
                }
            }
        }
        any
    }

    fn receive(&mut self, now: Now) -> bool {
        let mut any = false;
        for position in 0..self.receive.len() {
            let Some(Receive {
                port,
                segment,
                side,
                queue,
            }) = self.receive.get_mut(position)
            else {
                break;
            };
            let (port, segment, side) = (*port, *segment, *side);
            let mut burst: Burst = Burst::new();
            let packets = queue.receive(&mut burst);
            if packets == 0 {
                continue;
            }
            any = true;
            let bytes = burst.iter().map(|packet| packet.len() as u64).sum();
            self.wire.received(side, packets as u64, bytes);
            if self.mesh.is_some() || self.wire.translates() {
                burst = self.dealt((port, segment, side), burst);
            }
            self.worker
                .on_burst(segment, side, burst.drain(), now, &mut self.wire);
        }
        any
    }

    /// What of a burst is for this core, as its segment knows it.
    fn dealt(&mut self, (port, segment, side): (usize, SegmentId, Side), mut all: Burst) -> Burst {
        let mut mine = Burst::new();
        for mut packet in all.drain() {
            self.wire.take_in(segment, side, &mut packet);
            if let Some(packet) = self.deal(port, segment, packet)
                && let Err(packet) = mine.push(packet)
            {
                // As many as one burst holds came.
                self.wire.discard(packet, DropReason::TransmitFull);
            }
        }
        mine
    }

    /// A frame from a port: back if it is this core's, else to the flow's own core.
    fn deal(&mut self, port: usize, segment: SegmentId, packet: Mbuf) -> Option<Mbuf> {
        if let Some(mesh) = self.mesh
            && let Some(owner) = mesh.owner_elsewhere(segment, packet.frame())
        {
            if let Err(packet) = mesh.give(owner, Handoff::Received { port, packet }) {
                packet.each(&mut |frame| self.wire.discard(frame, DropReason::TransmitFull));
            }
            return None;
        }
        Some(packet)
    }

    fn take_handoffs(&mut self, now: Now) -> bool {
        let Some(mesh) = self.mesh else { return false };
        let mut any = false;
        for _ in 0..HANDOFF_PACKETS_PER_TURN {
            let Some(handoff) = mesh.take() else { break };
            any = true;
            match handoff {
                Handoff::Transmit { port, packet } => self.wire.transmit(port, packet),
                Handoff::Reassembled {
                    segment,
                    side,
                    packet,
                } => self
                    .worker
                    .on_reassembled(segment, side, packet, now, &mut self.wire),
                Handoff::Received { port, packet } => match self.places.get(port) {
                    Some((segment, side)) => {
                        self.worker
                            .on_packet(*segment, *side, packet, now, &mut self.wire);
                    }
                    None => self.wire.discard(packet, DropReason::UnknownSegment),
                },
            }
        }
        any
    }

    fn look_at_exhaustion(&mut self, now: Now) {
        let wire = &mut self.wire;
        let change = self.exhaustion.look(now.mono, &mut |event| {
            if let SystemEvent::Exhaustion {
                exhausted: true, ..
            } = event
            {
                wire.count(Counter::Exhaustions, 1);
            }
            wire.system(event);
        });
        if let Some(how) = change {
            self.worker.set_exhausted(how);
        }
    }

    fn set_gauges(&mut self, now: Now) {
        self.worker.gauges(&mut self.wire);
        if self.first {
            // One pool serves all cores, and one limit; the first one speaks for them.
            let load = self.worker.load_state();
            self.wire
                .gauge(Counter::SessionLoad, u64::from(load.number()));
            self.wire
                .gauge(Counter::Layer2Fallback, u64::from(self.fallback.bits()));
            self.wire
                .gauge(Counter::MempoolInUse, u64::from(self.pool.in_use()));
            self.wire
                .gauge(Counter::MempoolCapacity, u64::from(self.pool.packets()));
        }
        // Words that fail at the start are not used at all; a generator that lost them while in use is another matter.
        let unhealthy = matches!(
            random_source(&self.worker),
            Source::System(HardwareFault::Unhealthy(_))
        );
        if unhealthy && self.seeded_by_hardware {
            self.random_unhealthy.store(true, Ordering::Relaxed);
        }
        self.stats.beat(now.unix_us);
    }
}

#[cfg(test)]
mod tests;
