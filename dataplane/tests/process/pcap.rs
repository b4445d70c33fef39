//! Capture files, as DPDK's pcap ports read and write them.

use std::fs;
use std::path::Path;

const MAGIC: u32 = 0xa1b2_c3d4;
const ETHERNET: u32 = 1;
const SNAPLEN: u32 = 65_535;

/// Writes the frames, with no time between them.
pub(crate) fn write(path: &Path, frames: &[Vec<u8>]) {
    let mut file = Vec::new();
    file.extend(MAGIC.to_le_bytes());
    file.extend([2, 0, 4, 0]);
    file.extend([0; 8]);
    file.extend(SNAPLEN.to_le_bytes());
    file.extend(ETHERNET.to_le_bytes());
    for frame in frames {
        let len = u32::try_from(frame.len()).expect("a frame");
        file.extend([0; 8]);
        file.extend(len.to_le_bytes());
        file.extend(len.to_le_bytes());
        file.extend(frame);
    }
    fs::write(path, file).expect("a capture file");
}

/// Reads the frames back, whatever the resolution of their times.
pub(crate) fn read(path: &Path) -> Vec<Vec<u8>> {
    let file = fs::read(path).expect("a capture file");
    let mut rest = file.get(24..).expect("a whole header");
    let mut frames = Vec::new();
    while let Some((header, tail)) = rest.split_at_checked(16) {
        let len = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
        let (frame, tail) = tail.split_at_checked(len).expect("a whole frame");
        frames.push(frame.to_vec());
        rest = tail;
    }
    frames
}
