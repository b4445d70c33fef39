//! A byte stream's memory: contiguous from its head on, growing with what it holds and given back when empty: at once to the
//! core's pool as long as it is small, later by its owner when it has grown.
//!
//! The bytes stay contiguous so that records are opened and sealed in place. The price is a move of the live bytes when
//! the tail reaches the end of the allocation; it happens only when at least as many bytes were consumed since the last
//! one, so each byte is moved at most once on average.

use crate::sequence::{length, size};
use crate::{limits, pool};

#[derive(Debug, Default)]
pub(crate) struct Buffer {
    /// Fully initialised; its length is the allocation.
    storage: Box<[u8]>,
    /// First byte not consumed.
    head: u32,
    /// One past the last byte that belongs to the stream.
    tail: u32,
    /// One past the last byte written ahead of the tail; at least `tail`.
    extent: u32,
    /// Bytes of the storage that somebody may have written to.
    used: u32,
}

impl Buffer {
    pub(crate) fn len(&self) -> usize {
        size(self.tail - self.head)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tail == self.head
    }

    pub(crate) fn readable(&self) -> &[u8] {
        self.storage
            .get(size(self.head)..size(self.tail))
            .unwrap_or(&[])
    }

    pub(crate) fn readable_mut(&mut self) -> &mut [u8] {
        self.storage
            .get_mut(size(self.head)..size(self.tail))
            .unwrap_or(&mut [])
    }

    /// `count` bytes from `offset` past the head, cut to what is there.
    pub(crate) fn range(&self, offset: usize, count: usize) -> &[u8] {
        let readable = self.readable();
        let start = offset.min(readable.len());
        let end = start.saturating_add(count).min(readable.len());
        readable.get(start..end).unwrap_or(&[])
    }

    /// Drops up to `count` bytes from the head.
    pub(crate) fn consume(&mut self, count: usize) {
        self.head += length(count.min(self.len()));
        if self.head == self.extent {
            (self.head, self.tail, self.extent) = (0, 0, 0);
            if self.storage.len() == limits::BUFFER_BYTES_MIN {
                self.release();
            }
        }
    }

    /// `count` writable bytes at the tail; [`commit`](Self::commit) makes them part of the stream.
    pub(crate) fn spare_mut(&mut self, count: usize) -> &mut [u8] {
        self.make_room(count);
        let start = size(self.tail);
        self.storage
            .get_mut(start..start + count)
            .unwrap_or(&mut [])
    }

    /// Makes `count` bytes written at the tail part of the stream.
    pub(crate) fn commit(&mut self, count: usize) {
        self.tail = length((size(self.tail) + count).min(self.storage.len()));
        self.extent = self.extent.max(self.tail);
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.spare_mut(bytes.len()).copy_from_slice(bytes);
        self.commit(bytes.len());
    }

    /// Writes `bytes` at `offset` past the tail without making them part of the stream.
    pub(crate) fn write_ahead(&mut self, offset: usize, bytes: &[u8]) {
        let count = offset + bytes.len();
        self.make_room(count);
        let (start, end) = (size(self.tail) + offset, size(self.tail) + count);
        if let Some(spare) = self.storage.get_mut(start..end) {
            spare.copy_from_slice(bytes);
            self.extent = self.extent.max(length(end));
        }
    }

    /// Gives the memory back if nothing is held.
    pub(crate) fn release(&mut self) {
        if self.head == self.extent {
            let empty = core::mem::take(self);
            pool::give_buffer(empty.storage, size(empty.used));
        }
    }

    /// Bytes allocated.
    pub(crate) fn allocated(&self) -> usize {
        self.storage.len()
    }

    /// Makes `count` bytes after the tail addressable.
    fn make_room(&mut self, count: usize) {
        if count > self.storage.len().saturating_sub(size(self.tail)) {
            self.rearrange(count);
        }
        self.used = self.used.max(length(size(self.tail) + count));
    }

    /// Moves what is held to the front, of a larger allocation if need be.
    fn rearrange(&mut self, count: usize) {
        let (head, extent) = (size(self.head), size(self.extent));
        let live = extent - head;
        let needed = (size(self.tail) - head) + count;
        if needed <= self.storage.len() && head >= live {
            self.storage.copy_within(head..extent, 0);
        } else if needed <= limits::BUFFER_BYTES_MIN && self.storage.is_empty() {
            self.storage = pool::take_buffer();
        } else {
            let grown = needed
                .max(limits::BUFFER_BYTES_MIN)
                .max(self.storage.len() * 2)
                .next_power_of_two();
            let mut storage = vec![0; grown].into_boxed_slice();
            if let (Some(to), Some(from)) =
                (storage.get_mut(..live), self.storage.get(head..extent))
            {
                to.copy_from_slice(from);
            }
            let before = core::mem::replace(&mut self.storage, storage);
            pool::give_buffer(before, size(self.used));
            self.used = length(live);
        }
        self.tail -= self.head;
        self.extent -= self.head;
        self.head = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stay_contiguous_across_moves_and_growth() {
        let mut buffer = Buffer::default();
        let mut written = 0_u32;
        let mut read = 0_u32;
        for round in 0..10_000_usize {
            for _ in 0..round % 37 {
                buffer.push(&written.to_be_bytes());
                written += 1;
            }
            let take = (round * 7 % 41).min(buffer.len() / 4);
            for chunk in buffer.readable()[..take * 4].chunks(4) {
                assert_eq!(chunk, read.to_be_bytes());
                read += 1;
            }
            buffer.consume(take * 4);
        }
        assert!(
            buffer.allocated() <= 16 * limits::BUFFER_BYTES_MIN,
            "{}",
            buffer.allocated()
        );
    }

    #[test]
    fn memory_is_given_back_only_when_nothing_is_held() {
        let mut buffer = Buffer::default();
        buffer.push(b"abc");
        buffer.write_ahead(5, b"xyz");
        buffer.consume(3);
        buffer.release();
        assert!(
            buffer.allocated() > 0,
            "bytes ahead of the tail are still held"
        );
        buffer.spare_mut(5).copy_from_slice(b"01234");
        buffer.commit(8);
        assert_eq!(buffer.readable(), b"01234xyz");
        buffer.consume(8);
        buffer.release();
        assert_eq!(buffer.allocated(), 0);
    }
}
