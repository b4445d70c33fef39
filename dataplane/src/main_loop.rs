//! The main core's loop: messages, questions, links of ports, cores that must be there.

use core::time::Duration;
use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crossbeam_channel::bounded;
use sluice_shm::limits::LINK_SESSIONS_MAX;
use sluice_shm::link::{LINK_VERSION, Query, Received, ReplyBody, ToControl, ToDataplane};
use sluice_telemetry::{SessionSummary, SystemEvent};

use crate::adoption::{self, BootChange, Offer, OfferError};
use crate::boot::{self, Plane};
use crate::core_loop::Command;
use crate::failure::StartFailure;
use crate::limits::{
    CORE_ANSWER_WAIT, CORE_STOP_WAIT, LAST_GOOD_WAIT, MAIN_TURN, PORT_LINK_INTERVAL,
};
use crate::link::{Control, reason};
use crate::status::say;
use crate::wall_clock;
use crate::watch::{Health, Watch};

/// Waits for a generation that can be booted, boots it, and serves until a signal.
///
/// # Errors
/// The data plane cannot start, or a core ended by itself.
pub(crate) fn serve(mut control: Control, stop: &Arc<AtomicBool>) -> Result<(), StartFailure> {
    let Some((checked, offer)) = first_generation(&mut control, stop)? else {
        return Ok(());
    };
    let number = offer.generation.number();
    let plane = match boot::boot(checked, &offer, stop) {
        Ok(plane) => plane,
        Err(failure) => {
            refuse(&mut control, number, &failure.to_string());
            stop.store(true, Ordering::Relaxed);
            return Err(failure);
        }
    };
    say(format_args!(
        "generation {number} is in force on {} cores",
        plane.cores.len()
    ));
    let links = vec![None; plane.ports.len()];
    let mut main = MainLoop {
        control,
        plane,
        current: number,
        announced: Vec::new(),
        links,
        links_at: None,
        watch: Watch::new(offer.generation.limits().on_exhaustion),
    };
    main.greet();
    main.tell_of_the_start();
    let outcome = main.run(stop);
    main.end(stop);
    outcome
}

/// Receives generations until one can be booted. One that cannot is refused, and the last good one may follow it.
fn first_generation(
    control: &mut Control,
    stop: &AtomicBool,
) -> Result<Option<(boot::Checked, Offer)>, StartFailure> {
    let mut failed: Option<(StartFailure, Instant)> = None;
    while !stop.load(Ordering::Relaxed) {
        if let Some((failure, _)) =
            failed.take_if(|(_, at)| now().saturating_duration_since(*at) > LAST_GOOD_WAIT)
        {
            return Err(failure);
        }
        if control.connect() {
            hello(control, &[], None, &[]);
        }
        let Some(Received {
            message,
            descriptors,
        }) = control.receive(MAIN_TURN)
        else {
            continue;
        };
        match message {
            ToDataplane::Welcome { version, .. } => check_version(control, version),
            ToDataplane::Publish { generation } => match adoption::open(generation, descriptors) {
                Err(error) => refuse(control, generation, &error.to_string()),
                Ok(offer) => match boot::check(&offer.snapshot.configuration.appliance) {
                    Ok(checked) => return Ok(Some((checked, offer))),
                    Err(failure) => {
                        refuse(control, generation, &failure.to_string());
                        failed = Some((failure, now()));
                    }
                },
            },
            ToDataplane::Query { id, query } => {
                let body = match query {
                    Query::Ping => ReplyBody::Pong,
                    _ => ReplyBody::Failed {
                        reason: "the data plane has no generation yet: apply a configuration"
                            .to_owned(),
                    },
                };
                control.send(&ToControl::Reply { id, body }, &[]);
            }
            _ => {}
        }
    }
    Ok(None)
}

struct MainLoop {
    control: Control,
    plane: Plane,
    /// The newest generation given to the cores.
    current: u64,
    /// Cores whose acknowledgement of `current` has been passed on.
    announced: Vec<u16>,
    /// Each port's link as last seen.
    links: Vec<Option<bool>>,
    links_at: Option<Instant>,
    watch: Watch,
}

impl MainLoop {
    fn run(&mut self, stop: &AtomicBool) -> Result<(), StartFailure> {
        while !stop.load(Ordering::Relaxed) {
            if let Some(gone) = self.plane.cores.iter().find(|core| core.lcore.finished()) {
                return Err(StartFailure::CoreEnded { core: gone.core });
            }
            if self.control.connect() {
                say("connected to sluiced");
                self.greet();
            }
            self.pass_acknowledgements();
            self.look_at_links();
            self.look_at_health();
            if let Some(received) = self.control.receive(self.patience()) {
                self.on_message(received);
            }
        }
        Ok(())
    }

    /// Shorter while a core's acknowledgement is awaited.
    fn patience(&self) -> Duration {
        if self.announced.len() < self.plane.cores.len() {
            MAIN_TURN / 20
        } else {
            MAIN_TURN
        }
    }

    /// Says who this is, and offers the statistics and the rings: to every `sluiced` the same.
    fn greet(&mut self) {
        let cores: Vec<u16> = self.plane.cores.iter().map(|core| core.core).collect();
        let fds: Vec<BorrowedFd<'_>> = std::iter::once(&self.plane.stats)
            .chain(&self.plane.rings)
            .map(OwnedFd::as_fd)
            .collect();
        let adopted = self.adopted_by_all();
        hello(&mut self.control, &cores, adopted, &fds);
        self.announced.clear();
    }

    fn adopted_by_all(&self) -> Option<u64> {
        let lowest = self
            .plane
            .cores
            .iter()
            .map(|core| core.adopted.load(Ordering::Acquire))
            .min();
        lowest.filter(|generation| *generation != 0)
    }

    fn tell_of_the_start(&mut self) {
        let started = SystemEvent::DataplaneStarted {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        self.tell(started);
        if let Some(reason) = self.plane.without_rdrand.take() {
            self.tell(SystemEvent::RdrandUnavailable { reason });
        }
    }

    fn tell(&mut self, event: SystemEvent) {
        self.control.send(
            &ToControl::Event {
                unix_us: wall_clock::unix_us(),
                event,
            },
            &[],
        );
    }

    fn on_message(&mut self, received: Received<ToDataplane>) {
        match received.message {
            ToDataplane::Welcome { version, .. } => check_version(&mut self.control, version),
            ToDataplane::Publish { generation } => {
                self.on_publish(generation, received.descriptors);
            }
            ToDataplane::Query { id, query } => {
                let body = self.answer(&query);
                self.control.send(&ToControl::Reply { id, body }, &[]);
            }
            // The cores' own references decide how long a generation lives: its flows may outlast its retirement.
            ToDataplane::Retire { .. } => {}
            _ => say(
                "sluiced sent a message that this release does not know; run both processes of one release",
            ),
        }
    }

    fn on_publish(&mut self, generation: u64, descriptors: Vec<OwnedFd>) {
        let offer = adoption::open(generation, descriptors).and_then(|offer| {
            match adoption::boot_change(
                &self.plane.appliance,
                &offer.snapshot.configuration.appliance,
            ) {
                BootChange::Segments(what) => Err(OfferError::Segments {
                    generation,
                    what,
                    running: self.current,
                }),
                BootChange::AtRestart(waiting) => {
                    self.problem("adopting boot settings", &at_restart(generation, &waiting));
                    Ok(offer)
                }
                BootChange::None => Ok(offer),
            }
        });
        match offer {
            Ok(offer) => {
                self.current = generation;
                self.watch.follow(offer.generation.limits().on_exhaustion);
                self.announced.clear();
                for core in &self.plane.cores {
                    // A core that does not take commands is stuck; its missing acknowledgement names it.
                    let _ = core.commands.try_send(offer.command());
                }
            }
            Err(error) => refuse(&mut self.control, generation, &error.to_string()),
        }
    }

    fn problem(&mut self, operation: &str, text: &str) {
        say(text);
        let problem = ToControl::Problem {
            operation: operation.to_owned(),
            reason: reason(text),
        };
        self.control.send(&problem, &[]);
    }

    /// The acknowledgement itself stands in the statistics segment; a message spares `sluiced` the wait for its next look.
    fn pass_acknowledgements(&mut self) {
        if !self.control.is_up() {
            return;
        }
        for core in &self.plane.cores {
            if core.adopted.load(Ordering::Acquire) == self.current
                && !self.announced.contains(&core.core)
            {
                self.announced.push(core.core);
                self.control.send(
                    &ToControl::Adopted {
                        core: core.core,
                        generation: self.current,
                    },
                    &[],
                );
            }
        }
    }

    fn answer(&mut self, query: &Query) -> ReplyBody {
        match query {
            Query::Ping => ReplyBody::Pong,
            Query::Sessions { limit } => self.sessions(*limit),
            Query::Fallback { command } => self.fallback(*command),
            Query::ClearSessions => self.clear_sessions(),
            _ => ReplyBody::Failed {
                reason: "this release of the data plane does not know the question; run both processes of one release".to_owned(),
            },
        }
    }

    fn sessions(&self, limit: u32) -> ReplyBody {
        let limit = usize::try_from(limit.min(LINK_SESSIONS_MAX)).unwrap_or(usize::MAX);
        let (answer, answers) = bounded(self.plane.cores.len());
        for core in &self.plane.cores {
            let _ = core.commands.try_send(Command::Sessions {
                limit,
                answer: answer.clone(),
            });
        }
        drop(answer);
        let deadline = now() + CORE_ANSWER_WAIT;
        let mut sessions: Vec<SessionSummary> = Vec::new();
        let mut answered = 0;
        while answered < self.plane.cores.len() {
            match answers.recv_deadline(deadline) {
                Ok(of_core) => sessions.extend(of_core),
                Err(_) => break,
            }
            answered += 1;
        }
        if answered == 0 {
            return ReplyBody::Failed {
                reason: "no core answered in time; look at `sluice show cores`".to_owned(),
            };
        }
        sessions.truncate(limit);
        ReplyBody::Sessions { sessions }
    }

    fn fallback(&mut self, command: Option<bool>) -> ReplyBody {
        if let Some(event) = command.and_then(|on| self.watch.command(on)) {
            self.tell_of_fallback(event);
        }
        self.pass_fallback();
        ReplyBody::Fallback {
            reasons: self.watch.reasons().iter().collect(),
        }
    }

    fn clear_sessions(&mut self) -> ReplyBody {
        let (answer, answers) = bounded(self.plane.cores.len());
        for core in &self.plane.cores {
            let _ = core.commands.try_send(Command::ClearSessions {
                answer: answer.clone(),
            });
        }
        drop(answer);
        let deadline = now() + CORE_ANSWER_WAIT;
        let (mut sessions, mut answered) = (0, 0);
        while answered < self.plane.cores.len() {
            let Ok(cleared) = answers.recv_deadline(deadline) else {
                break;
            };
            sessions += cleared;
            answered += 1;
        }
        say(format_args!("{sessions} inspected sessions were cleared"));
        self.tell(SystemEvent::SessionsCleared { sessions });
        if answered < self.plane.cores.len() {
            return ReplyBody::Failed {
                reason: format!(
                    "{sessions} sessions were cleared, but only {answered} of {} cores answered in time; look at `sluice \
                     show cores` and try again",
                    self.plane.cores.len()
                ),
            };
        }
        ReplyBody::Cleared { sessions }
    }

    /// Failures that traffic survives bring layer-2 fallback, and their end ends it.
    fn look_at_health(&mut self) {
        let health = Health {
            helpers_silent: self.plane.helpers.are_silent(),
            random_unhealthy: self
                .plane
                .cores
                .iter()
                .any(|core| core.random_unhealthy.load(Ordering::Relaxed)),
            buffers_low: self.plane.buffers.low(),
        };
        for event in self.watch.look(health, now()) {
            self.tell_of_fallback(event);
        }
        self.pass_fallback();
    }

    fn tell_of_fallback(&mut self, event: SystemEvent) {
        say(event.message());
        self.tell(event);
    }

    /// A core whose queue is full is told at the next turn.
    fn pass_fallback(&mut self) {
        let reasons = self.watch.reasons();
        for core in &mut self.plane.cores {
            if core.fallback != reasons
                && core.commands.try_send(Command::Fallback(reasons)).is_ok()
            {
                core.fallback = reasons;
            }
        }
    }

    fn look_at_links(&mut self) {
        if self
            .links_at
            .is_some_and(|at| now().saturating_duration_since(at) < PORT_LINK_INTERVAL)
        {
            return;
        }
        self.links_at = Some(now());
        let mut changed = BTreeSet::new();
        for (position, (port, seen)) in self.plane.ports.iter().zip(&mut self.links).enumerate() {
            let Some(up) = port.link_up() else {
                continue;
            };
            // A link that has always been up is no news.
            if seen.replace(up).unwrap_or(true) != up {
                changed.insert((position, up));
            }
        }
        for (position, up) in changed {
            let Some(port) = self.plane.ports.get(position) else {
                continue;
            };
            say(format_args!(
                "port {} is {}",
                port.name,
                if up { "up" } else { "down" }
            ));
            let event = SystemEvent::PortLink {
                segment: port.segment_name.clone(),
                port: port.name.clone(),
                up,
            };
            self.tell(event);
        }
    }

    /// Stops the cores, then the ports, which their queues keep open until then.
    fn end(mut self, stop: &AtomicBool) {
        self.tell(SystemEvent::DataplaneStopping);
        stop.store(true, Ordering::Relaxed);
        let deadline = now() + CORE_STOP_WAIT;
        while self.plane.cores.iter().any(|core| !core.lcore.finished()) && now() < deadline {
            self.control.receive(MAIN_TURN / 50);
        }
        let Plane {
            cores,
            ports,
            helpers,
            ..
        } = self.plane;
        let mut stuck = false;
        for core in cores {
            if core.lcore.finished() {
                // A panic has said so already.
                let _ = core.lcore.wait();
            } else {
                say(format_args!("core {} does not stop", core.core));
                stuck = true;
            }
        }
        drop(ports);
        if !stuck {
            helpers.join();
        }
    }
}

fn hello(
    control: &mut Control,
    cores: &[u16],
    adopted: Option<u64>,
    descriptors: &[BorrowedFd<'_>],
) {
    let hello = ToControl::Hello {
        version: LINK_VERSION,
        pid: std::process::id(),
        release: env!("CARGO_PKG_VERSION").to_owned(),
        cores: cores.to_vec(),
        adopted,
    };
    control.send(&hello, descriptors);
}

fn check_version(control: &mut Control, version: u16) {
    if version != LINK_VERSION {
        control.disconnect(&format!(
            "it speaks version {version} of the link, this release {LINK_VERSION}; run both processes of one release"
        ));
    }
}

fn refuse(control: &mut Control, generation: u64, text: &str) {
    say(format_args!("generation {generation} is refused: {text}"));
    control.send(
        &ToControl::Refused {
            core: None,
            generation,
            reason: reason(text),
        },
        &[],
    );
}

fn at_restart(generation: u64, waiting: &[&'static str]) -> String {
    format!(
        "generation {generation} changes {}, which takes effect when sluice-dataplane is restarted",
        waiting.join(", ")
    )
}

pub(crate) fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the main loop's own clock")]
    Instant::now()
}
