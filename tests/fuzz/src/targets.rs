//! One module per room that hostile bytes reach.

pub(crate) mod certificate;
pub(crate) mod hello;
pub(crate) mod observer;
pub(crate) mod packet;
pub(crate) mod plaintext;
pub(crate) mod reassembler;
pub(crate) mod records;
pub(crate) mod segments;
pub(crate) mod storage;

/// Takes an input apart from its front. What is missing reads as zero.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    pub(crate) fn half(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    pub(crate) fn word(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    /// Mostly small, now and then anything: two bytes, or four behind 0x8000.
    pub(crate) fn near(&mut self) -> u32 {
        match self.half() {
            0x8000 => self.word(),
            small => i32::from(small.cast_signed()).cast_unsigned(),
        }
    }

    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        for (to, from) in array.iter_mut().zip(self.take(N)) {
            *to = *from;
        }
        array
    }
}
