//! What was decided about a flow, and why: verdicts and their stable codes.

use core::fmt;

use serde::{Deserialize, Serialize};

/// What happens to a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Taken over, decrypted, inspected and sealed again.
    Inspect,
    /// Forwarded as it is: both ends' handshakes stay byte-identical.
    Bypass,
    /// Stopped: nothing of the client's reaches the origin from here on.
    Block,
}

impl Verdict {
    /// `inspect`, `bypass` or `block`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inspect => "inspect",
            Self::Bypass => "bypass",
            Self::Block => "block",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! decision_codes {
    ($($variant:ident = $number:literal, $verdict:ident, $name:literal, $description:literal;)+) => {
        /// Why a flow was inspected, bypassed or blocked.
        ///
        /// Numbers and names are stable: a code that is no longer used is retired, never given a new meaning. 1xx
        /// inspects, 2xx bypasses, 3xx blocks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum DecisionCode {
            $(#[doc = $description] #[serde(rename = $name)] $variant,)+
        }

        impl DecisionCode {
            /// Every code, in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable number that stands in logs.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self { $(Self::$variant => $number,)+ }
            }

            /// The stable kebab-case name that stands in logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What happens to a flow with this code.
            #[must_use]
            pub const fn verdict(self) -> Verdict {
                match self { $(Self::$variant => Verdict::$verdict,)+ }
            }

            /// One sentence for people.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => $description,)+ }
            }

            pub(crate) const fn counter_name(self) -> &'static str {
                match self { $(Self::$variant => concat!("decision-", $name),)+ }
            }
        }
    };
}

decision_codes! {
    InspectedClient = 100, Inspect, "inspected-client",
        "Client inspection: the origin verified, the client sees a leaf from the trusted signing CA.";
    InspectedClientUntrusted = 101, Inspect, "inspected-client-untrusted",
        "Client inspection: the origin did not verify and the profile lets it through, the client sees a leaf from the untrusted CA.";
    InspectedServer = 110, Inspect, "inspected-server",
        "Server inspection: the client sees the server's real certificate.";

    BypassDomainException = 200, Bypass, "bypass-domain-exception",
        "The server name matches a do-not-decrypt domain of the decryption policy.";
    BypassNeverDecryptSource = 201, Bypass, "bypass-never-decrypt-source",
        "The client's address is in the never-decrypt sources of the client policy.";
    BypassNotTls = 202, Bypass, "bypass-not-tls",
        "The flow on a client proxy's port does not start with a TLS handshake.";
    BypassLearnedClientCertificate = 203, Bypass, "bypass-learned-client-certificate",
        "An earlier flow learned that this origin asks for a client certificate.";
    BypassOverLimit = 204, Bypass, "bypass-over-limit",
        "As many sessions are inspected as the limit allows; the setting lets further ones pass.";
    BypassInspectionOff = 205, Bypass, "bypass-inspection-off",
        "Inspection in this direction is switched off on this appliance.";
    BypassIrregularHandshake = 206, Bypass, "bypass-irregular-handshake",
        "The TCP handshake was not seen whole or is not one that can be taken over.";
    BypassTcpSignature = 207, Bypass, "bypass-tcp-signature",
        "The TCP segments are signed (MD5 or TCP-AO), so nobody can stand in for the ends.";
    BypassUnsupportedVersion = 208, Bypass, "bypass-unsupported-version",
        "The client offers no TLS version that the proxy may speak.";
    BypassServerException = 209, Bypass, "bypass-server-exception",
        "The client's address is in the source exceptions of the server policy.";
    BypassLearnedPinning = 210, Bypass, "bypass-learned-pinning",
        "Earlier flows learned that the client pins this origin's certificate.";
    BypassLayer2Fallback = 211, Bypass, "bypass-layer2-fallback",
        "The appliance is in layer-2 fallback: new flows are forwarded as they are.";
    BypassExhausted = 212, Bypass, "bypass-exhausted",
        "Packet buffers were nearly used up; the setting lets new flows pass.";

    BlockOriginExpired = 300, Block, "block-origin-expired",
        "The origin's certificate has expired.";
    BlockOriginNotYetValid = 301, Block, "block-origin-not-yet-valid",
        "The origin's certificate is not valid yet.";
    BlockOriginUnknownIssuer = 302, Block, "block-origin-unknown-issuer",
        "The origin's certificate does not lead to an authority of the trust store.";
    BlockOriginSelfSigned = 303, Block, "block-origin-self-signed",
        "The origin's certificate is self-signed and not in the trust store.";
    BlockOriginNameMismatch = 304, Block, "block-origin-name-mismatch",
        "The origin's certificate does not name the host that the client asked for.";
    BlockOriginWeakKey = 305, Block, "block-origin-weak-key",
        "The origin's key is shorter than the client proxy's minimum.";
    BlockOriginInvalidCertificate = 306, Block, "block-origin-invalid-certificate",
        "The origin's certificate is invalid: signature, constraints, usage or form.";
    BlockOriginHandshakeFailed = 307, Block, "block-origin-handshake-failed",
        "The TLS handshake with the origin failed.";
    BlockClientCertificateRequested = 308, Block, "block-client-certificate-requested",
        "The origin asked for a client certificate; this is learned, so that the next flow is bypassed.";
    BlockClientHelloMalformed = 309, Block, "block-client-hello-malformed",
        "The client's first TLS message is not a well-formed ClientHello.";
    BlockClientHelloTooLarge = 310, Block, "block-client-hello-too-large",
        "The ClientHello is larger than the limit.";
    BlockServerCleartext = 311, Block, "block-server-cleartext",
        "A server proxy's flow carries cleartext before the TLS handshake.";
    BlockServerNotTls = 312, Block, "block-server-not-tls",
        "A server proxy's flow has no TLS handshake.";
    BlockNoServerCertificate = 313, Block, "block-no-server-certificate",
        "The server proxy has no usable certificate and key for this flow.";
    BlockOverLimit = 314, Block, "block-over-limit",
        "As many sessions are inspected as the limit allows; the setting blocks further ones.";
    BlockForgingFailed = 315, Block, "block-forging-failed",
        "The leaf for the client could not be forged.";
    BlockClientHandshakeFailed = 316, Block, "block-client-handshake-failed",
        "The TLS handshake with the client failed, or the client refused the leaf.";
    BlockNoSigningCertificate = 317, Block, "block-no-signing-certificate",
        "The client proxy's signing certificate or its key is missing or unusable.";
    BlockHelloTimeout = 318, Block, "block-hello-timeout",
        "The ClientHello was not whole in time.";
    BlockIrregularHandshake = 319, Block, "block-irregular-handshake",
        "The TCP handshake was not seen whole, is signed, or cannot be taken over; to a protected server, or where the client proxy blocks it.";
    BlockSessionCleared = 320, Block, "block-session-cleared",
        "An operator cleared the inspected sessions: both ends were reset.";
}

impl DecisionCode {
    /// How many codes there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Position in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The code with this stable number.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.number() == number)
    }
}

impl fmt::Display for DecisionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_and_name_their_verdict() {
        let mut before = 0;
        for code in DecisionCode::ALL {
            assert!(code.number() > before, "{code} is out of order");
            before = code.number();
            let expected = match code.number() / 100 {
                1 => Verdict::Inspect,
                2 => Verdict::Bypass,
                3 => Verdict::Block,
                other => panic!("{code}: no verdict has the number {other}xx"),
            };
            assert_eq!(code.verdict(), expected, "{code}");
            assert_eq!(DecisionCode::from_number(code.number()), Some(*code));
        }
    }

    #[test]
    fn index_is_the_position_and_names_are_unique() {
        let mut names = std::collections::BTreeSet::new();
        for (position, code) in DecisionCode::ALL.iter().enumerate() {
            assert_eq!(code.index(), position);
            assert!(names.insert(code.name()), "{code} twice");
            assert!(
                code.name()
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            );
            assert!(code.description().ends_with('.'));
            assert_eq!(serde_json::to_value(code).unwrap(), code.name());
        }
        const { assert!(DecisionCode::COUNT >= 12) }
    }

    #[test]
    fn an_unknown_number_is_no_code() {
        assert_eq!(DecisionCode::from_number(0), None);
        assert_eq!(DecisionCode::from_number(u16::MAX), None);
    }
}
