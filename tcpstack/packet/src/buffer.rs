//! Where a frame's bytes live.

/// A packet buffer: one contiguous frame, from the Ethernet header on and without the frame check sequence.
pub trait PacketBuf {
    /// The frame.
    fn frame(&self) -> &[u8];

    /// The frame, to be changed in place.
    fn frame_mut(&mut self) -> &mut [u8];
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
}
