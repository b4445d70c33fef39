//! Why a frame went no further. Every frame that is not forwarded and not consumed by a session has one of these.

use core::fmt;

use serde::{Deserialize, Serialize};

macro_rules! drop_reasons {
    ($($variant:ident, $name:literal, $description:literal;)+) => {
        /// Why a frame was discarded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum DropReason {
            $(#[doc = $description] #[serde(rename = $name)] $variant,)+
        }

        impl DropReason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable kebab-case name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// One sentence for people.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => $description,)+ }
            }

            pub(crate) const fn counter_name(self) -> &'static str {
                match self { $(Self::$variant => concat!("drop-", $name),)+ }
            }
        }
    };
}

drop_reasons! {
    BadChecksum, "bad-checksum",
        "The IPv4 header's or the TCP segment's checksum is wrong, in a flow that is held or taken over.";
    NoBuffer, "no-buffer",
        "The packet pool was empty.";
    TransmitFull, "transmit-full",
        "The port's transmit queue did not take the frame.";
    BlockedFlow, "blocked-flow",
        "The flow was decided to be blocked.";
    FlowTableFull, "flow-table-full",
        "The flow table had no room, and nothing in it could be evicted.";
    HoldFull, "hold-full",
        "More client data arrived than may be held before the decision; the client sends it again.";
    IrregularSegment, "irregular-segment",
        "A segment of a flow that is held or taken over cannot be part of it.";
    ClosedFlow, "closed-flow",
        "The flow was taken over and has ended; the frame came late.";
    UnknownSegment, "unknown-segment",
        "The port belongs to no segment of the current generation.";
    FragmentOverlap, "fragment-overlap",
        "A fragment of a datagram of which two claim the same bytes.";
    FragmentDuplicate, "fragment-duplicate",
        "The very fragment is held already.";
    FragmentMalformed, "fragment-malformed",
        "A fragment that contradicts itself or the others of its datagram, or whose header checksum is wrong.";
    FragmentTooMany, "fragment-too-many",
        "A fragment of a datagram that was cut into more pieces than are put together.";
    FragmentTimeout, "fragment-timeout",
        "The rest of the fragment's datagram did not come in time.";
    FragmentTableFull, "fragment-table-full",
        "The fragment made room for younger ones.";
    Ipv6ChainTooLong, "ipv6-chain-too-long",
        "The frame has more IPv6 extension headers than are looked behind.";
    Exhausted, "exhausted",
        "A flow's first frame came while packet buffers were nearly used up; the client sends it again.";
    FrameTooLong, "frame-too-long",
        "The frame is longer than a packet buffer or than the other port's MTU.";
}

impl DropReason {
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Position in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
