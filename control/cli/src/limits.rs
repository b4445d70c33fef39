//! Bounds of what the command line reads and shows.

/// Longest passphrase, bytes.
pub(crate) const PASSPHRASE_BYTES_MAX: u64 = 1024;
/// Sessions shown unless told otherwise.
pub(crate) const SESSIONS_SHOWN: u32 = 50;
/// Events shown unless told otherwise.
pub(crate) const EVENTS_SHOWN: u32 = 20;
/// Longest span over which `show cores` measures, seconds.
pub(crate) const INTERVAL_S_MAX: u64 = 3600;

const _: () = assert!(SESSIONS_SHOWN as usize <= sluice_api::limits::SESSIONS_MAX);
const _: () = assert!(EVENTS_SHOWN as usize <= sluice_api::limits::EVENTS_MAX);
