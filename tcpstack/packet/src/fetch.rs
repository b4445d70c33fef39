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

/// The cache lines of a struct of `repr(C)` that has this as its first field, which puts it at the beginning of one.
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
        for line in lines(bytes) {
            prefetch_index(&self.0, line);
        }
    }
}

const fn lines(bytes: Range<usize>) -> Range<usize> {
    bytes.start / LINE_BYTES..bytes.end.div_ceil(LINE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_lie_in_every_line_that_has_one_of_them() {
        for (bytes, expected) in [
            (0..64, 0..1),
            (0..65, 0..2),
            (63..64, 0..1),
            (64..128, 1..2),
            (72..512, 1..8),
            (127..129, 1..3),
        ] {
            assert_eq!(lines(bytes.clone()), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_struct_begins_with_its_first_line() {
        #[repr(C)]
        struct Half {
            lines: CacheLines,
            bytes: [u8; 100],
        }
        let halves = [0, 1].map(|value| Half {
            lines: CacheLines::default(),
            bytes: [value; 100],
        });
        for half in &halves {
            let start = core::ptr::from_ref(half).addr();
            assert_eq!(start % LINE_BYTES, 0);
            assert_eq!(core::ptr::from_ref(&half.lines).addr(), start);
            half.lines.fetch(0..size_of::<Half>());
        }
        assert_eq!(halves.map(|half| half.bytes[99]), [0, 1]);
    }
}
