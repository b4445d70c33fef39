//! The rate limit of challenge acknowledgements.

use core::time::Duration;

use sluice_packet::Instant;

use crate::limits;

//= https://www.rfc-editor.org/rfc/rfc5961#section-7
//# An implementation SHOULD include an ACK throttling mechanism to be conservative.

/// Counts per connection, so that what one connection is asked tells nothing about another.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ChallengeLimiter {
    second_start: Instant,
    sent: u32,
}

impl ChallengeLimiter {
    pub(crate) fn allow(&mut self, now: Instant) -> bool {
        if now.saturating_since(self.second_start) >= Duration::from_secs(1) {
            *self = Self {
                second_start: now,
                sent: 0,
            };
        }
        self.sent += 1;
        self.sent <= limits::CHALLENGE_ACKS_PER_SECOND_MAX
    }
}
