//! The EAL's and the drivers' own output: kept, bounded, to be quoted in errors instead of being printed.

use core::ffi::{c_char, c_void};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::limits::{LOG_LINE_BYTES_MAX, LOG_LINES_MAX};

static LINES: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

/// Sends the EAL's output here instead of to standard error and syslog. False if the C library had no stream to give.
pub(crate) fn capture() -> bool {
    // SAFETY: `write` matches the callback's type and is never unloaded; the stream it makes is kept by the EAL for good.
    unsafe { dpdk_sys::dpdk_shim_log_to(Some(write)) == 0 }
}

/// Takes the lines kept so far, oldest first.
pub(crate) fn take() -> Vec<String> {
    lines().drain(..).collect()
}

fn lines() -> MutexGuard<'static, VecDeque<String>> {
    // A line is pushed whole or not at all, so a panic elsewhere leaves nothing half done here.
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

extern "C" fn write(_cookie: *mut c_void, text: *const c_char, len: usize) -> isize {
    if !text.is_null() && len > 0 {
        // SAFETY: stdio hands over `len` readable bytes that stay put until this callback returns.
        let bytes = unsafe { core::slice::from_raw_parts(text.cast::<u8>(), len) };
        keep(&String::from_utf8_lossy(bytes));
    }
    isize::try_from(len).unwrap_or(isize::MAX)
}

fn keep(text: &str) {
    let mut lines = lines();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if lines.len() == LOG_LINES_MAX {
            lines.pop_front();
        }
        let mut end = line.len().min(LOG_LINE_BYTES_MAX);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        lines.push_back(line.get(..end).unwrap_or_default().to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_drivers_say_is_kept_bounded() {
        keep("EAL: first\n\n  EAL: second  \n");
        assert_eq!(take(), ["EAL: first", "EAL: second"]);
        for number in 0..LOG_LINES_MAX + 3 {
            keep(&format!("line {number} {}", "é".repeat(LOG_LINE_BYTES_MAX)));
        }
        let kept = take();
        assert_eq!(kept.len(), LOG_LINES_MAX);
        assert!(kept.iter().all(|line| line.len() <= LOG_LINE_BYTES_MAX));
        assert!(kept[0].starts_with("line 3 "), "the oldest go first");
        assert!(take().is_empty());
    }
}
