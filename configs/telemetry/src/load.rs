//! How loaded the appliance is.

use serde::{Deserialize, Serialize};

/// How the number of inspected sessions compares with the limit.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum LoadState {
    /// Below the warning threshold.
    #[default]
    Normal,
    /// The warning threshold is reached.
    Warning,
    /// The critical threshold is reached.
    Critical,
    /// There are as many as the limit allows: further ones are bypassed or blocked.
    Reached,
}

impl LoadState {
    /// Every state, the lowest first.
    pub const ALL: [Self; 4] = [Self::Normal, Self::Warning, Self::Critical, Self::Reached];

    /// `normal`, `warning`, `critical` or `reached`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Reached => "reached",
        }
    }

    /// Position in [`Self::ALL`]: what counters and shared memory hold.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The state with this number; absent when there is none.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

impl core::fmt::Display for LoadState {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

/// Why new flows are forwarded at layer 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FallbackReason {
    /// An operator said so.
    Command,
    /// No helper thread has answered for too long: no leaf with an RSA signature can be forged.
    HelpersStalled,
    /// The processor's random numbers failed their health test while they were in use.
    RandomUnhealthy,
    /// Packet buffers have been nearly used up for too long.
    BuffersExhausted,
}

impl FallbackReason {
    /// Every reason.
    pub const ALL: [Self; 4] = [
        Self::Command,
        Self::HelpersStalled,
        Self::RandomUnhealthy,
        Self::BuffersExhausted,
    ];

    /// The stable kebab-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::HelpersStalled => "helpers-stalled",
            Self::RandomUnhealthy => "random-unhealthy",
            Self::BuffersExhausted => "buffers-exhausted",
        }
    }

    /// For people, to stand behind "because".
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Command => "an operator said so",
            Self::HelpersStalled => "no helper thread has answered for too long",
            Self::RandomUnhealthy => "the processor's random numbers failed their health test",
            Self::BuffersExhausted => "packet buffers have been nearly used up for too long",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// All reasons that hold at once. Layer-2 fallback is on while there is any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FallbackReasons(u8);

impl FallbackReasons {
    /// As [`Self::bits`] gave them; unknown bits are ignored.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        let all = FallbackReason::ALL.into_iter();
        Self(
            all.filter(|reason| bits & u64::from(reason.bit()) != 0)
                .fold(0, |bits, reason| bits | reason.bit()),
        )
    }

    /// One bit per reason, as the counters hold them.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether layer-2 fallback is off.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this reason holds.
    #[must_use]
    pub const fn contains(self, reason: FallbackReason) -> bool {
        self.0 & reason.bit() != 0
    }

    /// Makes a reason hold or not. True when that is a change.
    pub const fn set(&mut self, reason: FallbackReason, holds: bool) -> bool {
        let before = self.0;
        if holds {
            self.0 |= reason.bit();
        } else {
            self.0 &= !reason.bit();
        }
        self.0 != before
    }

    /// The reasons that hold.
    pub fn iter(self) -> impl Iterator<Item = FallbackReason> {
        let all = FallbackReason::ALL.into_iter();
        all.filter(move |reason| self.contains(*reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_positions_and_names_are_those_on_the_wire() {
        for (position, state) in LoadState::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(state.number()), position);
            assert_eq!(LoadState::from_number(position as u64), Some(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
        assert_eq!(LoadState::from_number(4), None);
        assert_eq!(LoadState::from_number(u64::MAX), None);
    }

    #[test]
    fn f22_reasons_are_bits_and_names_are_those_on_the_wire() {
        let mut reasons = FallbackReasons::default();
        for reason in FallbackReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
            assert!(reasons.set(reason, true) && !reasons.set(reason, true));
            assert!(reasons.contains(reason));
        }
        assert_eq!(reasons.iter().count(), FallbackReason::ALL.len());
        assert_eq!(FallbackReasons::from_bits(reasons.bits().into()), reasons);
        assert_eq!(FallbackReasons::from_bits(u64::MAX), reasons);
        assert!(reasons.set(FallbackReason::Command, false));
        assert!(!reasons.contains(FallbackReason::Command) && !reasons.is_empty());
        assert!(FallbackReasons::from_bits(0).is_empty());
    }
}
