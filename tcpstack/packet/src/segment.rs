//! Segments and their two sides.

/// A segment: two ports with the appliance in between, numbered in the order of the configuration.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub u16);

/// One of the two ports of a segment.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// `port_a` of the configuration.
    A,
    /// `port_b` of the configuration.
    B,
}

impl Side {
    /// The port on the other side of the appliance.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}
