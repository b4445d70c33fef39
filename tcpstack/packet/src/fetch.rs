//! Memory that is read soon.

use core::ops::Range;
use core::slice;

use prefetch_index::prefetch_index;

/// Bytes that come to the cache together.
const LINE_BYTES: usize = 64;

/// Asks for the cache line in which `place` begins. Nothing waits for it: what is done until it is read is done meanwhile.
#[inline(always)]
pub fn fetch<T>(place: &T) {
    prefetch_index(slice::from_ref(place), 0);
}

/// The cache lines of a struct that has this as its first field, which puts it at the beginning of one.
#[derive(Debug, Default)]
pub struct CacheLines([CacheLine; 0]);

/// One of them.
#[derive(Debug)]
#[repr(align(64))]
struct CacheLine {
    _bytes: [u8; LINE_BYTES],
}

const _: () = assert!(size_of::<CacheLines>() == 0 && align_of::<CacheLines>() == LINE_BYTES);

impl CacheLines {
    /// Asks for those in which these bytes of the struct lie.
    #[inline(always)]
    pub fn fetch(&self, bytes: Range<usize>) {
        for line in bytes.start / LINE_BYTES..bytes.end.div_ceil(LINE_BYTES) {
            prefetch_index(&self.0, line);
        }
    }
}
