//! Which device a segment's port is.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a port is found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PortAddress {
    /// A kernel interface through `AF_PACKET`.
    AfPacket(String),
    /// A kernel interface through `AF_XDP`.
    AfXdp(String),
    /// A device on the PCI bus: `0000:03:00.0`.
    Pci(String),
    /// A TAP interface that the data plane makes.
    Tap(String),
    /// Any virtual device of DPDK, with its arguments as they are.
    Vdev(String),
}

/// Why a text is no port address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortAddressError {
    /// The part before the first colon is no kind of port.
    #[error(
        "`{0}` is no port; write af_packet:INTERFACE, af_xdp:INTERFACE, pci:0000:03:00.0, tap:NAME or vdev:DEVARGS"
    )]
    Kind(String),
    /// The interface name cannot exist.
    #[error("`{0}` is no interface name: 1 to 15 characters without `/`, `,`, `:` and space")]
    Interface(String),
    /// Not an address on the PCI bus.
    #[error(
        "`{0}` is no PCI address; write domain:bus:device.function in hexadecimal, as `lspci -D` prints it"
    )]
    Pci(String),
    /// Device arguments that cannot be any.
    #[error(
        "`{0}` are no device arguments; write them as for DPDK's --vdev, such as net_pcap0,iface=eth1"
    )]
    Vdev(String),
}

impl PortAddress {
    /// The kernel interface that the port uses or makes, if there is one.
    #[must_use]
    pub fn interface(&self) -> Option<&str> {
        match self {
            Self::AfPacket(name) | Self::AfXdp(name) | Self::Tap(name) => Some(name),
            Self::Pci(_) | Self::Vdev(_) => None,
        }
    }
}

impl FromStr for PortAddress {
    type Err = PortAddressError;
    fn from_str(text: &str) -> Result<Self, PortAddressError> {
        let kind = || PortAddressError::Kind(text.to_owned());
        let (scheme, rest) = text.split_once(':').ok_or_else(kind)?;
        match scheme {
            "af_packet" => interface(rest).map(Self::AfPacket),
            "af_xdp" => interface(rest).map(Self::AfXdp),
            "tap" => interface(rest).map(Self::Tap),
            "pci" => pci(rest).map(Self::Pci),
            "vdev" => vdev(rest).map(Self::Vdev),
            _ => Err(kind()),
        }
    }
}

/// Linux: `dev_valid_name`, IFNAMSIZ 16 with its final NUL; the comma would end a device argument.
fn interface(name: &str) -> Result<String, PortAddressError> {
    let fits = (1..=15).contains(&name.len())
        && name != "."
        && name != ".."
        && name
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b',' | b':'));
    if fits {
        Ok(name.to_owned())
    } else {
        Err(PortAddressError::Interface(name.to_owned()))
    }
}

fn pci(address: &str) -> Result<String, PortAddressError> {
    let hex = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let mut parts = address.split([':', '.']);
    let whole = address.len() == "0000:03:00.0".len()
        && address.as_bytes().get(4) == Some(&b':')
        && address.as_bytes().get(7) == Some(&b':')
        && address.as_bytes().get(10) == Some(&b'.')
        && [4, 2, 2, 1]
            .iter()
            .all(|digits| parts.next().is_some_and(|part| hex(part, *digits)))
        && parts.next().is_none();
    if whole {
        Ok(address.to_ascii_lowercase())
    } else {
        Err(PortAddressError::Pci(address.to_owned()))
    }
}

fn vdev(arguments: &str) -> Result<String, PortAddressError> {
    let fits = (1..=1024).contains(&arguments.len())
        && arguments.starts_with(|c: char| c.is_ascii_alphabetic())
        && arguments.bytes().all(|b| b.is_ascii_graphic());
    if fits {
        Ok(arguments.to_owned())
    } else {
        Err(PortAddressError::Vdev(arguments.to_owned()))
    }
}

impl fmt::Display for PortAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AfPacket(name) => write!(f, "af_packet:{name}"),
            Self::AfXdp(name) => write!(f, "af_xdp:{name}"),
            Self::Pci(address) => write!(f, "pci:{address}"),
            Self::Tap(name) => write!(f, "tap:{name}"),
            Self::Vdev(arguments) => write!(f, "vdev:{arguments}"),
        }
    }
}

impl TryFrom<String> for PortAddress {
    type Error = PortAddressError;
    fn try_from(text: String) -> Result<Self, PortAddressError> {
        text.parse()
    }
}

impl From<PortAddress> for String {
    fn from(address: PortAddress) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_what_they_write() {
        for text in [
            "af_packet:sl-a",
            "af_xdp:ens3f0",
            "pci:0000:03:00.0",
            "tap:sluice0",
            "vdev:net_ring0,nodeaction=CREATE:0",
        ] {
            assert_eq!(text.parse::<PortAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_port_is_refused_with_its_reason() {
        let error = |text: &str| text.parse::<PortAddress>().unwrap_err();
        for text in ["", "eth0", "eth0:", "dpdk:0", ":"] {
            assert!(matches!(error(text), PortAddressError::Kind(_)), "{text:?}");
        }
        for text in [
            "af_packet:",
            "af_packet:a/b",
            "af_xdp:a b",
            "tap:sixteen-letters-",
            "af_packet:x,qpairs=2",
            "tap:..",
        ] {
            assert!(
                matches!(error(text), PortAddressError::Interface(_)),
                "{text:?}"
            );
        }
        for text in [
            "pci:03:00.0",
            "pci:0000:03:00",
            "pci:0000:03:00.0,x",
            "pci:0000.03:00:0",
            "pci:zzzz:03:00.0",
        ] {
            assert!(matches!(error(text), PortAddressError::Pci(_)), "{text:?}");
        }
        assert!(matches!(error("vdev:"), PortAddressError::Vdev(_)));
        assert!(matches!(error("vdev:net ring"), PortAddressError::Vdev(_)));
    }
}
