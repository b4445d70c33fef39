//! Where a frame's bytes live.

/// A packet buffer: one contiguous frame, from the Ethernet header on and without the frame check sequence.
pub trait PacketBuf {
    /// The frame.
    fn frame(&self) -> &[u8];

    /// The frame, to be changed in place.
    fn frame_mut(&mut self) -> &mut [u8];

    /// Shortens the frame to `len` bytes; a frame that is no longer than that is left alone.
    fn truncate(&mut self, len: usize);

    /// Bytes of memory that the frame keeps from others: those of its whole buffer, however short the frame is.
    fn buffer_bytes(&self) -> usize;

    /// What the port that received the frame has checked.
    fn verified(&self) -> Verified {
        Verified::Nothing
    }
}

/// Checksums that a port has found to be right.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Verified {
    /// None, or they are wrong: look for yourself.
    #[default]
    Nothing,
    /// The TCP segment's, the only one there is over IPv6.
    Tcp,
    /// The TCP segment's and the IPv4 header's.
    IpAndTcp,
}

/// A frame on the heap, for tests and simulations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestBuf(pub Vec<u8>);

impl PacketBuf for TestBuf {
    fn frame(&self) -> &[u8] {
        &self.0
    }

    fn frame_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    fn buffer_bytes(&self) -> usize {
        self.0.capacity()
    }
}
