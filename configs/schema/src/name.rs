//! Names: letters, digits, `_`, `-` and space, of bounded length. A name that exists is a valid one.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits::{DESCRIPTION_CHARS_MAX, NAME_CHARS_MAX, PROXY_NAME_CHARS_MAX};

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is nothing in it.
    #[error("it is empty; give it at least one character")]
    Empty,
    /// It is too long.
    #[error("it is {chars} characters long; at most {max} are allowed")]
    TooLong {
        /// Its length.
        chars: usize,
        /// The longest allowed.
        max: usize,
    },
    /// It has a character that names do not have.
    #[error("it contains {0:?}; only ASCII letters, digits, `_`, `-` and space are allowed")]
    Character(char),
    /// It begins or ends with a space.
    #[error("it begins or ends with a space; remove it")]
    EdgeSpace,
    /// It is a name that means something else.
    #[error("`{0}` is reserved; choose another name")]
    Reserved(&'static str),
}

fn check(text: &str, chars_max: usize) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    let chars = text.chars().count();
    if chars > chars_max {
        return Err(NameError::TooLong {
            chars,
            max: chars_max,
        });
    }
    if let Some(odd) = text
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ')))
    {
        return Err(NameError::Character(odd));
    }
    if text.starts_with(' ') || text.ends_with(' ') {
        return Err(NameError::EdgeSpace);
    }
    Ok(())
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                let check: fn(&str) -> Result<(), NameError> = $check;
                check(&text)?;
                Ok(Self(text))
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_type!(
    /// Name of the appliance, as it stands in events.
    ApplianceName,
    |text| check(text, NAME_CHARS_MAX)
);
text_type!(
    /// Name of a profile. `none` is reserved.
    ProfileName,
    |text| {
        check(text, NAME_CHARS_MAX)?;
        if text == "none" { Err(NameError::Reserved("none")) } else { Ok(()) }
    }
);
text_type!(
    /// Name of a segment or virtual segment.
    SegmentName,
    |text| check(text, NAME_CHARS_MAX)
);
text_type!(
    /// Name of a client or server proxy.
    ProxyName,
    |text| check(text, PROXY_NAME_CHARS_MAX)
);
text_type!(
    /// Name of a client or server policy.
    PolicyName,
    |text| check(text, NAME_CHARS_MAX)
);
text_type!(
    /// Name of a decryption policy.
    DecryptionPolicyName,
    |text| check(text, NAME_CHARS_MAX)
);
text_type!(
    /// Name of a trust store.
    TrustStoreName,
    |text| check(text, NAME_CHARS_MAX)
);
text_type!(
    /// Name of a certificate in the certificate store. `ca` is reserved.
    CertificateName,
    |text| {
        check(text, NAME_CHARS_MAX)?;
        if text.eq_ignore_ascii_case("ca") { Err(NameError::Reserved("ca")) } else { Ok(()) }
    }
);
text_type!(
    /// Free text for people, one line.
    Description,
    |text| {
        let chars = text.chars().count();
        if chars > DESCRIPTION_CHARS_MAX {
            return Err(NameError::TooLong { chars, max: DESCRIPTION_CHARS_MAX });
        }
        match text.chars().find(|c| c.is_control()) {
            Some(odd) => Err(NameError::Character(odd)),
            None => Ok(()),
        }
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f87_certificate_names_are_alphanumeric_hyphen_underscore_and_space_and_never_ca() {
        for good in ["sluice-ca", "Sluice CA 2", "a", "my_root-1", "cat"] {
            assert_eq!(good.parse::<CertificateName>().unwrap().as_str(), good);
        }
        for bad in ["a.b", "a/b", "ä", "a\n", "", "a\u{0}", "../etc"] {
            assert!(bad.parse::<CertificateName>().is_err(), "{bad:?}");
        }
        for reserved in ["ca", "CA", "Ca"] {
            assert_eq!(
                reserved.parse::<CertificateName>(),
                Err(NameError::Reserved("ca"))
            );
        }
    }

    #[test]
    fn f91_trust_store_names_have_at_most_64_characters() {
        assert!("t".repeat(64).parse::<TrustStoreName>().is_ok());
        assert_eq!(
            "t".repeat(65).parse::<TrustStoreName>(),
            Err(NameError::TooLong { chars: 65, max: 64 })
        );
        assert!("d".repeat(512).parse::<Description>().is_ok());
        assert!("d".repeat(513).parse::<Description>().is_err());
    }

    #[test]
    fn f99_proxy_names_have_at_most_128_characters() {
        assert!("p".repeat(128).parse::<ProxyName>().is_ok());
        assert_eq!(
            "p".repeat(129).parse::<ProxyName>(),
            Err(NameError::TooLong {
                chars: 129,
                max: 128
            })
        );
        assert!("a b_c-1".parse::<ProxyName>().is_ok());
        assert_eq!("a:b".parse::<ProxyName>(), Err(NameError::Character(':')));
    }

    #[test]
    fn names_do_not_hide_spaces() {
        assert_eq!(" a".parse::<PolicyName>(), Err(NameError::EdgeSpace));
        assert_eq!("a ".parse::<PolicyName>(), Err(NameError::EdgeSpace));
    }

    #[test]
    fn a_name_is_checked_when_it_is_deserialised() {
        assert!(serde_json::from_str::<ProfileName>("\"lab\"").is_ok());
        assert!(serde_json::from_str::<ProfileName>("\"none\"").is_err());
        assert!(serde_json::from_str::<ProfileName>("\"a/b\"").is_err());
    }
}
