//! Two ends written by hand, segment by segment.

use std::sync::Arc;
use std::time::Duration;

use sluice_packet::{
    PathTemplate, SeqNum, Side, TcpFlags, TcpOptions, TcpSegment, Timestamps, VlanStack, emit,
};
use sluice_telemetry::{Counter, DecisionCode};

use super::end::{CLIENT_MAC, ORIGIN_MAC};
use super::{App, Pki, Settings, World, payload_len};

pub const CLIENT: &str = "10.1.0.1:40000";
pub const ORIGIN: &str = "10.2.0.1:443";
pub const PROTECTED: &str = "10.2.0.8:8443";
pub const C: SeqNum = SeqNum(1000);
pub const O: SeqNum = SeqNum(9000);
pub const NONE: SeqNum = SeqNum(0);
pub const SYN: TcpFlags = TcpFlags::SYN;
pub const ACK: TcpFlags = TcpFlags::ACK;
pub const FIN: TcpFlags = TcpFlags::FIN;
pub const RST: TcpFlags = TcpFlags::RST;

/// The beginning of a ClientHello of 400 bytes.
pub const BEGINNING: &[u8] = &[22, 3, 1, 1, 139, 1, 0, 1, 135, 3, 3, 7, 7, 7, 7, 7];

/// An untagged frame of the client on side A, or of the server behind side B.
pub fn written((client, server): (&str, &str), from: Side, segment: &TcpSegment<'_>) -> Vec<u8> {
    let (source, destination) = match from {
        Side::A => (client, server),
        Side::B => (server, client),
    };
    let path = PathTemplate::new(
        CLIENT_MAC,
        ORIGIN_MAC,
        VlanStack::UNTAGGED,
        source.parse().unwrap(),
        destination.parse().unwrap(),
    );
    let mut frame = vec![0; 4096];
    let len = emit(&mut frame, &path, segment, &[]).unwrap();
    frame.truncate(len);
    frame
}

/// Two ends written by hand, and the appliance between them.
pub struct Script {
    pub world: World,
    pub client: &'static str,
    pub server: &'static str,
    /// What the ends' clocks show, if they have any.
    pub clock: Option<u32>,
}

impl Script {
    pub fn to(server: &'static str) -> Self {
        Self::under(&Settings::default(), server)
    }

    pub fn under(settings: &Settings, server: &'static str) -> Self {
        let silent = || App::raw(&[]);
        Self {
            world: World::with(settings, &pki(), silent(), silent()),
            client: CLIENT,
            server,
            clock: None,
        }
    }

    pub fn new() -> Self {
        Self::to(ORIGIN)
    }

    /// With the three segments of a regular handshake behind it.
    pub fn established() -> Self {
        let mut script = Self::new();
        script.handshake(C, O);
        script
    }

    pub fn handshake(&mut self, client: SeqNum, origin: SeqNum) {
        self.pass(Side::A, client, NONE, SYN, b"");
        self.pass(Side::B, origin, client + 1, SYN | ACK, b"");
        self.pass(Side::A, client + 1, origin + 1, ACK, b"");
    }

    pub fn frame(
        &self,
        from: Side,
        seq: SeqNum,
        ack: SeqNum,
        flags: TcpFlags,
        text: &[u8],
    ) -> Vec<u8> {
        let segment = TcpSegment {
            seq,
            ack,
            flags,
            window: 60_000,
            payload: text,
            options: TcpOptions {
                timestamps: self.clock.map(|value| Timestamps { value, echo: 1 }),
                ..TcpOptions::default()
            },
            ..TcpSegment::default()
        };
        written((self.client, self.server), from, &segment)
    }

    /// What leaves when `frame` comes in.
    pub fn give(&mut self, from: Side, frame: Vec<u8>) -> Vec<(Side, Vec<u8>)> {
        self.world.inject(from, frame);
        let now = self.world.now();
        self.world.worker.poll(now, &mut self.world.out);
        self.world.out.frames.drain(..).collect()
    }

    pub fn send(
        &mut self,
        from: Side,
        seq: SeqNum,
        ack: SeqNum,
        flags: TcpFlags,
        text: &[u8],
    ) -> Vec<(Side, Vec<u8>)> {
        let frame = self.frame(from, seq, ack, flags, text);
        self.give(from, frame)
    }

    /// A segment that passes as it came.
    pub fn pass(&mut self, from: Side, seq: SeqNum, ack: SeqNum, flags: TcpFlags, text: &[u8]) {
        let frame = self.frame(from, seq, ack, flags, text);
        let left = self.give(from, frame.clone());
        assert_eq!(left, [(from.other(), frame)], "{from:?} {flags:?} passes");
    }

    /// A segment that goes no further.
    pub fn stop(&mut self, from: Side, seq: SeqNum, ack: SeqNum, flags: TcpFlags, text: &[u8]) {
        let left = self.send(from, seq, ack, flags, text);
        let through = left.iter().filter(|(to, _)| *to == from.other());
        let payload: usize = through.map(|(_, frame)| payload_len(frame)).sum();
        assert_eq!(payload, 0, "{from:?} {flags:?} goes no further");
    }

    pub fn count(&self, counter: Counter) -> u64 {
        self.world.count(counter)
    }

    pub fn logged(&self, code: DecisionCode, detail: &str) {
        let event = self.world.event();
        assert_eq!(
            (event.code, event.detail.as_deref()),
            (code, Some(detail)),
            "{event:?}"
        );
        assert_eq!(self.count(Counter::Decision(code)), 1);
    }
}

pub fn pki() -> Arc<Pki> {
    thread_local!(static PKI: Arc<Pki> = Arc::new(Pki::new()));
    PKI.with(Arc::clone)
}

/// Flows in the table when `time` more has gone by.
pub fn flows_after(script: &mut Script, time: Duration) -> u64 {
    script.world.pass(time);
    let now = script.world.now();
    while script.world.worker.poll(now, &mut script.world.out) {}
    script.world.worker.gauges(&mut script.world.out);
    script.count(Counter::FlowsObserved)
}
