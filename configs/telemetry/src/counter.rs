//! What each polling core counts. The statistics segment holds one 64-bit cell per core and counter.

use core::fmt;

use crate::{DecisionCode, DropReason};

/// How a counter's cell moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CounterKind {
    /// Only rises, from zero at the data plane's start.
    Counter,
    /// Set to the present value by its core.
    Gauge,
}

macro_rules! counters {
    ($($variant:ident, $kind:ident, $name:literal, $description:literal;)+) => {
        /// One figure of one core.
        ///
        /// Besides the named ones there is one per decision code and one per drop reason, so that neither can exist
        /// without being counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Counter {
            $(#[doc = $description] $variant,)+
            /// Flows decided with this code.
            Decision(DecisionCode),
            /// Frames discarded for this reason.
            Drop(DropReason),
        }

        const NAMED: &[Counter] = &[$(Counter::$variant,)+];

        /// The same names again, only to number them.
        enum Position { $($variant,)+ }

        impl Counter {
            /// Position of this counter's cell within its core's, `0..COUNT`.
            #[must_use]
            pub const fn index(self) -> usize {
                match self {
                    $(Self::$variant => Position::$variant as usize,)+
                    Self::Decision(code) => NAMED.len() + code.index(),
                    Self::Drop(reason) => NAMED.len() + DecisionCode::COUNT + reason.index(),
                }
            }

            /// The stable kebab-case name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                    Self::Decision(code) => code.counter_name(),
                    Self::Drop(reason) => reason.counter_name(),
                }
            }

            /// How the cell moves.
            #[must_use]
            pub const fn kind(self) -> CounterKind {
                match self {
                    $(Self::$variant => CounterKind::$kind,)+
                    Self::Decision(_) | Self::Drop(_) => CounterKind::Counter,
                }
            }

            /// One sentence for people, with the unit.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$variant => $description,)+
                    Self::Decision(code) => code.description(),
                    Self::Drop(reason) => reason.description(),
                }
            }
        }
    };
}

counters! {
    RxPacketsA, Counter, "rx-packets-a", "Frames received on the segments' ports A.";
    RxPacketsB, Counter, "rx-packets-b", "Frames received on the segments' ports B.";
    RxBytesA, Counter, "rx-bytes-a", "Bytes received on the segments' ports A, from the Ethernet header on.";
    RxBytesB, Counter, "rx-bytes-b", "Bytes received on the segments' ports B, from the Ethernet header on.";
    TxPacketsA, Counter, "tx-packets-a", "Frames sent on the segments' ports A.";
    TxPacketsB, Counter, "tx-packets-b", "Frames sent on the segments' ports B.";
    TxBytesA, Counter, "tx-bytes-a", "Bytes sent on the segments' ports A, from the Ethernet header on.";
    TxBytesB, Counter, "tx-bytes-b", "Bytes sent on the segments' ports B, from the Ethernet header on.";
    ForwardedPackets, Counter, "forwarded-packets", "Frames forwarded at layer 2 as they came.";
    ForwardedBytes, Counter, "forwarded-bytes", "Bytes of frames forwarded at layer 2 as they came.";

    OpaqueTruncated, Counter, "uninspected-truncated", "Shorter than its headers say.";
    OpaqueArp, Counter, "uninspected-arp", "ARP.";
    OpaqueNotIp, Counter, "uninspected-not-ip", "Neither IPv4 nor IPv6.";
    OpaqueNotTcp, Counter, "uninspected-not-tcp", "IP that carries neither TCP nor a tunnel, nor an ICMP error about TCP.";
    OpaqueOtherFragment, Counter, "uninspected-other-fragment", "A fragment of a datagram that carries neither TCP nor a tunnel nor ICMP.";
    OpaqueVlanTooDeep, Counter, "uninspected-vlan-too-deep", "More VLAN tags than are looked behind.";
    OpaqueBadHeader, Counter, "uninspected-bad-header", "A header that contradicts itself: version, header length, data offset.";
    OpaqueBadAddress, Counter, "uninspected-bad-address", "An end that cannot be one of a connection: unspecified, multicast, broadcast, or the other end itself.";
    OpaqueSourceRoute, Counter, "uninspected-source-route", "The destination is only a stop on a source route (IPv4 option or IPv6 routing header).";
    OpaqueIpv6Extension, Counter, "uninspected-ipv6-extension", "An IPv6 extension header or option that its receiver does not accept where it stands.";
    OpaqueIpv6ChainTooLong, Counter, "uninspected-ipv6-chain-too-long", "More IPv6 extension headers than are looked behind.";
    OpaqueAuthenticated, Counter, "uninspected-authenticated", "An IPsec authentication header.";
    OpaqueEncrypted, Counter, "uninspected-encrypted", "An IPsec encapsulating security payload.";
    OpaqueGreChecksum, Counter, "uninspected-gre-checksum", "GRE with a checksum.";
    OpaqueGreRouting, Counter, "uninspected-gre-routing", "GRE with a routing field, or other bits of its first definition.";
    OpaqueGreSequence, Counter, "uninspected-gre-sequence", "GRE with sequence numbers.";
    OpaqueGreVersion, Counter, "uninspected-gre-version", "GRE of another version than 0.";
    OpaqueGrePayload, Counter, "uninspected-gre-payload", "GRE that carries neither IPv4 nor IPv6.";
    OpaqueSecondTunnel, Counter, "uninspected-second-tunnel", "A tunnel within a tunnel.";
    OpaqueGtp, Counter, "uninspected-gtp", "A GTP user plane tunnel.";

    DatagramsReassembled, Counter, "datagrams-reassembled", "Datagrams put together from fragments.";
    FragmentsHeld, Gauge, "fragments-held", "Frames held now because the rest of their datagram is missing.";
    IcmpErrorsTaken, Counter, "icmp-errors-taken", "ICMP errors about flows taken over that changed something.";
    IcmpErrorsIgnored, Counter, "icmp-errors-ignored", "ICMP errors about flows taken over that quote nothing that is on its way, or say nothing of use.";

    FlowsObserved, Gauge, "flows-observed", "Flows watched or held now, not taken over.";
    FlowsTaken, Gauge, "flows-taken", "Flows taken over now.";
    SessionLoad, Gauge, "session-load", "Inspected sessions against the limit, told by the first core: 0 normal, 1 warning, 2 critical, 3 reached.";
    Layer2Fallback, Gauge, "layer2-fallback", "Why new flows are forwarded at layer 2, told by the first core: 0 not, else the sum of 1 command, 2 helpers, 4 random, 8 buffers.";
    SessionsCleared, Counter, "sessions-cleared", "Inspected sessions that an operator cleared.";
    Exhaustions, Counter, "exhaustions", "Times that packet buffers were nearly used up.";
    FlowsCandidate, Counter, "flows-candidate", "Flows whose first SYN matched a client or server policy.";
    FlowsEvicted, Counter, "flows-evicted", "Watched flows forgotten to make room for new ones.";
    SessionsInspected, Counter, "sessions-inspected", "Flows taken over since the start.";
    MemoryRefusals, Counter, "memory-refusals", "Flows not held or not taken over, and SYNs on flows that pass not watched, because the core's memory for that was used up.";
    HeldBytes, Gauge, "held-bytes", "Bytes of clients held before decisions, or remembered of flows that pass, now.";
    SessionBytes, Gauge, "session-bytes", "Bytes of the sessions of flows taken over, and of their buffers, now.";
    SessionsStopped, Counter, "sessions-stopped", "Flows taken over whose ends were reset because the data plane stopped.";
    BytesInspectedToOrigin, Counter, "bytes-inspected-to-origin", "Plaintext bytes inspected from client to origin.";
    BytesInspectedToClient, Counter, "bytes-inspected-to-client", "Plaintext bytes inspected from origin to client.";

    ClientHellos, Counter, "client-hellos", "ClientHellos read whole.";
    HandshakesClientOk, Counter, "handshakes-client-ok", "TLS handshakes with clients that completed.";
    HandshakesClientFailed, Counter, "handshakes-client-failed", "TLS handshakes with clients that failed.";
    HandshakesOriginOk, Counter, "handshakes-origin-ok", "TLS handshakes with origins that completed.";
    HandshakesOriginFailed, Counter, "handshakes-origin-failed", "TLS handshakes with origins that failed.";
    HandshakesPending, Gauge, "handshakes-pending", "Flows waiting in the handshake queue now.";
    LeafForged, Counter, "leaf-forged", "Leaves forged.";
    LeafForgeFailed, Counter, "leaf-forge-failed", "Leaves that could not be forged.";
    LeafCacheHit, Counter, "leaf-cache-hit", "Leaves taken from the cache.";
    LeafCacheMiss, Counter, "leaf-cache-miss", "Leaves that were not in the cache.";
    LeafCacheBytes, Gauge, "leaf-cache-bytes", "Bytes of the leaf cache in use now.";

    IrregularMidStream, Counter, "irregular-mid-stream", "Flows whose beginning was not seen.";
    IrregularOneWay, Counter, "irregular-one-way", "Flows of which one direction only is seen.";
    IrregularSimultaneousOpen, Counter, "irregular-simultaneous-open", "Flows whose ends both sent a SYN, split handshakes among them.";
    IrregularDataOnSyn, Counter, "irregular-data-on-syn", "Flows whose SYN or SYN-ACK carried data.";
    IrregularEarlyData, Counter, "irregular-early-data", "Flows whose responder sent data before the handshake was over.";
    IrregularBadFlags, Counter, "irregular-bad-flags", "Flows that began with SYN together with FIN or RST.";
    IrregularMalformedOptions, Counter, "irregular-malformed-options", "Flows whose SYN or SYN-ACK had a malformed option.";
    IrregularUnknownOptions, Counter, "irregular-unknown-options", "Flows whose ends both use an option that is not known.";
    IrregularMultipath, Counter, "irregular-multipath", "Flows whose ends both use Multipath TCP.";
    IrregularSigned, Counter, "irregular-signed", "Flows whose segments are signed, by MD5 or TCP-AO.";
    IrregularAfterEnd, Counter, "irregular-after-end", "Flows on which the client sent data after a reset or after both ends had finished.";
    SynOptionsStripped, Counter, "syn-options-stripped", "SYNs and SYN-ACKs whose Multipath TCP, Fast Open or unknown options were made padding.";
    SynDataCut, Counter, "syn-data-cut", "SYNs and SYN-ACKs whose data was cut off, for its sender to send again.";
    DataOnConfirmation, Counter, "data-on-confirmation", "Flows whose third segment carried the client's first bytes.";
    HeldRepeated, Counter, "held-repeated", "Held client bytes that came again and said the same.";
    HeldContradicted, Counter, "held-contradicted", "Client bytes that came again and said something else than policy had read or held.";
    UrgentCleared, Counter, "urgent-cleared", "Client segments whose urgent mark was taken off before policy had read and passed them.";
    EndedWhileHeld, Counter, "ended-while-held", "Flows that were closed or reset while the client's first bytes were held.";
    FourTuplesReused, Counter, "four-tuples-reused", "Connections that began on the addresses and ports of one just over.";

    TcpRetransmits, Counter, "tcp-retransmits", "Segments sent again, on both halves of flows taken over.";
    TcpOutOfOrder, Counter, "tcp-out-of-order", "Segments received out of order, on both halves of flows taken over.";
    TcpResetsSent, Counter, "tcp-resets-sent", "Resets sent to clients and origins.";
    ChecksumErrors, Counter, "checksum-errors", "Frames with a wrong IPv4 or TCP checksum in flows held or taken over.";
    NoBuffer, Counter, "no-buffer", "Times the packet pool was empty when a frame was to be written.";
    EventsSent, Counter, "events-sent", "Events put on the event ring.";
    EventsLost, Counter, "events-lost", "Events that the full event ring did not take.";
    JobsSubmitted, Counter, "jobs-submitted", "Forging jobs handed to helper threads.";
    JobsCompleted, Counter, "jobs-completed", "Forging jobs that came back from helper threads.";
    RandomReseeds, Gauge, "random-reseeds", "Times the generator of the core's serial numbers was seeded anew.";

    MempoolInUse, Gauge, "mempool-in-use", "Packet buffers in use now.";
    MempoolCapacity, Gauge, "mempool-capacity", "Packet buffers in the pool.";
}

impl Counter {
    /// Cells per core.
    pub const COUNT: usize = NAMED.len() + DecisionCode::COUNT + DropReason::COUNT;

    /// Every counter, in the order of [`Self::index`].
    pub const ALL: [Self; Self::COUNT] = {
        let mut all = [Self::RxPacketsA; Self::COUNT];
        let mut at = 0;
        while at < NAMED.len() {
            all[at] = NAMED[at];
            at += 1;
        }
        let mut code = 0;
        while code < DecisionCode::COUNT {
            all[at] = Self::Decision(DecisionCode::ALL[code]);
            at += 1;
            code += 1;
        }
        let mut reason = 0;
        while reason < DropReason::COUNT {
            all[at] = Self::Drop(DropReason::ALL[reason]);
            at += 1;
            reason += 1;
        }
        all
    };

    /// The counter with this stable name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|counter| counter.name() == name)
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_its_own_cell_and_name() {
        let mut names = std::collections::BTreeSet::new();
        for (position, counter) in Counter::ALL.iter().enumerate() {
            assert_eq!(counter.index(), position, "{counter}");
            assert!(names.insert(counter.name()), "{counter} twice");
            assert_eq!(Counter::from_name(counter.name()), Some(*counter));
            assert!(counter.description().ends_with('.'), "{counter}");
        }
        assert_eq!(names.len(), Counter::COUNT);
    }

    #[test]
    fn every_code_and_every_drop_reason_is_counted() {
        for code in DecisionCode::ALL {
            assert_eq!(
                Counter::ALL[Counter::Decision(*code).index()],
                Counter::Decision(*code)
            );
        }
        for reason in DropReason::ALL {
            assert_eq!(
                Counter::ALL[Counter::Drop(*reason).index()],
                Counter::Drop(*reason)
            );
        }
    }
}
