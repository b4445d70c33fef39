//! What a segment means to an observer.

/// Which end of a connection.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The end that sent the first SYN.
    Originator,
    /// The end that answered it.
    Responder,
}

impl Role {
    /// The other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Originator => Self::Responder,
            Self::Responder => Self::Originator,
        }
    }
}

/// What a segment meant.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Observation {
    /// A part of the handshake.
    Handshaking,
    /// The segment that ends the handshake. It may carry payload.
    Established,
    /// A segment of the established connection, acceptable to its receiver. It may carry payload or FIN; a caller that
    /// forwards it says so with [`Observer::passed`](crate::Observer::passed).
    Segment,
    /// Its receiver takes nothing from it, so nothing was learned from it either. Its payload must not get past a caller
    /// that holds data back: should its receiver take it after all, it takes it unseen.
    Disregarded(Disregard),
    /// It resets the connection.
    Reset,
    /// Both ends have finished and acknowledged each other's FIN.
    Finished,
    /// It opens a new connection where the old one is over: observe anew, with [`Observer::open`](crate::Observer::open).
    Reopened,
    /// The connection cannot be taken over any more, now or later.
    Irregular(Irregularity),
}

/// Why a segment counted for nothing.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Disregard {
    /// A checksum is wrong.
    BadChecksum,
    /// It came in where its sender is not.
    WrongSide,
    /// It acknowledges what was never sent, or a SYN-ACK does not acknowledge the SYN.
    WrongAcknowledgement,
    /// Its sequence numbers are outside of the receiver's window.
    OutOfWindow,
    /// Its timestamp is older than one seen before (PAWS, RFC 7323 5).
    StaleTimestamp,
    /// It has no ACK where every segment has one, or SYN where none has it.
    WrongFlags,
    /// It is signed, by MD5 or TCP-AO, and the connection is not.
    UnexpectedSignature,
    /// A reset that does not hit the next sequence number: its receiver asks back (RFC 5961 3.2).
    DoubtfulReset,
}

/// Why a connection cannot be taken over.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Irregularity {
    /// Its beginning was not seen.
    MidStream,
    /// Only one direction is seen.
    OneWay,
    /// Both ends sent a SYN, or the answer to a SYN was a SYN (RFC 9293 3.5, split handshakes).
    SimultaneousOpen,
    /// SYN or SYN-ACK carried data.
    DataOnSyn,
    /// The responder sent data before the handshake was over.
    EarlyData,
    /// SYN together with FIN or RST.
    BadFlags,
    /// An option of a SYN or SYN-ACK is malformed.
    MalformedOptions,
    /// Both ends use an option that is not known.
    UnknownOptions,
    /// Both ends use Multipath TCP.
    Multipath,
    /// Segments are signed, by MD5 or TCP-AO.
    Signed,
    /// The connection goes on after a reset or after both ends finished.
    AfterEnd,
}

impl Irregularity {
    /// Every irregularity.
    pub const ALL: [Self; 11] = [
        Self::MidStream,
        Self::OneWay,
        Self::SimultaneousOpen,
        Self::DataOnSyn,
        Self::EarlyData,
        Self::BadFlags,
        Self::MalformedOptions,
        Self::UnknownOptions,
        Self::Multipath,
        Self::Signed,
        Self::AfterEnd,
    ];

    /// The irregularity's stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MidStream => "mid-stream",
            Self::OneWay => "one-way",
            Self::SimultaneousOpen => "simultaneous-open",
            Self::DataOnSyn => "data-on-syn",
            Self::EarlyData => "early-data",
            Self::BadFlags => "bad-flags",
            Self::MalformedOptions => "malformed-options",
            Self::UnknownOptions => "unknown-options",
            Self::Multipath => "multipath",
            Self::Signed => "signed",
            Self::AfterEnd => "after-end",
        }
    }
}
