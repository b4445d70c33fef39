//! Reference receivers: what an end behind the appliance delivers to its application, by each known way of reading what is
//! ambiguous.
//!
//! The overlap rules are those of Novak, *Target-Based TCP Stream Reassembly* (2007), after Shankar and Paxson, *Active
//! Mapping* (2003). The other differences are those of Ptacek and Newsham (1998), of lib·erate (2017), INTANG (2017) and
//! SymTCP (2020).

use std::collections::BTreeMap;

use sluice_packet::TcpFlags;

use super::craft::Craft;

/// Which of two overlapping segments that wait behind a gap is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    First,
    Last,
    Bsd,
    Linux,
    Windows,
    Solaris,
}

impl Overlap {
    /// Whether a new segment wins over an old one where both have a byte; both as (first, after the last).
    pub fn prefers_new(self, old: (i64, i64), new: (i64, i64)) -> bool {
        match self {
            Self::First => false,
            Self::Last => true,
            Self::Bsd => new.0 < old.0,
            Self::Linux => new.0 < old.0 || (new.0 == old.0 && new.1 > old.1),
            Self::Windows => new.0 < old.0 && new.1 > old.1,
            Self::Solaris => !(old.1 > new.1 || (old.0 < new.0 && old.1 >= new.1)),
        }
    }
}

/// Which resets end a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resets {
    /// Exactly the next sequence number (RFC 5961).
    Exact,
    /// Any in the window (RFC 793).
    InWindow,
}

/// One way of being a receiver.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    pub name: &'static str,
    pub overlap: Overlap,
    pub checksums: bool,
    /// A packet with a smaller TTL dies on its way.
    pub hops: u8,
    pub ack_flag_needed: bool,
    pub ack_checked: bool,
    pub signed_refused: bool,
    pub paws: bool,
    pub resets: Resets,
    /// The byte the urgent pointer marks is taken out of the stream, as sockets do without SO_OOBINLINE.
    pub urgent_taken_out: bool,
    /// Data on a SYN is delivered (RFC 9293 3.10.7.2 allows it, Fast Open does it).
    pub syn_data: bool,
    /// A SYN in the window ends the connection (RFC 793).
    pub syn_resets: bool,
    /// A second SYN before the handshake is over replaces the first.
    pub last_syn: bool,
}

/// As Linux has been for ten years.
pub const MODERN: Profile = Profile {
    name: "modern",
    overlap: Overlap::Linux,
    checksums: true,
    hops: 8,
    ack_flag_needed: true,
    ack_checked: true,
    signed_refused: true,
    paws: true,
    resets: Resets::Exact,
    urgent_taken_out: true,
    syn_data: false,
    syn_resets: false,
    last_syn: false,
};

/// Every receiver that a flow is tried against.
pub const PROFILES: [Profile; 17] = [
    MODERN,
    with_overlap("first", Overlap::First),
    with_overlap("last", Overlap::Last),
    with_overlap("bsd", Overlap::Bsd),
    with_overlap("windows", Overlap::Windows),
    with_overlap("solaris", Overlap::Solaris),
    Profile {
        name: "next to the appliance",
        hops: 0,
        ..MODERN
    },
    Profile {
        name: "does not check checksums",
        checksums: false,
        ..MODERN
    },
    Profile {
        name: "takes data without ACK",
        ack_flag_needed: false,
        ..MODERN
    },
    Profile {
        name: "does not look at the acknowledgement number",
        ack_checked: false,
        ..MODERN
    },
    Profile {
        name: "ignores signatures",
        signed_refused: false,
        ..MODERN
    },
    Profile {
        name: "has no PAWS",
        paws: false,
        ..MODERN
    },
    Profile {
        name: "believes resets in the window",
        resets: Resets::InWindow,
        ..MODERN
    },
    Profile {
        name: "keeps urgent data in line",
        urgent_taken_out: false,
        ..MODERN
    },
    Profile {
        name: "takes data on a SYN",
        syn_data: true,
        ..MODERN
    },
    Profile {
        name: "believes a SYN in the window",
        syn_resets: true,
        ..MODERN
    },
    Profile {
        name: "believes the last SYN",
        last_syn: true,
        ..MODERN
    },
];

const fn with_overlap(name: &'static str, overlap: Overlap) -> Profile {
    Profile {
        name,
        overlap,
        ..MODERN
    }
}

/// The receiver's first sequence number.
pub const ORIGIN_ISS: u32 = 0x7fff_0000;
/// Of the receiver's clock.
const TIMESTAMP: u32 = 900_000;
const WINDOW: i64 = 65_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Listen,
    SynReceived,
    Established,
    Over,
}

#[derive(Clone, Copy)]
struct Slot {
    /// None for an urgent byte, which takes its place and is not delivered.
    byte: Option<u8>,
    owner: (i64, i64),
}

/// One end behind the appliance. Positions are relative to the first byte of the stream.
pub struct Receiver {
    pub profile: Profile,
    state: State,
    irs: u32,
    next: i64,
    waiting: BTreeMap<i64, Slot>,
    fin: Option<i64>,
    /// Where the byte is that the last urgent pointer marked.
    urgent: Option<i64>,
    recent: Option<u32>,
    /// Bytes that this end has sent or may have.
    pub sent: u32,
    /// What its application was given.
    pub delivered: Vec<u8>,
    /// It believed a reset.
    pub reset: bool,
}

impl Receiver {
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            state: State::Listen,
            irs: 0,
            next: 0,
            waiting: BTreeMap::new(),
            fin: None,
            urgent: None,
            recent: None,
            sent: 0,
            delivered: Vec::new(),
            reset: false,
        }
    }

    /// Takes a frame and answers it.
    pub fn on_frame(&mut self, frame: &[u8]) -> Option<Craft> {
        let segment = Craft::read(frame)?;
        let profile = self.profile;
        if segment.ttl < profile.hops
            || (profile.checksums && !(segment.ip_sum_right && segment.tcp_sum_right))
            || !segment.ip_options.is_empty()
            || (profile.signed_refused && (segment.has_option(19) || segment.has_option(29)))
        {
            return None;
        }
        match self.state {
            State::Listen | State::Over => self.listen(&segment),
            State::SynReceived | State::Established => self.synchronised(&segment),
        }
    }

    fn listen(&mut self, syn: &Craft) -> Option<Craft> {
        if !syn.flags.syn() || syn.flags.intersects(TcpFlags::ACK | TcpFlags::RST) {
            return None;
        }
        *self = Self {
            sent: self.sent,
            ..Self::new(self.profile)
        };
        self.irs = syn.seq;
        self.recent = syn.timestamps().map(|(value, _)| value);
        self.state = State::SynReceived;
        self.reset = false;
        if self.profile.syn_data {
            self.text(0, &syn.payload);
        }
        Some(self.syn_ack(syn))
    }

    fn synchronised(&mut self, segment: &Craft) -> Option<Craft> {
        let profile = self.profile;
        let seq = self.position(segment.seq);
        let end = seq + i64::from(segment.len());
        let rst = segment.flags.rst();
        if self.state == State::SynReceived && segment.flags.syn() && !segment.flags.ack() && !rst {
            if segment.seq == self.irs {
                return Some(self.syn_ack(segment));
            }
            if profile.last_syn {
                self.state = State::Listen;
                return self.listen(segment);
            }
            return Some(self.answer(segment));
        }
        if profile.paws
            && !rst
            && let (Some(recent), Some((value, _))) = (self.recent, segment.timestamps())
            && value.wrapping_sub(recent).cast_signed() < 0
        {
            return Some(self.answer(segment));
        }
        if end < self.next || seq > self.next + WINDOW {
            return (!rst).then(|| self.answer(segment));
        }
        if rst {
            let believed = match profile.resets {
                Resets::Exact => seq == self.next,
                Resets::InWindow => true,
            };
            if believed {
                self.reset = true;
                self.state = State::Over;
                return None;
            }
            return Some(self.answer(segment));
        }
        if segment.flags.syn() {
            if profile.syn_resets && self.state == State::Established {
                self.reset = true;
                self.state = State::Over;
                return None;
            }
            return Some(self.answer(segment));
        }
        if profile.ack_flag_needed && !segment.flags.ack() {
            return None;
        }
        let ahead = segment.ack.wrapping_sub(ORIGIN_ISS + 1).cast_signed();
        let acceptable = if self.state == State::SynReceived {
            ahead == 0
        } else {
            (-65_535..=self.sent.cast_signed()).contains(&ahead)
        };
        if segment.flags.ack() && !acceptable && profile.ack_checked {
            return Some(self.answer(segment));
        }
        self.state = State::Established;
        if let Some((value, _)) = segment.timestamps()
            && seq <= self.next
        {
            self.recent = Some(value);
        }
        if segment.flags.urg() && profile.urgent_taken_out && segment.urgent > 0 {
            self.urgent = Some(seq + i64::from(segment.urgent) - 1);
        }
        self.text(seq, &segment.payload);
        if segment.flags.fin() && self.fin.is_none() {
            self.fin = Some(end - 1);
        }
        if self.fin == Some(self.next) {
            self.next += 1;
            self.state = State::Over;
        }
        (segment.len() > 0).then(|| self.answer(segment))
    }

    fn text(&mut self, seq: i64, payload: &[u8]) {
        let new = (seq, seq + i64::try_from(payload.len()).unwrap());
        for (offset, byte) in (0..).zip(payload) {
            let at = seq + offset;
            if at < self.next || at >= self.next + WINDOW || self.fin.is_some_and(|fin| at >= fin) {
                continue;
            }
            let slot = Slot {
                byte: (self.urgent != Some(at)).then_some(*byte),
                owner: new,
            };
            let overlap = self.profile.overlap;
            self.waiting
                .entry(at)
                .and_modify(|old| {
                    if overlap.prefers_new(old.owner, new) {
                        *old = slot;
                    }
                })
                .or_insert(slot);
        }
        while let Some(slot) = self.waiting.remove(&self.next) {
            self.delivered.extend(slot.byte);
            self.next += 1;
        }
    }

    fn position(&self, seq: u32) -> i64 {
        let next = self.irs.wrapping_add(1).wrapping_add_signed(low(self.next));
        self.next + i64::from(seq.wrapping_sub(next).cast_signed())
    }

    fn syn_ack(&self, to: &Craft) -> Craft {
        let mut answer = self.answer(to);
        answer.seq = ORIGIN_ISS;
        answer.flags = TcpFlags::SYN | TcpFlags::ACK;
        let mut options = vec![2, 4, 5, 0xb4, 4, 2];
        match to.timestamps() {
            Some((value, _)) => {
                options.extend_from_slice(&[8, 10]);
                options.extend_from_slice(&TIMESTAMP.to_be_bytes());
                options.extend_from_slice(&value.to_be_bytes());
            }
            None => options.extend_from_slice(&[1, 1]),
        }
        answer.options = options;
        answer
    }

    fn answer(&self, to: &Craft) -> Craft {
        let mut answer = Craft::new(to.destination, to.source);
        answer.seq = ORIGIN_ISS + 1;
        answer.ack = self.irs.wrapping_add(1).wrapping_add_signed(low(self.next));
        answer.window = u16::try_from(WINDOW).unwrap();
        if let (Some(recent), Some(_)) = (self.recent, to.timestamps()) {
            answer.options = vec![1, 1, 8, 10];
            answer.options.extend_from_slice(&TIMESTAMP.to_be_bytes());
            answer.options.extend_from_slice(&recent.to_be_bytes());
        }
        answer
    }
}

/// Positions stay far below 2^31.
fn low(position: i64) -> i32 {
    i32::try_from(position).unwrap()
}
