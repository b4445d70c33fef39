//! Every bound of the end-to-end tests, with its unit in the name.

use std::time::Duration;

/// How long the lab may take to come up or go down.
pub(crate) const LAB_SECONDS_MAX: Duration = Duration::from_secs(120);
/// How long one command of a client may take, unless it says otherwise.
pub(crate) const COMMAND_SECONDS_MAX: Duration = Duration::from_secs(60);
/// How long a process may take to stop when asked.
pub(crate) const STOP_SECONDS_MAX: Duration = Duration::from_secs(5);
/// How long a flow's event may take to be logged after the flow's end.
pub(crate) const EVENT_SECONDS_MAX: Duration = Duration::from_secs(5);
/// How long a capture may take to begin.
pub(crate) const CAPTURE_SECONDS_MAX: Duration = Duration::from_secs(5);
/// How long a capture waits for packets on their way before it ends.
pub(crate) const CAPTURE_SETTLE: Duration = Duration::from_millis(300);
/// Between two looks at a condition.
pub(crate) const POLL: Duration = Duration::from_millis(20);
/// Longest frame a capture holds, bytes.
pub(crate) const FRAME_BYTES_MAX: usize = 65_536;
/// Frames that one direction of a bad link holds, at most.
pub(crate) const LINE_FRAMES_MAX: usize = 65_536;
/// Frames that are read from a port of a bad link before what is due is written.
pub(crate) const FRAMES_AT_ONCE_MAX: usize = 64;
/// How long a bad link waits for a frame before it looks whether it has been ended.
pub(crate) const RELAY_LOOK: Duration = Duration::from_millis(200);
/// Longest delay of a bad link.
pub(crate) const DELAY_MAX: Duration = Duration::from_secs(2);
/// How long a frame of a bad link is held back at most, unless it says otherwise.
pub(crate) const REORDER_BY_DEFAULT: Duration = Duration::from_millis(1);
