//! Segments of numbered flows, made without a TCP.

use core::net::{Ipv4Addr, SocketAddr};

use sluice_packet::{PathTemplate, SegmentId, SeqNum, Side, TcpFlags, TcpSegment, VlanStack, emit};

/// The one segment that is measured.
pub const SEGMENT: SegmentId = SegmentId(0);

/// The port behind which all clients live.
pub const CLIENT_SIDE: Side = Side::A;

const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const FRAME_BYTES_MAX: usize = 2048;
const PORTS_PER_ADDRESS: u32 = 60_000;

/// One segment of one flow.
#[derive(Debug, Clone, Copy)]
pub struct Craft<'a> {
    /// Which flow.
    pub flow: u32,
    /// The server's port.
    pub server_port: u16,
    /// Sent by the client, or by the server.
    pub from_client: bool,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Control bits.
    pub flags: TcpFlags,
    /// Payload.
    pub payload: &'a [u8],
}

impl Craft<'_> {
    /// Client and server of a flow.
    #[must_use]
    pub fn ends(flow: u32, server_port: u16) -> (SocketAddr, SocketAddr) {
        let host =
            Ipv4Addr::from_bits(Ipv4Addr::new(10, 1, 0, 1).to_bits() + flow / PORTS_PER_ADDRESS);
        let port = 1024 + u16::try_from(flow % PORTS_PER_ADDRESS).unwrap_or(0);
        let server = Ipv4Addr::new(10, 2, 0, 1);
        ((host, port).into(), (server, server_port).into())
    }

    /// Where the segment comes in.
    #[must_use]
    pub const fn side(&self) -> Side {
        if self.from_client {
            CLIENT_SIDE
        } else {
            CLIENT_SIDE.other()
        }
    }

    /// Writes the frame in place of whatever `frame` holds.
    pub fn write(&self, frame: &mut Vec<u8>) {
        let (client, server) = Self::ends(self.flow, self.server_port);
        let (source_mac, destination_mac, source, destination) = if self.from_client {
            (CLIENT_MAC, SERVER_MAC, client, server)
        } else {
            (SERVER_MAC, CLIENT_MAC, server, client)
        };
        let untagged = VlanStack::UNTAGGED;
        let path = PathTemplate::new(source_mac, destination_mac, untagged, source, destination);
        let segment = TcpSegment {
            seq: SeqNum(self.seq),
            ack: SeqNum(self.ack),
            flags: self.flags,
            window: 60_000,
            payload: self.payload,
            ..TcpSegment::default()
        };
        frame.resize(FRAME_BYTES_MAX, 0);
        let len = emit(frame, &path, &segment, &[]).unwrap_or(0);
        frame.truncate(len);
    }
}
