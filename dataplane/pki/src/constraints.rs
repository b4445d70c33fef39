//! The name constraints of a signing CA (RFC 5280 4.2.1.10): what it may not sign is not forged.

use x509_parser::prelude::{GeneralName, NameConstraints, X509Name};

use crate::origin::Origin;

/// A name of the leaf that the CA, or an issuer above it, may not sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forbidden {
    pub(crate) name: String,
    pub(crate) why: &'static str,
}

/// The constraints of one certificate of the chain.
#[derive(Clone, Debug, Default)]
pub(crate) struct Constraints {
    permitted: Vec<Subtree>,
    excluded: Vec<Subtree>,
}

#[derive(Clone, Debug)]
enum Subtree {
    /// Lower case, without the final dot. A leading dot asks for at least one label more.
    Dns(String),
    Ip {
        address: Vec<u8>,
        mask: Vec<u8>,
    },
    Directory(Vec<Rdn>),
    /// A form whose matching is not implemented: a name of that form cannot be judged, and is refused.
    Other(Form),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Dns,
    Ip,
    Directory,
    Email,
    Uri,
    Rest,
}

/// One relative distinguished name, in a form that compares as RFC 5280 7.1 asks in the cases that occur: letter case and
/// outer and repeated blanks do not count, nor does the string type.
type Rdn = Vec<(String, Vec<u8>)>;

impl Constraints {
    pub(crate) fn from_extension(extension: &NameConstraints<'_>) -> Self {
        let read =
            |subtrees: &Option<Vec<x509_parser::extensions::GeneralSubtree<'_>>>| -> Vec<Subtree> {
                subtrees
                    .iter()
                    .flatten()
                    .map(|subtree| Subtree::read(&subtree.base))
                    .collect()
            };
        Self {
            permitted: read(&extension.permitted_subtrees),
            excluded: read(&extension.excluded_subtrees),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.permitted.len() + self.excluded.len()
    }

    /// Whether a leaf with the origin's subject and names, or the one name written for it, may be signed.
    pub(crate) fn allow(
        &self,
        origin: &Origin<'_>,
        synthesized: Option<&GeneralName<'_>>,
    ) -> Result<(), Forbidden> {
        if self.len() == 0 {
            return Ok(());
        }
        if !origin.subject_is_empty() {
            self.judge(&Name::Directory(distinguished_name(&origin.subject)))?;
        }
        let names = origin
            .san
            .iter()
            .flat_map(|san| &san.names)
            .chain(synthesized);
        names.map(Name::read).try_for_each(|name| self.judge(&name))
    }

    fn judge(&self, name: &Name) -> Result<(), Forbidden> {
        let forbidden = |why| {
            Err(Forbidden {
                name: name.to_string(),
                why,
            })
        };
        let Some(form) = name.form() else {
            return forbidden("it is malformed, and the CA has name constraints");
        };
        let same_form = |subtree: &&Subtree| subtree.form() == form;
        if self
            .permitted
            .iter()
            .chain(&self.excluded)
            .any(|subtree| matches!(subtree, Subtree::Other(other) if *other == form))
        {
            return forbidden(
                "the CA has name constraints for names of its kind, which are not understood",
            );
        }
        let mut permitted = self.permitted.iter().filter(same_form).peekable();
        if permitted.peek().is_some() && !permitted.any(|subtree| subtree.covers(name)) {
            return forbidden("it is outside what the CA is permitted to sign");
        }
        if self
            .excluded
            .iter()
            .filter(same_form)
            .any(|subtree| subtree.touches(name))
        {
            return forbidden("the CA is excluded from signing it");
        }
        Ok(())
    }
}

impl Subtree {
    fn read(base: &GeneralName<'_>) -> Self {
        match base {
            GeneralName::DNSName(name) => Self::Dns(normal_dns(name)),
            GeneralName::IPAddress(bytes) if bytes.len() == 8 || bytes.len() == 32 => {
                let (address, mask) = bytes.split_at(bytes.len() / 2);
                Self::Ip {
                    address: address.to_vec(),
                    mask: mask.to_vec(),
                }
            }
            GeneralName::DirectoryName(name) => Self::Directory(distinguished_name(name)),
            GeneralName::IPAddress(_) => Self::Other(Form::Ip),
            GeneralName::RFC822Name(_) => Self::Other(Form::Email),
            GeneralName::URI(_) => Self::Other(Form::Uri),
            _ => Self::Other(Form::Rest),
        }
    }

    fn form(&self) -> Form {
        match self {
            Self::Dns(_) => Form::Dns,
            Self::Ip { .. } => Form::Ip,
            Self::Directory(_) => Form::Directory,
            Self::Other(form) => *form,
        }
    }

    /// Everything the name stands for lies in the subtree.
    fn covers(&self, name: &Name) -> bool {
        match (self, name) {
            (Self::Dns(base), Name::Dns(name)) => dns_within(name, base),
            (Self::Ip { address, mask }, Name::Ip(name)) => {
                name.len() == address.len()
                    && name
                        .iter()
                        .zip(address)
                        .zip(mask)
                        .all(|((name, address), mask)| name & mask == address & mask)
            }
            (Self::Directory(base), Name::Directory(name)) => name.starts_with(base),
            _ => false,
        }
    }

    /// Something the name stands for lies in the subtree. They differ for wildcards: `*.example.com` stands for
    /// `secret.example.com` too.
    fn touches(&self, name: &Name) -> bool {
        let expands_into = match (self, name) {
            (Self::Dns(base), Name::Dns(name)) => name.strip_prefix("*.").is_some_and(|parent| {
                base.split_once('.')
                    .is_some_and(|(label, rest)| !label.is_empty() && rest == parent)
            }),
            _ => false,
        };
        expands_into || self.covers(name)
    }
}

enum Name {
    Dns(String),
    Ip(Vec<u8>),
    Directory(Vec<Rdn>),
    Email(String),
    Uri(String),
    Rest,
    Malformed,
}

impl Name {
    fn read(name: &GeneralName<'_>) -> Self {
        match name {
            GeneralName::DNSName(name) => Self::Dns(normal_dns(name)),
            GeneralName::IPAddress(bytes) if bytes.len() == 4 || bytes.len() == 16 => {
                Self::Ip(bytes.to_vec())
            }
            GeneralName::DirectoryName(name) => Self::Directory(distinguished_name(name)),
            GeneralName::RFC822Name(name) => Self::Email((*name).to_owned()),
            GeneralName::URI(name) => Self::Uri((*name).to_owned()),
            GeneralName::IPAddress(_) | GeneralName::Invalid(..) => Self::Malformed,
            _ => Self::Rest,
        }
    }

    fn form(&self) -> Option<Form> {
        match self {
            Self::Dns(_) => Some(Form::Dns),
            Self::Ip(_) => Some(Form::Ip),
            Self::Directory(_) => Some(Form::Directory),
            Self::Email(_) => Some(Form::Email),
            Self::Uri(_) => Some(Form::Uri),
            Self::Rest => Some(Form::Rest),
            Self::Malformed => None,
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dns(name) | Self::Email(name) | Self::Uri(name) => {
                write!(f, "{}", name.escape_default())
            }
            Self::Ip(bytes) => match (
                <[u8; 4]>::try_from(bytes.as_slice()),
                <[u8; 16]>::try_from(bytes.as_slice()),
            ) {
                (Ok(v4), _) => write!(f, "{}", std::net::Ipv4Addr::from(v4)),
                (_, Ok(v6)) => write!(f, "{}", std::net::Ipv6Addr::from(v6)),
                _ => f.write_str("an address"),
            },
            Self::Directory(_) => f.write_str("the subject or a directory name"),
            Self::Rest => f.write_str("a name of an uncommon kind"),
            Self::Malformed => f.write_str("a name"),
        }
    }
}

fn normal_dns(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// RFC 5280 4.2.1.10: a base is matched by itself and by whatever has more labels to its left; an empty base by everything.
fn dns_within(name: &str, base: &str) -> bool {
    if base.is_empty() {
        return true;
    }
    match name.strip_suffix(base) {
        Some("") => true,
        Some(left) => left.ends_with('.') || base.starts_with('.'),
        None => false,
    }
}

fn distinguished_name(name: &X509Name<'_>) -> Vec<Rdn> {
    name.iter()
        .map(|rdn| {
            let mut attributes: Rdn = rdn
                .iter()
                .map(|attribute| {
                    (
                        attribute.attr_type().to_id_string(),
                        normal_value(attribute),
                    )
                })
                .collect();
            attributes.sort();
            attributes
        })
        .collect()
}

fn normal_value(attribute: &x509_parser::x509::AttributeTypeAndValue<'_>) -> Vec<u8> {
    match attribute.as_str() {
        Ok(text) => text
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .to_lowercase()
            .into_bytes(),
        Err(_) => attribute.as_slice().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dns(name: &str) -> Name {
        Name::Dns(normal_dns(name))
    }

    fn constraints(permitted: &[&str], excluded: &[&str]) -> Constraints {
        let read = |names: &[&str]| {
            names
                .iter()
                .map(|name| Subtree::read(&GeneralName::DNSName(name)))
                .collect()
        };
        Constraints {
            permitted: read(permitted),
            excluded: read(excluded),
        }
    }

    #[test]
    fn l48_permitted_dns_covers_the_name_and_what_is_below() {
        let c = constraints(&["example.com"], &[]);
        for good in [
            "example.com",
            "a.example.com",
            "A.B.EXAMPLE.com.",
            "*.example.com",
        ] {
            assert_eq!(c.judge(&dns(good)), Ok(()), "{good}");
        }
        for bad in ["badexample.com", "example.com.evil.net", "com", "*.com", ""] {
            assert!(c.judge(&dns(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn l48_a_leading_dot_asks_for_a_label_more() {
        let c = constraints(&[".example.com"], &[]);
        assert_eq!(c.judge(&dns("a.example.com")), Ok(()));
        assert!(c.judge(&dns("example.com")).is_err());
    }

    #[test]
    fn l48_excluded_wins_and_sees_through_wildcards() {
        let c = constraints(&["example.com"], &["secret.example.com"]);
        assert_eq!(c.judge(&dns("open.example.com")), Ok(()));
        for bad in [
            "secret.example.com",
            "a.secret.example.com",
            "*.secret.example.com",
            "*.example.com",
        ] {
            assert!(c.judge(&dns(bad)).is_err(), "{bad}");
        }
        let everything = constraints(&[], &[""]);
        assert!(everything.judge(&dns("any.example.net")).is_err());
    }

    #[test]
    fn l48_addresses_match_by_prefix_and_family() {
        let base: &[u8] = &[10, 1, 0, 0, 255, 255, 0, 0];
        let c = Constraints {
            permitted: vec![Subtree::read(&GeneralName::IPAddress(base))],
            excluded: Vec::new(),
        };
        assert_eq!(c.judge(&Name::Ip(vec![10, 1, 7, 7])), Ok(()));
        assert_eq!(
            c.judge(&Name::Ip(vec![10, 2, 7, 7])).unwrap_err().name,
            "10.2.7.7"
        );
        assert!(c.judge(&Name::Ip(vec![0; 16])).is_err());
        assert_eq!(
            c.judge(&dns("example.com")),
            Ok(()),
            "constraints on addresses do not bind names"
        );
    }

    #[test]
    fn l48_what_cannot_be_judged_is_refused() {
        let c = Constraints {
            permitted: vec![Subtree::read(&GeneralName::URI("example.com"))],
            excluded: Vec::new(),
        };
        assert!(
            c.judge(&Name::Uri("https://example.com/".to_owned()))
                .is_err()
        );
        assert!(c.judge(&Name::Malformed).is_err());
        assert_eq!(c.judge(&dns("example.com")), Ok(()));
        let odd_mask = Constraints {
            permitted: vec![Subtree::read(&GeneralName::IPAddress(&[1, 2, 3]))],
            excluded: Vec::new(),
        };
        assert!(odd_mask.judge(&Name::Ip(vec![1, 2, 3, 4])).is_err());
    }
}
