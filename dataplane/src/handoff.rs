//! From core to core: frames for the core that owns their flow, and for the core that has a port's only queue.

use crossbeam_channel::{Receiver, Sender, bounded};
use dpdk::Mbuf;
use sluice_flow::Packet;
use sluice_packet::{CoreSpread, SegmentId, Side};

use crate::limits::HANDOFF_PACKETS_MAX;

/// A frame that changes cores.
#[derive(Debug)]
pub(crate) enum Handoff {
    /// Received from this port, for the flow's owner.
    Received {
        /// Position of the port.
        port: usize,
        /// The frame.
        packet: Mbuf,
    },
    /// Put together from fragments that this port received, for the flow's owner.
    Reassembled {
        /// Segment of the port.
        segment: SegmentId,
        /// Side of the port.
        side: Side,
        /// The datagram.
        packet: Packet<Mbuf>,
    },
    /// To be sent out of this port by the core that can.
    Transmit {
        /// Position of the port.
        port: usize,
        /// The frame.
        packet: Mbuf,
    },
}

/// One core's end of the mesh.
#[derive(Debug)]
pub(crate) struct Mesh {
    position: usize,
    spread: CoreSpread,
    mine: Receiver<Handoff>,
    cores: Vec<Sender<Handoff>>,
}

impl Mesh {
    /// Bounded queues between `cores` cores, one end each, over which flows are spread by a table of so many entries.
    pub(crate) fn between(cores: usize, entries: u16) -> Vec<Self> {
        let spread = CoreSpread::new(entries, u16::try_from(cores).unwrap_or(u16::MAX));
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..cores).map(|_| bounded(HANDOFF_PACKETS_MAX)).unzip();
        receivers
            .into_iter()
            .enumerate()
            .map(|(position, mine)| Self {
                position,
                spread,
                mine,
                cores: senders.clone(),
            })
            .collect()
    }

    /// The core that owns the flow of a frame, if that is another one. What belongs to no flow stays where it was received.
    ///
    /// This is asked whatever port received the frame. One that spreads flows itself spares the handing over of most of
    /// them, but it knows nothing of tunnels, fragments and what an ICMP error is about, and may know little of VLANs.
    pub(crate) fn owner_elsewhere(&self, segment: SegmentId, frame: &[u8]) -> Option<usize> {
        let owner = usize::from(self.spread.owner_of(segment, frame)?);
        (owner != self.position).then_some(owner)
    }

    /// Hands a frame over; gives it back when that core's queue is full.
    pub(crate) fn give(&self, core: usize, handoff: Handoff) -> Result<(), Packet<Mbuf>> {
        let refused = match self.cores.get(core) {
            Some(queue) => queue
                .try_send(handoff)
                .map_err(crossbeam_channel::TrySendError::into_inner)
                .err(),
            None => Some(handoff),
        };
        match refused {
            None => Ok(()),
            Some(Handoff::Received { packet, .. } | Handoff::Transmit { packet, .. }) => {
                Err(Packet::Whole(packet))
            }
            Some(Handoff::Reassembled { packet, .. }) => Err(packet),
        }
    }

    /// The next frame from another core.
    pub(crate) fn take(&self) -> Option<Handoff> {
        self.mine.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::SPREAD_ENTRIES_DEFAULT;

    /// An Ethernet frame with an empty TCP segment over IPv4.
    fn tcp_frame(source: ([u8; 4], u16), destination: ([u8; 4], u16)) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00];
        frame.extend([0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0]);
        frame.extend(source.0);
        frame.extend(destination.0);
        frame.extend(source.1.to_be_bytes());
        frame.extend(destination.1.to_be_bytes());
        frame.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0]);
        frame
    }

    #[test]
    fn both_directions_of_a_flow_have_one_owner_and_flows_are_spread() {
        let cores = 3;
        let mesh = Mesh::between(cores, SPREAD_ENTRIES_DEFAULT);
        let mut owned = vec![0; cores];
        for port in 1_024..4_096_u16 {
            let client = ([10, 201, 1, 2], port);
            let server = ([10, 201, 2, 2], 443);
            let owner = |frame: &[u8]| mesh[0].owner_elsewhere(SegmentId(0), frame).unwrap_or(0);
            let there = owner(&tcp_frame(client, server));
            assert_eq!(there, owner(&tcp_frame(server, client)), "port {port}");
            owned[there] += 1;
        }
        assert!(
            owned.iter().all(|count| *count > 3_072 / cores / 2),
            "{owned:?}"
        );
    }

    #[test]
    fn what_is_no_tcp_stays() {
        let mesh = Mesh::between(2, SPREAD_ENTRIES_DEFAULT);
        let mut arp = vec![0xff; 12];
        arp.extend([0x08, 0x06]);
        arp.extend([0; 46]);
        assert!(
            mesh.iter()
                .all(|mesh| mesh.owner_elsewhere(SegmentId(0), &arp).is_none())
        );
    }

    /// The same frame, cut in two after `at` bytes of its IP datagram's data.
    fn cut(frame: &[u8], identification: u16, at: usize) -> [Vec<u8>; 2] {
        let part = |range: core::ops::Range<usize>, more: bool| {
            let mut part = frame[..34].to_vec();
            let length = u16::try_from(20 + range.len()).expect("a length");
            part[16..18].copy_from_slice(&length.to_be_bytes());
            part[18..20].copy_from_slice(&identification.to_be_bytes());
            let field = u16::try_from(range.start / 8).expect("an offset") | u16::from(more) << 13;
            part[20..22].copy_from_slice(&field.to_be_bytes());
            part.extend(&frame[34 + range.start..34 + range.end]);
            part
        };
        [part(0..at, true), part(at..frame.len() - 34, false)]
    }

    #[test]
    fn e111_fragments_of_one_datagram_meet_and_datagrams_are_spread() {
        let cores = 3;
        let mesh = Mesh::between(cores, SPREAD_ENTRIES_DEFAULT);
        let mut owned = vec![0; cores];
        let owner = |frame: &[u8]| mesh[0].owner_elsewhere(SegmentId(0), frame).unwrap_or(0);
        for identification in 0..3_072 {
            let frame = tcp_frame(([10, 201, 1, 2], 40_000), ([10, 201, 2, 2], 443));
            let [first, second] = cut(&frame, identification, 8);
            assert_eq!(owner(&first), owner(&second), "{identification}");
            owned[owner(&first)] += 1;
        }
        assert!(
            owned.iter().all(|count| *count > 3_072 / cores / 2),
            "{owned:?}"
        );
    }

    #[test]
    fn p94_an_icmp_error_goes_to_the_owner_of_the_flow_it_is_about() {
        let cores = 5;
        let mesh = Mesh::between(cores, SPREAD_ENTRIES_DEFAULT);
        for port in 1_024..1_100_u16 {
            let quoted = tcp_frame(([10, 201, 1, 2], port), ([10, 201, 2, 2], 443));
            let mut error = quoted[..14].to_vec();
            error.extend([
                0x45, 0, 0, 56, 0, 0, 0, 0, 64, 1, 0, 0, 192, 0, 2, 9, 10, 201, 1, 2,
            ]);
            error.extend([3, 4, 0, 0, 0, 0, 5, 0]);
            error.extend(&quoted[14..14 + 28]);
            let owner = |frame: &[u8]| mesh[0].owner_elsewhere(SegmentId(0), frame);
            assert_eq!(owner(&error), owner(&quoted), "port {port}");
        }
    }
}
