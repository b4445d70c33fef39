//! What lies between the two ends: a network, or networks with something in their middle.

use sluice_packet::Instant;

use crate::network::{Counts, Network, Side};

/// Carries frames from one end to the other.
pub trait Between {
    /// Takes a frame from the end opposite `to`. False when it is already lost.
    fn send(&mut self, now: Instant, to: Side, frame: Vec<u8>) -> bool;
    /// A frame that has arrived at an end by `now`.
    fn arrived(&mut self, now: Instant) -> Option<(Side, Vec<u8>)>;
    /// When something next happens by itself.
    fn next_event(&self, now: Instant) -> Option<Instant>;
    /// Frames that have not arrived.
    fn under_way(&self) -> usize;
    /// What happened to frames so far.
    fn counts(&self) -> Counts;
    /// What is wrong with what it did so far.
    fn fault(&self) -> Option<String> {
        None
    }
    /// Lines for a trace, of what happened since the last call.
    fn notes(&mut self) -> Vec<String> {
        Vec::new()
    }
    /// A line for a failure's report.
    fn describe(&self) -> String {
        format!("{:?}", self.counts())
    }
}

impl Between for Network {
    fn send(&mut self, now: Instant, to: Side, frame: Vec<u8>) -> bool {
        let before = self.counts().dropped();
        Self::send(self, now, to, frame);
        self.counts().dropped() == before
    }

    fn arrived(&mut self, now: Instant) -> Option<(Side, Vec<u8>)> {
        Self::arrived(self, now)
    }

    fn next_event(&self, _now: Instant) -> Option<Instant> {
        self.next_arrival()
    }

    fn under_way(&self) -> usize {
        Self::under_way(self)
    }

    fn counts(&self) -> Counts {
        *Self::counts(self)
    }
}
