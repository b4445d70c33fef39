//! Memory that empty streams give back and the next ones take.
//!
//! Most connections of a busy core hold bytes for the length of one burst. What one of them gave back last is still in the
//! core's cache, so the next one gets that: however many connections there are, they work in the same few kilobytes. Every
//! core is a thread of its own, and so is its pool.

use core::cell::RefCell;
use std::collections::VecDeque;

use crate::flight::Sent;
use crate::limits::{
    BUFFER_BYTES_MIN, FLIGHT_SEGMENTS_START, POOLED_BUFFERS_MAX, POOLED_FLIGHTS_MAX,
};

thread_local! {
    static BUFFERS: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
    static FLIGHTS: RefCell<Vec<VecDeque<Sent>>> = const { RefCell::new(Vec::new()) };
}

/// [`BUFFER_BYTES_MIN`] bytes, all zero.
pub(crate) fn take_buffer() -> Box<[u8]> {
    let pooled = BUFFERS.try_with(|pool| pool.borrow_mut().pop());
    pooled
        .ok()
        .flatten()
        .unwrap_or_else(|| vec![0; BUFFER_BYTES_MIN].into_boxed_slice())
}

/// Takes back what [`take_buffer`] gave. Its first `used` bytes may not be zero: they are made so, and what one connection
/// has said is not there when another gets it.
pub(crate) fn give_buffer(mut buffer: Box<[u8]>, used: usize) {
    if buffer.len() != BUFFER_BYTES_MIN {
        return;
    }
    let used = used.min(buffer.len());
    if let Some(used) = buffer.get_mut(..used) {
        used.fill(0);
    }
    // A thread that ends has no pool any more: the memory is freed.
    let _ended = BUFFERS.try_with(|pool| keep(&mut pool.borrow_mut(), buffer, POOLED_BUFFERS_MAX));
}

/// Room for the records of [`FLIGHT_SEGMENTS_START`] segments.
pub(crate) fn take_flight() -> VecDeque<Sent> {
    let pooled = FLIGHTS.try_with(|pool| pool.borrow_mut().pop());
    pooled
        .ok()
        .flatten()
        .unwrap_or_else(|| VecDeque::with_capacity(FLIGHT_SEGMENTS_START))
}

/// Takes back what [`take_flight`] gave, empty. False, and nothing done, for what has grown since.
pub(crate) fn give_flight(flight: &mut VecDeque<Sent>) -> bool {
    if flight.capacity() != FLIGHT_SEGMENTS_START || !flight.is_empty() {
        return false;
    }
    let mut flight = core::mem::take(flight);
    // The next one starts at its beginning, which is in the cache.
    flight.clear();
    let _ended = FLIGHTS.try_with(|pool| keep(&mut pool.borrow_mut(), flight, POOLED_FLIGHTS_MAX));
    true
}

fn keep<T>(pool: &mut Vec<T>, item: T, max: usize) {
    if pool.capacity() == 0 {
        // Once and for all.
        pool.reserve_exact(max);
    }
    if pool.len() < max {
        pool.push(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_back_last_comes_first_and_is_zero() {
        let (mut first, second) = (take_buffer(), take_buffer());
        first[..3].copy_from_slice(b"abc");
        let place = first.as_ptr();
        give_buffer(second, 0);
        give_buffer(first, 3);
        let again = take_buffer();
        assert_eq!(again.as_ptr(), place);
        assert!(again.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_pool_is_bounded() {
        for _ in 0..POOLED_BUFFERS_MAX + 10 {
            give_buffer(vec![0; BUFFER_BYTES_MIN].into(), 0);
            give_flight(&mut VecDeque::with_capacity(FLIGHT_SEGMENTS_START));
        }
        BUFFERS.with(|pool| assert_eq!(pool.borrow().len(), POOLED_BUFFERS_MAX));
        FLIGHTS.with(|pool| assert_eq!(pool.borrow().len(), POOLED_FLIGHTS_MAX));
        give_buffer(vec![0; 2 * BUFFER_BYTES_MIN].into(), 0);
        assert!(!give_flight(&mut VecDeque::with_capacity(
            2 * FLIGHT_SEGMENTS_START
        )));
    }
}
