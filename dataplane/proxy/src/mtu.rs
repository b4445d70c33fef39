//! How long a datagram each port carries.

use sluice_packet::{SegmentId, Side};

use crate::limits::{ETHERNET_MTU, JUMBO_MTU_MAX};

/// The MTU of the ports of each segment, in bytes of an IP datagram; that of Ethernet where nothing else is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortMtus(Vec<[u16; 2]>);

impl PortMtus {
    /// Sets what one port carries. More than the longest jumbo frame counts as that.
    pub fn set(&mut self, segment: SegmentId, side: Side, mtu_bytes: u16) {
        let position = usize::from(segment.0);
        if self.0.len() <= position {
            self.0.resize(position + 1, [ETHERNET_MTU; 2]);
        }
        if let Some([a, b]) = self.0.get_mut(position) {
            let port = match side {
                Side::A => a,
                Side::B => b,
            };
            *port = mtu_bytes.min(JUMBO_MTU_MAX);
        }
    }

    pub(crate) fn of(&self, segment: SegmentId, side: Side) -> u16 {
        match (self.0.get(usize::from(segment.0)), side) {
            (Some([a, _]), Side::A) => *a,
            (Some([_, b]), Side::B) => *b,
            (None, _) => ETHERNET_MTU,
        }
    }
}
