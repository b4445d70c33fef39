//! The few DER shapes a certificate is made of.

use der::asn1::{AnyRef, GeneralizedTime, ObjectIdentifier, UtcTime};
use der::{Encode, Tag, TagNumber};
use std::time::Duration;

/// RFC 5280 4.1.2.5: dates through the year 2049 are UTCTime, later ones GeneralizedTime. 2050-01-01T00:00:00Z.
const GENERALIZED_TIME_FROM_UNIX_S: u64 = 2_524_608_000;

pub(crate) fn tlv(tag: Tag, value: &[u8]) -> der::Result<Vec<u8>> {
    AnyRef::new(tag, value)?.to_der()
}

pub(crate) fn sequence(parts: &[&[u8]]) -> der::Result<Vec<u8>> {
    tlv(Tag::Sequence, &parts.concat())
}

pub(crate) fn context(number: u32, constructed: bool, value: &[u8]) -> der::Result<Vec<u8>> {
    tlv(
        Tag::ContextSpecific {
            constructed,
            number: TagNumber(number),
        },
        value,
    )
}

pub(crate) fn octet_string(value: &[u8]) -> der::Result<Vec<u8>> {
    tlv(Tag::OctetString, value)
}

/// A BIT STRING of whole octets.
pub(crate) fn bit_string(value: &[u8]) -> der::Result<Vec<u8>> {
    tlv(Tag::BitString, &[&[0], value].concat())
}

pub(crate) fn oid(oid: ObjectIdentifier) -> der::Result<Vec<u8>> {
    oid.to_der()
}

/// An Extension of RFC 5280 4.1: `critical` has DEFAULT FALSE, so FALSE is not written.
pub(crate) fn extension(
    id: ObjectIdentifier,
    critical: bool,
    value: &[u8],
) -> der::Result<Vec<u8>> {
    let id = oid(id)?;
    let flag = if critical { true.to_der()? } else { Vec::new() };
    sequence(&[&id, &flag, &octet_string(value)?])
}

/// A Time of RFC 5280 4.1.2.5.
pub(crate) fn time(unix_s: u64) -> der::Result<Vec<u8>> {
    let since_epoch = Duration::from_secs(unix_s);
    if unix_s < GENERALIZED_TIME_FROM_UNIX_S {
        UtcTime::from_unix_duration(since_epoch)?.to_der()
    } else {
        GeneralizedTime::from_unix_duration(since_epoch)?.to_der()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_changes_its_type_at_2050() {
        assert_eq!(
            time(GENERALIZED_TIME_FROM_UNIX_S - 1).unwrap(),
            b"\x17\x0d491231235959Z"
        );
        assert_eq!(
            time(GENERALIZED_TIME_FROM_UNIX_S).unwrap(),
            b"\x18\x0f20500101000000Z"
        );
        assert_eq!(time(0).unwrap(), b"\x17\x0d700101000000Z");
    }

    #[test]
    fn extension_leaves_the_default_out() {
        let id = ObjectIdentifier::new_unwrap("2.5.29.19");
        assert_eq!(
            extension(id, false, &[0x30, 0]).unwrap(),
            [0x30, 9, 6, 3, 0x55, 0x1d, 0x13, 4, 2, 0x30, 0]
        );
        assert_eq!(
            extension(id, true, &[0x30, 0]).unwrap(),
            [0x30, 12, 6, 3, 0x55, 0x1d, 0x13, 1, 1, 0xff, 4, 2, 0x30, 0]
        );
    }
}
