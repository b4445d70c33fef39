//! What of a session is read together, asked for before it is.

use sluice_packet::fetch;

use super::Session;

impl Session {
    /// Asks for its beginning, and so for where its page is.
    pub(crate) fn reach(&self) {
        fetch(&self.stage);
    }

    /// Asks for what a segment of that end will read.
    pub(crate) fn fetch_half(&self, client: bool) {
        if client {
            self.client.fetch(self.client_sends);
        } else {
            self.origin.fetch(self.origin_sends);
        }
        fetch(&self.stage);
        fetch(&self.application);
    }

    /// Asks for what [`Self::next_timeout`] reads.
    pub(crate) fn fetch_deadlines(&self) {
        fetch(&self.deadline);
        self.client.fetch_deadlines();
        self.origin.fetch_deadlines();
    }

    /// Asks for what its turn will read. What has just heard a segment was read for that.
    pub(crate) fn fetch(&self) {
        match self.heard {
            Some(true) => self
                .origin
                .fetch(self.client.has_text() || self.origin_sends),
            Some(false) => self
                .client
                .fetch(self.origin.has_text() || self.client_sends),
            None => {
                self.client.fetch(true);
                self.origin.fetch(true);
            }
        }
        fetch(&self.application);
    }
}
