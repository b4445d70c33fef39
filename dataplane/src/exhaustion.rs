//! Whether packet buffers are nearly used up, and what follows for new flows.
//!
//! A port that refuses frames says nothing of the kind: whoever sends more than a link carries would choose when flows pass
//! uninspected. Such frames are dropped and counted, which is all.

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dpdk::Mempool;
use sluice_packet::Instant;
use sluice_schema::OnExhaustion;
use sluice_telemetry::SystemEvent;

use crate::limits::{BUFFERS_ENOUGH_PERCENT, BUFFERS_LOOK_INTERVAL, BUFFERS_LOW_PERCENT};

/// The pool that all cores share, as one of them looks at it for all.
#[derive(Clone, Debug)]
pub(crate) struct Buffers {
    pool: Mempool,
    /// Buffers that lie in receive queues and were never to be had.
    reserved: u32,
    low: Arc<AtomicBool>,
}

impl Buffers {
    /// Over a pool from which the ports have taken what they need.
    pub(crate) fn new(pool: Mempool) -> Self {
        Self {
            pool,
            reserved: pool.in_use(),
            low: Arc::default(),
        }
    }

    /// Whether they were nearly used up at the last look.
    pub(crate) fn low(&self) -> bool {
        self.low.load(Ordering::Relaxed)
    }

    fn look(&self) -> bool {
        let had = self.pool.packets().saturating_sub(self.reserved);
        let used = self.pool.in_use().saturating_sub(self.reserved);
        let low = is_low(self.low(), used, had);
        self.low.store(low, Ordering::Relaxed);
        low
    }
}

/// Buffers become low below one mark and enough above a higher one, so that the load's swings are not told as news.
fn is_low(before: bool, used: u32, had: u32) -> bool {
    let free_percent = |percent: u32| u64::from(had) * u64::from(percent) / 100;
    let free = u64::from(had.saturating_sub(used));
    if before {
        free < free_percent(BUFFERS_ENOUGH_PERCENT)
    } else {
        free < free_percent(BUFFERS_LOW_PERCENT)
    }
}

/// What one core knows of it.
#[derive(Debug)]
pub(crate) struct Exhaustion {
    buffers: Buffers,
    /// This core looks at the pool, and tells of it.
    looks: bool,
    look_at: Instant,
    buffers_low: bool,
    on_exhaustion: OnExhaustion,
    told: Option<OnExhaustion>,
}

impl Exhaustion {
    /// Nothing is short yet.
    pub(crate) fn new(buffers: Buffers, looks: bool) -> Self {
        Self {
            buffers,
            looks,
            look_at: Instant::ZERO,
            buffers_low: false,
            on_exhaustion: OnExhaustion::default(),
            told: None,
        }
    }

    /// What follows, as the newest generation says.
    pub(crate) fn follow(&mut self, on_exhaustion: OnExhaustion) {
        self.on_exhaustion = on_exhaustion;
    }

    /// Looks at the pool, if it is time. What is news goes to `tell`; what is to happen to new flows is returned when it has
    /// changed.
    pub(crate) fn look(
        &mut self,
        now: Instant,
        tell: &mut dyn FnMut(SystemEvent),
    ) -> Option<Option<OnExhaustion>> {
        if self.looks && now >= self.look_at {
            self.look_at = now + BUFFERS_LOOK_INTERVAL;
            self.buffers.look();
        }
        let low = self.buffers.low();
        if low != self.buffers_low {
            self.buffers_low = low;
            if self.looks {
                tell(self.event(low));
            }
        }
        let wanted = self.buffers_low.then_some(self.on_exhaustion);
        if wanted == self.told {
            return None;
        }
        self.told = wanted;
        Some(wanted)
    }

    fn event(&self, exhausted: bool) -> SystemEvent {
        SystemEvent::Exhaustion {
            exhausted,
            drops: self.on_exhaustion == OnExhaustion::Drop,
        }
    }
}

const _: () = assert!(BUFFERS_LOW_PERCENT < BUFFERS_ENOUGH_PERCENT);
const _: () = assert!(Duration::ZERO.as_nanos() < BUFFERS_LOOK_INTERVAL.as_nanos());

#[cfg(test)]
mod tests {
    use dpdk::{Eal, EalConfig, Huge, LcoreId, LcorePlacement, Mbuf};

    use super::*;

    #[test]
    fn d128_buffers_are_low_below_one_mark_and_enough_above_another() {
        let free = |before, free: u32| is_low(before, 1_000 - free, 1_000);
        assert!(!free(false, 1_000) && !free(false, BUFFERS_LOW_PERCENT * 10));
        assert!(free(false, BUFFERS_LOW_PERCENT * 10 - 1));
        assert!(free(true, BUFFERS_ENOUGH_PERCENT * 10 - 1));
        assert!(!free(true, BUFFERS_ENOUGH_PERCENT * 10));
        assert!(is_low(false, u32::MAX, 1_000), "more than all");
        assert!(
            !is_low(true, 0, 0),
            "a pool of which nothing is to be had says nothing"
        );
    }

    #[test]
    fn d128_a_small_pool_that_is_used_up_is_told_once_and_recovers() {
        let config = EalConfig {
            lcores: vec![LcorePlacement {
                lcore: LcoreId(0),
                cpu: 0,
            }],
            memory_mib: 64,
            hugepages: Huge::Off,
            ..EalConfig::default()
        };
        let eal = Eal::init(&config).expect("the EAL");
        let pool = Mempool::new(&eal, "small", 1_023, 0, 2_176, None).expect("a pool");
        let reserved: Vec<Mbuf> = (0..500).filter_map(|_| pool.alloc()).collect();
        let buffers = Buffers::new(pool);
        let mut first = Exhaustion::new(buffers.clone(), true);
        let mut second = Exhaustion::new(buffers.clone(), false);
        first.follow(OnExhaustion::Drop);

        let mut told = Vec::new();
        let mut at = Instant::ZERO;
        let mut look = |exhaustion: &mut Exhaustion| {
            at += BUFFERS_LOOK_INTERVAL;
            exhaustion.look(at, &mut |event| told.push(event))
        };
        assert_eq!(look(&mut first), None, "what ports hold is not missed");
        let taken: Vec<Mbuf> = std::iter::from_fn(|| pool.alloc()).collect();
        assert_eq!(taken.len(), 523);
        assert_eq!(look(&mut first), Some(Some(OnExhaustion::Drop)));
        assert_eq!(look(&mut first), None);
        assert_eq!(look(&mut second), Some(Some(OnExhaustion::Bypass)));
        assert!(buffers.low());
        drop(taken);
        assert_eq!(look(&mut first), Some(None));
        assert_eq!(look(&mut second), Some(None));
        assert!(!buffers.low());
        drop(reserved);

        let event = |exhausted| SystemEvent::Exhaustion {
            exhausted,
            drops: true,
        };
        assert_eq!(told, [event(true), event(false)]);
    }
}
