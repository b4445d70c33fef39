//! The subject of a certificate or request made here.

use rcgen::{CertificateParams, DnType, SanType};
use serde::{Deserialize, Serialize};

use crate::limits::{
    ALTERNATIVE_NAMES_MAX, EMAIL_CHARS_MAX, LONG_ATTRIBUTE_CHARS_MAX, SHORT_ATTRIBUTE_CHARS_MAX,
};

/// emailAddress of PKCS#9 (RFC 2985 5.2.1).
const EMAIL_ADDRESS: &[u64] = &[1, 2, 840, 113_549, 1, 9, 1];

/// Who a certificate is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Subject {
    /// CN, required.
    pub common_name: String,
    /// O.
    pub organization: Option<String>,
    /// OU.
    pub organizational_unit: Option<String>,
    /// L.
    pub locality: Option<String>,
    /// ST.
    pub state: Option<String>,
    /// C: the two letters of ISO 3166.
    pub country: Option<String>,
    /// emailAddress.
    pub email: Option<String>,
    /// DNS names of the subjectAltName; `*.` leftmost only.
    pub dns_names: Vec<String>,
    /// Email addresses of the subjectAltName.
    pub email_names: Vec<String>,
}

/// A part of a subject cannot stand in a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubjectProblem {
    /// No common name.
    #[error("the common name is missing; give one")]
    NoCommonName,
    /// A part is empty, too long, or has control characters.
    #[error("the {part} must have 1 to {chars_max} characters and no control characters")]
    Attribute {
        /// Which part.
        part: &'static str,
        /// Its bound.
        chars_max: usize,
    },
    /// The country is not two letters.
    #[error("the country `{0}` is not a two-letter code of ISO 3166, such as DE")]
    Country(String),
    /// An email address is not one.
    #[error("`{0}` is no email address in ASCII, such as pki@example.com")]
    Email(String),
    /// A DNS name is not one.
    #[error(
        "`{0}` is no DNS name; use letters, digits and hyphens between dots, with `*.` at the very left at most"
    )]
    DnsName(String),
    /// Too many alternative names.
    #[error("more than {ALTERNATIVE_NAMES_MAX} alternative names were given; give fewer")]
    TooManyNames,
}

impl Subject {
    /// A subject with a common name and, if given, an organization.
    #[must_use]
    pub fn new(common_name: &str, organization: Option<&str>) -> Self {
        Self {
            common_name: common_name.to_owned(),
            organization: organization.map(str::to_owned),
            ..Self::default()
        }
    }

    /// Checks every part and writes it into `params`, in the order in which names are read: country first.
    pub(crate) fn write(&self, params: &mut CertificateParams) -> Result<(), SubjectProblem> {
        if self.common_name.is_empty() {
            return Err(SubjectProblem::NoCommonName);
        }
        let name = &mut params.distinguished_name;
        *name = rcgen::DistinguishedName::new();
        if let Some(country) = &self.country {
            let letters =
                country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_alphabetic());
            let code =
                rcgen::string::PrintableString::try_from(country.to_ascii_uppercase().as_str());
            let (true, Ok(code)) = (letters, code) else {
                return Err(SubjectProblem::Country(country.clone()));
            };
            name.push(DnType::CountryName, rcgen::DnValue::PrintableString(code));
        }
        let attributes = [
            (
                DnType::StateOrProvinceName,
                "state",
                self.state.as_ref(),
                LONG_ATTRIBUTE_CHARS_MAX,
            ),
            (
                DnType::LocalityName,
                "locality",
                self.locality.as_ref(),
                LONG_ATTRIBUTE_CHARS_MAX,
            ),
            (
                DnType::OrganizationName,
                "organization",
                self.organization.as_ref(),
                SHORT_ATTRIBUTE_CHARS_MAX,
            ),
            (
                DnType::OrganizationalUnitName,
                "organizational unit",
                self.organizational_unit.as_ref(),
                SHORT_ATTRIBUTE_CHARS_MAX,
            ),
            (
                DnType::CommonName,
                "common name",
                Some(&self.common_name),
                SHORT_ATTRIBUTE_CHARS_MAX,
            ),
        ];
        for (kind, part, value, chars_max) in attributes {
            let Some(value) = value else { continue };
            if !(1..=chars_max).contains(&value.chars().count())
                || value.chars().any(char::is_control)
            {
                return Err(SubjectProblem::Attribute { part, chars_max });
            }
            name.push(kind, value.as_str());
        }
        if let Some(email) = &self.email {
            name.push(
                DnType::CustomDnType(EMAIL_ADDRESS.to_vec()),
                rcgen::DnValue::Ia5String(email_address(email)?),
            );
        }
        params.subject_alt_names = self.alternative_names()?;
        Ok(())
    }

    fn alternative_names(&self) -> Result<Vec<SanType>, SubjectProblem> {
        if self.dns_names.len() + self.email_names.len() > ALTERNATIVE_NAMES_MAX {
            return Err(SubjectProblem::TooManyNames);
        }
        let dns = self
            .dns_names
            .iter()
            .map(|name| dns_name(name).map(SanType::DnsName));
        let email = self
            .email_names
            .iter()
            .map(|name| email_address(name).map(SanType::Rfc822Name));
        dns.chain(email).collect()
    }
}

fn dns_name(name: &str) -> Result<rcgen::string::Ia5String, SubjectProblem> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let host = name.strip_prefix("*.").unwrap_or(name);
    let refused = || SubjectProblem::DnsName(name.escape_default().to_string());
    if name.len() > 253 || !host.split('.').all(label) {
        return Err(refused());
    }
    rcgen::string::Ia5String::try_from(name.to_ascii_lowercase()).map_err(|_| refused())
}

fn email_address(email: &str) -> Result<rcgen::string::Ia5String, SubjectProblem> {
    let refused = || SubjectProblem::Email(email.escape_default().to_string());
    let whole = email.len() <= EMAIL_CHARS_MAX && email.bytes().all(|byte| byte.is_ascii_graphic());
    match email.split_once('@') {
        Some((local, domain))
            if whole && !local.is_empty() && !domain.is_empty() && !domain.contains('@') =>
        {
            rcgen::string::Ia5String::try_from(email).map_err(|_| refused())
        }
        _ => Err(refused()),
    }
}
