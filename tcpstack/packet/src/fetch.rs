//! Memory that is read soon.

use core::slice;

use prefetch_index::prefetch_index;

/// Asks for the cache line in which `place` begins. Nothing waits for it: what is done until it is read is done meanwhile.
#[inline(always)]
pub fn fetch<T>(place: &T) {
    prefetch_index(slice::from_ref(place), 0);
}
