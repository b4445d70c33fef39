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
}
