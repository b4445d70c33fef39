//! Events on their way to the log: rendered once, kept in memory and appended to the file.

use std::sync::{Mutex, PoisonError};

use sluice_telemetry::{Event, Severity, SystemEvent, SystemRecord, eve};

use crate::clock;
use crate::event_log::{EventLog, EventLogHealth};
use crate::journal;
use crate::recent::Recent;

/// Where events go.
pub(crate) struct Events {
    log: Mutex<EventLog>,
    recent: Recent,
    appliance: Mutex<String>,
}

impl Events {
    /// Events for the log `log`, under the name `sluice` until a configuration gives another.
    pub(crate) fn new(log: EventLog) -> Self {
        Self {
            log: Mutex::new(log),
            recent: Recent::default(),
            appliance: Mutex::new("sluice".to_owned()),
        }
    }

    /// The appliance's configured name, for the events from here on.
    pub(crate) fn rename(&self, appliance: &str) {
        let mut name = self
            .appliance
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        appliance.clone_into(&mut name);
    }

    /// Renders and queues an event; [`Self::flush`] writes it.
    pub(crate) fn put(&self, event: &Event) {
        let line = {
            let appliance = self
                .appliance
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            eve::render_event(event, &appliance).to_string()
        };
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(&line);
        self.recent.push(line);
    }

    /// As [`Self::system`], on one core.
    pub(crate) fn system_on(&self, core: Option<u16>, event: SystemEvent) {
        self.record(clock::unix_us(), core, event);
    }

    /// Records that something happened to the appliance, now, and says it on standard error when it matters.
    pub(crate) fn system(&self, event: SystemEvent) {
        self.system_at(clock::unix_us(), event);
    }

    /// As [`Self::system`], for something that happened earlier.
    pub(crate) fn system_at(&self, unix_us: u64, event: SystemEvent) {
        self.record(unix_us, None, event);
    }

    fn record(&self, unix_us: u64, core: Option<u16>, event: SystemEvent) {
        if event.severity() >= Severity::Warning {
            journal::say(&event.message());
        }
        self.put(&Event::System(SystemRecord {
            unix_us,
            core,
            event,
        }));
        self.flush();
    }

    /// Writes what is queued.
    pub(crate) fn flush(&self) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let before = log.health().problem.is_some();
        log.flush();
        match &log.health().problem {
            Some(problem) if !before => journal::say(problem),
            None if before => journal::say("the event log is written again"),
            _ => {}
        }
    }

    /// Opens the log file again.
    pub(crate) fn reopen(&self) {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .reopen();
    }

    /// What the log file has been through.
    pub(crate) fn health(&self) -> EventLogHealth {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .health()
            .clone()
    }

    /// The last events.
    pub(crate) fn recent(&self) -> &Recent {
        &self.recent
    }
}
