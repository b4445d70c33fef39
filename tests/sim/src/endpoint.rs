//! What a simulation asks of an endpoint.

use sluice_packet::Instant;

use crate::application::Application;

/// A TCP end with its application, on a port of the network.
pub trait Endpoint {
    /// Takes a frame.
    fn on_frame(&mut self, now: Instant, frame: &[u8]);
    /// Runs timers and the application, and hands over every frame to send.
    fn poll(&mut self, now: Instant, send: &mut dyn FnMut(Vec<u8>));
    /// When it next has something to do by itself.
    fn next_timeout(&mut self, now: Instant) -> Option<Instant>;
    /// The connection is over or waits out TIME-WAIT.
    fn is_done(&self) -> bool;
    /// The connection was reset or given up.
    fn is_broken(&self) -> bool;
    /// What runs on top.
    fn application(&self) -> &Application;
    /// A line for a failure's report.
    fn describe(&self) -> String;
}

impl Endpoint for Box<dyn Endpoint> {
    fn on_frame(&mut self, now: Instant, frame: &[u8]) {
        (**self).on_frame(now, frame);
    }

    fn poll(&mut self, now: Instant, send: &mut dyn FnMut(Vec<u8>)) {
        (**self).poll(now, send);
    }

    fn next_timeout(&mut self, now: Instant) -> Option<Instant> {
        (**self).next_timeout(now)
    }

    fn is_done(&self) -> bool {
        (**self).is_done()
    }

    fn is_broken(&self) -> bool {
        (**self).is_broken()
    }

    fn application(&self) -> &Application {
        (**self).application()
    }

    fn describe(&self) -> String {
        (**self).describe()
    }
}
