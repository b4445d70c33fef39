//! The event rings of the data plane that is connected, and of the one before until it is read to its end.

use std::sync::{Mutex, PoisonError};

use sluice_shm::{EventConsumer, EventRingHealth};
use sluice_telemetry::{Event, SystemEvent};

use crate::events::Events;
use crate::limits::PUMP_BATCH_EVENTS_MAX;

/// Every ring there is something to read from.
#[derive(Default)]
pub(crate) struct Rings {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    rings: Vec<Ring>,
    /// Of rings that are gone.
    past: RingTotals,
}

struct Ring {
    consumer: EventConsumer,
    told: EventRingHealth,
    unreadable: u64,
    /// Its data plane is gone: it is dropped when it is empty.
    orphan: bool,
}

/// What all rings together have been through since this process started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RingTotals {
    /// Events the cores could not queue.
    pub(crate) lost: u64,
    /// Times a damaged ring was set right.
    pub(crate) resynchronised: u64,
    /// Records that were no events of this release.
    pub(crate) unreadable: u64,
}

impl Rings {
    /// Takes over the rings of a data plane that has connected.
    pub(crate) fn attach(&self, consumers: Vec<EventConsumer>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for ring in &mut inner.rings {
            ring.orphan = true;
        }
        inner.rings.extend(consumers.into_iter().map(|consumer| {
            // What was lost before this process came is not its news.
            let told = consumer.health();
            Ring {
                consumer,
                told,
                unreadable: 0,
                orphan: false,
            }
        }));
    }

    /// The data plane is gone; what its rings still hold is read.
    pub(crate) fn orphan(&self) {
        self.attach(Vec::new());
    }

    /// Reads a batch from every ring into `events`; true if there may be more at once.
    pub(crate) fn drain(&self, events: &Events) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut more = false;
        let mut record = Vec::new();
        let mut any = false;
        for ring in &mut inner.rings {
            let mut taken = 0;
            while taken < PUMP_BATCH_EVENTS_MAX && ring.consumer.read(&mut record) {
                taken += 1;
                match Event::decode(&record) {
                    Ok(event) => events.put(&event),
                    Err(_) => ring.unreadable += 1,
                }
            }
            any |= taken > 0;
            more |= taken == PUMP_BATCH_EVENTS_MAX;
        }
        if any {
            events.flush();
        }
        // Only what is in the log gives its room back: if this process dies before, the next one reads it again.
        for ring in &mut inner.rings {
            ring.consumer.release();
        }
        let lost = inner.rings.iter_mut().map(Ring::news_of_loss).sum();
        inner.forget_empty_orphans();
        drop(inner);
        if lost > 0 {
            events.system(SystemEvent::EventsLost { count: lost });
        }
        more
    }

    /// What the rings have been through.
    pub(crate) fn totals(&self) -> RingTotals {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner
            .rings
            .iter()
            .map(Ring::totals)
            .fold(inner.past, RingTotals::plus)
    }
}

impl Inner {
    fn forget_empty_orphans(&mut self) {
        let past = &mut self.past;
        self.rings.retain(|ring| {
            let keep = !ring.orphan || ring.consumer.health().waiting_bytes > 0;
            if !keep {
                *past = past.plus(ring.totals());
            }
            keep
        });
    }
}

impl Ring {
    fn news_of_loss(&mut self) -> u64 {
        let health = self.consumer.health();
        let news = health.lost.saturating_sub(self.told.lost);
        self.told = health;
        news
    }

    fn totals(&self) -> RingTotals {
        let health = self.consumer.health();
        RingTotals {
            lost: health.lost,
            resynchronised: health.resynchronised,
            unreadable: self.unreadable,
        }
    }
}

impl RingTotals {
    fn plus(self, other: Self) -> Self {
        Self {
            lost: self.lost.saturating_add(other.lost),
            resynchronised: self.resynchronised + other.resynchronised,
            unreadable: self.unreadable + other.unreadable,
        }
    }
}

#[cfg(test)]
mod tests {
    use sluice_shm::EventProducer;
    use sluice_shm::limits::EVENT_RING_BYTES_MIN;
    use sluice_telemetry::SystemRecord;

    use super::*;
    use crate::event_log::EventLog;

    fn event(pid: u32) -> Vec<u8> {
        let event = SystemEvent::DataplaneStarted {
            pid,
            version: "0.1.0".to_owned(),
        };
        Event::System(SystemRecord {
            unix_us: 1,
            core: Some(1),
            event,
        })
        .encode()
        .unwrap()
    }

    fn setup() -> (Rings, Events, std::path::PathBuf, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("eve.json");
        (
            Rings::default(),
            Events::new(EventLog::new(&path)),
            path,
            directory,
        )
    }

    fn lines(path: &std::path::Path) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn events_of_every_ring_reach_the_log_and_the_memory() {
        let (rings, events, path, _directory) = setup();
        let (mut one, one_fd) = EventProducer::create(1, EVENT_RING_BYTES_MIN).unwrap();
        let (mut two, two_fd) = EventProducer::create(2, EVENT_RING_BYTES_MIN).unwrap();
        rings.attach(vec![
            EventConsumer::open(one_fd).unwrap(),
            EventConsumer::open(two_fd).unwrap(),
        ]);
        one.push(&event(1)).unwrap();
        two.push(&event(2)).unwrap();
        two.push(b"no event").unwrap();
        assert!(!rings.drain(&events));
        let written = lines(&path);
        assert_eq!(written.len(), 2);
        assert!(written.iter().all(|line| line["event_type"] == "system"));
        assert_eq!(events.recent().last(10, |_| true), written);
        assert_eq!(rings.totals().unreadable, 1);
    }

    #[test]
    fn f130_what_a_dead_data_plane_left_in_its_rings_is_read() {
        let (rings, events, path, _directory) = setup();
        let (mut old, fd) = EventProducer::create(1, EVENT_RING_BYTES_MIN).unwrap();
        rings.attach(vec![EventConsumer::open(fd).unwrap()]);
        old.push(&event(1)).unwrap();
        drop(old);
        let (mut new, fd) = EventProducer::create(1, EVENT_RING_BYTES_MIN).unwrap();
        rings.attach(vec![EventConsumer::open(fd).unwrap()]);
        new.push(&event(2)).unwrap();
        rings.drain(&events);
        assert_eq!(lines(&path).len(), 2);
        assert_eq!(
            rings.inner.lock().unwrap().rings.len(),
            1,
            "the old ring is gone"
        );
    }

    #[test]
    fn lost_events_are_an_event_once() {
        let (rings, events, path, _directory) = setup();
        let (mut producer, fd) = EventProducer::create(1, EVENT_RING_BYTES_MIN).unwrap();
        rings.attach(vec![EventConsumer::open(fd).unwrap()]);
        while producer.push(&[0; 1000]).is_ok() {}
        rings.drain(&events);
        rings.drain(&events);
        let lost: Vec<_> = lines(&path);
        assert_eq!(lost.len(), 1, "{lost:?}");
        assert_eq!(rings.totals().lost, 1);
    }
}
