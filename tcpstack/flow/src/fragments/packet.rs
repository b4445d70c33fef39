//! A frame as it came, or as its fragments make it.

use sluice_packet::{Frame, PacketBuf, SegmentId, Verified, parse};

/// What a core works on: a frame that came in one piece, or one that was put together.
#[derive(Debug)]
pub enum Packet<B> {
    /// As it came.
    Whole(B),
    /// Put together from its fragments.
    Reassembled(Box<Reassembled<B>>),
}

/// A frame put together from fragments.
#[derive(Debug)]
pub struct Reassembled<B> {
    /// The frame, as it would have come had nobody cut it.
    pub frame: Vec<u8>,
    /// The frames that came, in the order in which they came.
    pub fragments: Vec<B>,
    /// The frame is not what the fragments say any more.
    pub changed: bool,
    /// Times that fragments were put together to make it: once more for each layer that was cut.
    pub reassemblies: usize,
}

impl<B> Packet<B> {
    /// From the whole frame and the fragments that it was made of.
    pub(crate) fn reassembled(frame: Vec<u8>, fragments: Vec<B>, reassemblies: usize) -> Self {
        Self::Reassembled(Box::new(Reassembled {
            frame,
            fragments,
            changed: false,
            reassemblies,
        }))
    }

    /// Times that fragments were put together to make it.
    #[must_use]
    pub fn reassemblies(&self) -> usize {
        match self {
            Self::Whole(_) => 0,
            Self::Reassembled(parts) => parts.reassemblies,
        }
    }

    /// Frames of the wire in it.
    #[must_use]
    pub fn frames(&self) -> usize {
        match self {
            Self::Whole(_) => 1,
            Self::Reassembled(parts) => parts.fragments.len(),
        }
    }

    /// Gives away the frames of the wire in it, in the order in which they came.
    pub fn each(self, take: &mut impl FnMut(B)) {
        match self {
            Self::Whole(frame) => take(frame),
            Self::Reassembled(parts) => parts.fragments.into_iter().for_each(take),
        }
    }
}

impl<B: PacketBuf> Reassembled<B> {
    /// Puts another header of the same length on the frame, and on its fragments what of it is theirs.
    pub(super) fn put_on(&mut self, header: &[u8], segment: SegmentId) -> Option<()> {
        self.frame.get_mut(..header.len())?.copy_from_slice(header);
        for fragment in &mut self.fragments {
            let Frame::Fragment(part) = parse(segment, fragment.frame()) else {
                return None;
            };
            part.follow(fragment.frame_mut(), &self.frame)?;
        }
        Some(())
    }
}

impl<B: PacketBuf> PacketBuf for Packet<B> {
    fn frame(&self) -> &[u8] {
        match self {
            Self::Whole(frame) => frame.frame(),
            Self::Reassembled(parts) => &parts.frame,
        }
    }

    fn frame_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Whole(frame) => frame.frame_mut(),
            Self::Reassembled(parts) => {
                parts.changed = true;
                &mut parts.frame
            }
        }
    }

    fn truncate(&mut self, len: usize) {
        match self {
            Self::Whole(frame) => frame.truncate(len),
            Self::Reassembled(parts) => {
                parts.changed |= len < parts.frame.len();
                parts.frame.truncate(len);
            }
        }
    }

    fn buffer_bytes(&self) -> usize {
        match self {
            Self::Whole(frame) => frame.buffer_bytes(),
            Self::Reassembled(parts) => {
                let fragments = parts.fragments.iter().map(PacketBuf::buffer_bytes);
                parts.frame.capacity() + fragments.sum::<usize>()
            }
        }
    }

    fn verified(&self) -> Verified {
        match self {
            Self::Whole(frame) => frame.verified(),
            Self::Reassembled(_) => Verified::Nothing,
        }
    }
}
