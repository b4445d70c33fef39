//! Why a frame is not looked into.

macro_rules! reasons {
    ($($variant:ident, $name:literal, $description:literal;)+) => {
        /// Why a frame is not looked into.
        #[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Opaque {
            $(#[doc = $description] $variant,)+
        }

        impl Opaque {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The reason's stable name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// One sentence for people.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => $description,)+ }
            }
        }
    };
}

reasons! {
    Truncated, "truncated", "Shorter than its headers say.";
    Arp, "arp", "ARP.";
    NotIp, "not-ip", "Neither IPv4 nor IPv6.";
    NotTcp, "not-tcp", "IP that carries neither TCP nor a tunnel, nor an ICMP error about TCP.";
    OtherFragment, "other-fragment", "A fragment of a datagram that carries neither TCP nor a tunnel nor ICMP.";
    VlanTooDeep, "vlan-too-deep", "More VLAN tags than are looked behind.";
    BadHeader, "bad-header", "A header that contradicts itself: version, header length, data offset.";
    BadAddress, "bad-address",
        "An end that cannot be one of a connection: unspecified, multicast, broadcast, or the other end itself.";
    SourceRoute, "source-route", "The destination is only a stop on a source route (IPv4 option or IPv6 routing header).";
    Ipv6Extension, "ipv6-extension",
        "An IPv6 extension header or option that its receiver does not accept where it stands.";
    Ipv6ChainTooLong, "ipv6-chain-too-long", "More IPv6 extension headers than are looked behind.";
    Authenticated, "authenticated", "An IPsec authentication header.";
    Encrypted, "encrypted", "An IPsec encapsulating security payload.";
    GreChecksum, "gre-checksum", "GRE with a checksum.";
    GreRouting, "gre-routing", "GRE with a routing field, or other bits of its first definition.";
    GreSequence, "gre-sequence", "GRE with sequence numbers.";
    GreVersion, "gre-version", "GRE of another version than 0.";
    GrePayload, "gre-payload", "GRE that carries neither IPv4 nor IPv6.";
    SecondTunnel, "second-tunnel", "A tunnel within a tunnel.";
    Gtp, "gtp", "A GTP user plane tunnel.";
}
