//! Explicit congestion notification in the IP header.

/// The ECN field: the two low bits of the traffic class (RFC 3168 5).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ecn {
    /// The transport cannot be told of congestion.
    #[default]
    NotEct = 0b00,
    /// The transport can, and asks to be told as RFC 9331 says.
    Ect1 = 0b01,
    /// The transport can, and asks to be told as RFC 3168 says.
    Ect0 = 0b10,
    /// A router on the path met congestion.
    Ce = 0b11,
}

impl Ecn {
    /// The field of a traffic class.
    #[must_use]
    pub const fn of_traffic_class(traffic_class: u8) -> Self {
        match traffic_class & 0b11 {
            0b00 => Self::NotEct,
            0b01 => Self::Ect1,
            0b10 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    /// The field's two bits, in their place in the traffic class.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self as u8
    }
}
