//! One data plane per port: a second on the same interface would forward every frame twice.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::failure::StartFailure;

/// The exclusive right to a port, for as long as it is held. It ends with the process, however that ends.
#[derive(Debug)]
pub(crate) struct PortClaim {
    _socket: OwnedFd,
}

impl PortClaim {
    /// Takes the right to `resource`, which the port named `port` in the configuration stands on. An abstract Unix address
    /// lives in the network namespace, as interfaces do, and leaves no file behind.
    ///
    /// # Errors
    /// Another process has it.
    pub(crate) fn take(port: &str, resource: &str) -> Result<Self, StartFailure> {
        let system = |errno: Errno| StartFailure::System {
            what: "claiming a port",
            error: errno.into(),
        };
        let socket = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(system)?;
        let address =
            SocketAddrUnix::new_abstract_name(format!("sluice-port/{resource}").as_bytes())
                .map_err(system)?;
        match rustix::net::bind(&socket, &address) {
            Ok(()) => Ok(Self { _socket: socket }),
            Err(Errno::ADDRINUSE) => Err(StartFailure::PortInUse {
                port: port.to_owned(),
            }),
            Err(errno) => Err(system(errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_has_one_data_plane_at_a_time() {
        let resource = format!("interface/test{}", std::process::id());
        let first = PortClaim::take("af_packet:test", &resource).expect("free");
        let refused = PortClaim::take("af_xdp:test", &resource).expect_err("taken");
        assert!(
            matches!(refused, StartFailure::PortInUse { .. }),
            "{refused}"
        );
        drop(first);
        PortClaim::take("af_packet:test", &resource).expect("free again");
    }
}
