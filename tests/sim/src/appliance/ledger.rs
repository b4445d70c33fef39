//! What both ends have said and what they were told, so that every frame the appliance makes can be held against it.

use sluice_packet::{SeqNum, TcpFrame};
use thiserror::Error;

use crate::network::Side;

/// One end.
#[derive(Clone, Copy, Debug, Default)]
struct End {
    /// It has sent a SYN: what it offered there.
    opened: Option<Offer>,
    /// The right edge of the window that it last opened furthest.
    edge: Option<SeqNum>,
    /// One past the last sequence number it has sent.
    sent: Option<SeqNum>,
    /// The latest timestamp it has sent.
    clock: Option<u32>,
    /// The latest timestamp, acknowledgement and window edge that it was sent.
    told_clock: Option<u32>,
    told_ack: Option<SeqNum>,
    told_edge: Option<SeqNum>,
}

/// What a SYN offers.
#[derive(Clone, Copy, Debug)]
struct Offer {
    mss: u16,
    scale: Option<u8>,
    timestamps: bool,
}

/// What is wrong with a frame that the appliance made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Wrong {
    #[error("the frame goes back to the end whose name it wears")]
    Direction,
    #[error("a checksum is wrong")]
    Checksum,
    #[error("{bytes} bytes of IP exceed the link's MTU of {mtu}")]
    Mtu { bytes: usize, mtu: u16 },
    #[error("{bytes} bytes of options and payload exceed the MSS of {mss}")]
    Mss { bytes: usize, mss: u16 },
    #[error("{past} bytes past the window that the end offered")]
    Window { past: i32 },
    #[error("it acknowledges {past} bytes that the end never sent")]
    Acknowledgement { past: i32 },
    #[error("the acknowledgement goes back by {by}")]
    AcknowledgementBack { by: i32 },
    #[error("the window that was offered is taken back by {by} bytes")]
    WindowBack { by: i32 },
    #[error("the timestamp goes back by {by}")]
    ClockBack { by: i32 },
    #[error("the timestamp that it echoes was never sent")]
    Echo,
    #[error("both ends agreed on timestamps and it carries none")]
    NoTimestamp,
}

/// Both ends of one flow.
pub(super) struct Ledger {
    ends: [End; 2],
    /// Of the links to them.
    mtus: [u16; 2],
}

/// The MSS of an end that names none (RFC 9293 section 3.7.1).
const MSS_DEFAULT: u16 = 536;
/// A zero window is probed with one byte (RFC 9293 section 3.8.6.1).
const PROBE_BYTES: i32 = 1;

impl Ledger {
    pub(super) fn new(mtus: [u16; 2]) -> Self {
        Self {
            ends: [End::default(); 2],
            mtus,
        }
    }

    fn end(&mut self, side: Side) -> &mut End {
        let [left, right] = &mut self.ends;
        match side {
            Side::Left => left,
            Side::Right => right,
        }
    }

    /// The appliance got a sound segment from the end on `side`.
    pub(super) fn heard(&mut self, side: Side, tcp: &TcpFrame) {
        let scale = self.scale(side);
        let end = self.end(side);
        if tcp.flags.syn() {
            end.opened = Some(Offer {
                mss: tcp.options.mss.unwrap_or(MSS_DEFAULT),
                scale: tcp.options.window_scale,
                timestamps: tcp.options.timestamps.is_some(),
            });
        }
        latest(&mut end.sent, after(tcp));
        if tcp.flags.ack() && !tcp.flags.rst() {
            let scale = if tcp.flags.syn() { 0 } else { scale };
            latest(
                &mut end.edge,
                tcp.ack + (u32::from(tcp.window) << u32::from(scale)),
            );
        }
        if let Some(timestamps) = tcp.options.timestamps {
            newest(&mut end.clock, timestamps.value);
        }
    }

    /// The end on `to` gets a segment of the other end's own.
    pub(super) fn passed(&mut self, to: Side, tcp: &TcpFrame) {
        let end = self.end(to);
        if let Some(timestamps) = tcp.options.timestamps {
            newest(&mut end.told_clock, timestamps.value);
        }
        if tcp.flags.ack() && !tcp.flags.rst() {
            latest(&mut end.told_ack, tcp.ack);
        }
    }

    /// The end on `to` gets a segment that the appliance made in the name of the end on `sender`.
    pub(super) fn made(
        &mut self,
        to: Side,
        sender: Side,
        tcp: &TcpFrame,
        frame: &[u8],
    ) -> Result<(), Wrong> {
        if sender == to {
            return Err(Wrong::Direction);
        }
        if !tcp.checksum_ok(frame) {
            return Err(Wrong::Checksum);
        }
        let bytes = tcp.payload_range().end - tcp.l3_offset();
        let [left, right] = self.mtus;
        let mtu = match to {
            Side::Left => left,
            Side::Right => right,
        };
        if bytes > usize::from(mtu) {
            return Err(Wrong::Mtu { bytes, mtu });
        }
        if tcp.flags.rst() {
            return Ok(());
        }
        let (scale, timestamps) = (self.scale(sender), self.timestamps());
        let end = self.end(to);
        let mss = end.opened.map_or(MSS_DEFAULT, |offer| offer.mss);
        let options = tcp.payload_range().start - tcp.l4_offset() - TCP_HEADER_BYTES;
        if tcp.payload_len() > 0 && options + tcp.payload_len() > usize::from(mss) {
            let bytes = options + tcp.payload_len();
            return Err(Wrong::Mss { bytes, mss });
        }
        if let Some(edge) = end.edge
            && tcp.payload_len() > 0
        {
            let payload = u32::try_from(tcp.payload_len()).unwrap_or(u32::MAX);
            let past = (tcp.seq + payload).distance(edge);
            if past > PROBE_BYTES {
                return Err(Wrong::Window { past });
            }
        }
        if tcp.flags.ack() {
            end.acknowledges(tcp, scale)?;
        }
        match tcp.options.timestamps {
            Some(timestamps) => end.stamps(timestamps.value, timestamps.echo),
            None if timestamps => Err(Wrong::NoTimestamp),
            None => Ok(()),
        }
    }

    /// The shift of windows that the end on `side` announces: none unless both offered it (RFC 7323 section 2.2).
    fn scale(&self, side: Side) -> u8 {
        let [left, right] = self
            .ends
            .map(|end| end.opened.and_then(|offer| offer.scale));
        match (left, right, side) {
            (Some(shift), Some(_), Side::Left) | (Some(_), Some(shift), Side::Right) => {
                shift.min(14)
            }
            _ => 0,
        }
    }

    fn timestamps(&self) -> bool {
        self.ends
            .iter()
            .all(|end| end.opened.is_some_and(|offer| offer.timestamps))
    }
}

const TCP_HEADER_BYTES: usize = 20;

impl End {
    fn acknowledges(&mut self, tcp: &TcpFrame, scale: u8) -> Result<(), Wrong> {
        if let Some(sent) = self.sent {
            let past = tcp.ack.distance(sent);
            if past > 0 {
                return Err(Wrong::Acknowledgement { past });
            }
        }
        if let Some(told) = self.told_ack {
            let by = told.distance(tcp.ack);
            if by > 0 {
                return Err(Wrong::AcknowledgementBack { by });
            }
        }
        let edge = tcp.ack + (u32::from(tcp.window) << u32::from(scale));
        if let Some(told) = self.told_edge {
            let by = told.distance(edge);
            // What the scale rounds off may seem to be taken back (RFC 7323 section 2.4).
            if by >= 1 << scale {
                return Err(Wrong::WindowBack { by });
            }
        }
        self.told_ack = Some(tcp.ack);
        latest(&mut self.told_edge, edge);
        Ok(())
    }

    fn stamps(&mut self, value: u32, echo: u32) -> Result<(), Wrong> {
        if let Some(told) = self.told_clock {
            let by = SeqNum(told).distance(SeqNum(value));
            if by > 0 {
                return Err(Wrong::ClockBack { by });
            }
        }
        if self
            .clock
            .is_some_and(|clock| SeqNum(echo).gt(SeqNum(clock)))
        {
            return Err(Wrong::Echo);
        }
        self.told_clock = Some(value);
        Ok(())
    }
}

/// The sequence number after a segment.
fn after(tcp: &TcpFrame) -> SeqNum {
    let payload = u32::try_from(tcp.payload_len()).unwrap_or(u32::MAX);
    tcp.seq + payload + u32::from(tcp.flags.syn()) + u32::from(tcp.flags.fin())
}

fn latest(place: &mut Option<SeqNum>, value: SeqNum) {
    *place = Some(place.map_or(value, |known| known.max(value)));
}

fn newest(place: &mut Option<u32>, value: u32) {
    let newer = place.is_none_or(|known| SeqNum(value).gt(SeqNum(known)));
    if newer {
        *place = Some(value);
    }
}
