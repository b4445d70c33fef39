//! When the timer wheel calls for a flow.
//!
//! A flow has one alarm. One that is put off is not moved: it calls for nothing, and is set anew then. A flow that is taken over
//! has a second alarm for what is due soon, which mostly never comes to that: what was sent is acknowledged, and the alarm
//! taken back. So the first one stays where it is, far off among the timers of flows that have nothing to do with this one,
//! while those of near alarms are few and stand where timers were set just before.

use sluice_flow::{FlowId, TimerId, TimerWheel};
use sluice_packet::{Instant, PacketBuf};

use crate::flow::State;
use crate::limits::{NEAR_ALARM_MAX, NEAR_ALARMS_ONE_IN, TIMER_STEPS_PER_POLL};
use crate::worker::Worker;

/// A timer, or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Alarm {
    pub(crate) timer: TimerId,
    /// When it calls, or when it was last to have called.
    at: Instant,
}

impl Alarm {
    pub(crate) const NONE: Self = Self {
        timer: TimerId::NONE,
        at: Instant::ZERO,
    };

    fn is_set(&self) -> bool {
        self.timer != TimerId::NONE
    }

    /// Whether it was set to about as far ahead as it is to be set to now, and taken back only a little while ago.
    fn was_wanted(&self, due: Instant, now: Instant) -> bool {
        let until = |at: Instant| at.micros().saturating_sub(now.micros());
        let (left, wait) = (until(self.at), until(due));
        let little = wait / 32;
        left > wait - little && left < wait + little
    }

    /// Has the wheel call for a flow at `due`, or sooner.
    #[inline]
    fn set(&mut self, flow: FlowId, due: Instant, wheel: &mut TimerWheel<FlowId>) {
        // A later time is not worth a rescheduling.
        if !self.is_set() || due < self.at {
            self.set_to(flow, due, wheel);
        }
    }

    fn set_to(&mut self, flow: FlowId, due: Instant, wheel: &mut TimerWheel<FlowId>) {
        if !wheel.reschedule(self.timer, due) {
            self.timer = wheel.schedule(flow, due);
        }
        self.at = due;
    }

    /// Takes it back, if it is set.
    pub(crate) fn cancel(&mut self, wheel: &mut TimerWheel<FlowId>) {
        if self.is_set() {
            wheel.cancel(self.timer);
            self.timer = TimerId::NONE;
        }
    }

    /// If it has called, it is no longer set.
    #[inline]
    fn note_call(&mut self, wheel: &TimerWheel<FlowId>, now: Instant) {
        if self.at <= now && !wheel.is_waiting(self.timer) {
            self.timer = TimerId::NONE;
        }
    }
}

/// Near alarms that may be set at the same time, in a table with room for so many flows.
pub(crate) const fn near_alarms_max(flows_max: usize) -> usize {
    flows_max / NEAR_ALARMS_ONE_IN
}

/// A wheel with memory for the alarms of so many flows. Those that have just called are not seen as they are counted.
pub(crate) fn wheel(flows_max: usize, now: Instant) -> TimerWheel<FlowId> {
    let alarms = flows_max + near_alarms_max(flows_max);
    TimerWheel::new(now, alarms + TIMER_STEPS_PER_POLL)
}

impl<B: PacketBuf> Worker<B> {
    /// Timers that are waiting: one for every flow, and one more for a flow taken over on which something is due soon.
    #[must_use]
    pub fn timers(&self) -> usize {
        self.wheel.len()
    }

    /// Has the wheel call for a flow when something is due on it. To be called for every flow that the wheel has called for.
    pub(crate) fn set_alarm(&mut self, id: FlowId, now: Instant) {
        let near_max = near_alarms_max(self.table.capacity());
        // All flows have one that is not near.
        let has_room = self.wheel.len() < self.table.len() + near_max;
        let wheel = &mut self.wheel;
        let Some(flow) = self.table.get_mut(id) else {
            return;
        };
        let due = flow.next_timeout().max(now);
        flow.alarm.note_call(wheel, now);
        if let State::Taken(session) = &mut flow.state {
            let near = &mut session.near;
            near.note_call(wheel, now);
            if due >= now + NEAR_ALARM_MAX {
                if !session.is_brisk {
                    near.cancel(wheel);
                }
            } else if has_room {
                flow.alarm.set(id, session.deadline.max(due), wheel);
                if due < flow.alarm.at {
                    if !near.is_set() {
                        session.is_brisk = near.was_wanted(due, now);
                    }
                    near.set(id, due, wheel);
                }
                return;
            }
        }
        flow.alarm.set(id, due, wheel);
    }
}
