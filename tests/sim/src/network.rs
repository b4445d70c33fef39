//! The network between two endpoints.

use core::time::Duration;
use std::collections::BTreeMap;

use sluice_packet::Instant;

use crate::fragments;
use crate::icmp;
use crate::random::Random;

/// One of the two endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The one that opens the connection.
    Left,
    /// The other.
    Right,
}

impl Side {
    /// The endpoint at the other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// What the network does to frames. Chances are per thousand frames.
#[derive(Clone, Debug, Default)]
pub struct Impairments {
    /// One way.
    pub delay: Duration,
    /// Added at random to each frame, up to this; it alone may reorder.
    pub jitter: Duration,
    /// Dropped.
    pub loss_per_mille: u64,
    /// Held back by up to three delays, so that later frames overtake.
    pub reorder_per_mille: u64,
    /// Delivered twice.
    pub duplicate_per_mille: u64,
    /// Delivered with one bit after the Ethernet header flipped.
    pub corrupt_per_mille: u64,
    /// From when to when nothing gets through.
    pub blackholes: Vec<(Instant, Instant)>,
    /// Bytes per second of each direction; `None` is as fast as it goes.
    pub rate: Option<u64>,
    /// Frames that wait for a direction's rate before more are dropped.
    pub queue_frames: usize,
    /// From when on the path takes no longer datagrams, and how long ones it takes.
    pub narrows: Vec<(Instant, u16)>,
    /// The sender of a datagram that is too long is told.
    pub tells: bool,
    /// IPv4 datagrams that are too long are cut into fragments, where their senders allow it.
    pub cuts: bool,
    /// Frames about whose like a forged message says that the path is very narrow.
    pub forged_per_mille: u64,
}

/// Every link that carries IPv6 takes that much (RFC 8200 section 5).
const IPV6_MTU_MIN: u16 = 1_280;
/// What forged messages claim the path to take.
const FORGED_MTU: u16 = 300;

impl Impairments {
    /// What a good network does.
    #[must_use]
    pub fn clean(delay: Duration) -> Self {
        Self {
            delay,
            ..Self::default()
        }
    }

    /// A network as bad as `random` makes it: 5 to 500 ms, losses up to 30 %, and everything else that frames suffer.
    #[must_use]
    pub fn random(random: &mut Random) -> Self {
        let delay = Duration::from_millis(random.pick(&[5, 20, 50, 100, 250, 500]) / 2);
        let mut blackholes = Vec::new();
        if random.chance(250) {
            let start = random.between(0, 5_000);
            let end = start + random.between(100, 8_000);
            blackholes.push((Instant::from_millis(start), Instant::from_millis(end)));
        }
        Self {
            delay,
            jitter: delay / u32::try_from(random.between(1, 10)).unwrap_or(1),
            loss_per_mille: random.pick(&[0, 0, 1, 10, 30, 100, 300]),
            reorder_per_mille: random.pick(&[0, 0, 10, 100, 250]),
            duplicate_per_mille: random.pick(&[0, 0, 10, 50]),
            corrupt_per_mille: random.pick(&[0, 0, 1, 10]),
            blackholes,
            rate: random
                .chance(300)
                .then(|| random.between(50_000, 5_000_000)),
            queue_frames: 64,
            ..Self::default()
        }
    }

    /// The same network, which narrows up to twice under way, tells of it or not, and has a forger at it.
    #[must_use]
    pub fn narrowing(mut self, random: &mut Random) -> Self {
        let mut mtu = 1_500;
        for _ in 0..random.between(0, 2) {
            mtu = random.pick(&[1_400, 1_280, 900, 576]).min(mtu);
            let at = Instant::from_millis(random.between(1_500, 12_000));
            self.narrows.push((at, mtu));
        }
        self.tells = random.chance(600);
        self.forged_per_mille = random.pick(&[0, 0, 20, 200]);
        self
    }

    /// The same network, which is narrow from the beginning on and cuts what may be cut.
    #[must_use]
    pub fn fragmenting(mut self, random: &mut Random) -> Self {
        let mtu = random.pick(&[1_400, 1_280, 900, 576]);
        self.narrows.push((Instant::ZERO, mtu));
        self.tells = random.chance(700);
        self.cuts = true;
        self
    }

    /// Bytes of the longest datagram like that of `frame` that passes at `now`.
    fn mtu(&self, now: Instant, frame: &[u8]) -> Option<u16> {
        let narrowed = self.narrows.iter().filter(|(at, _)| *at <= now);
        let ipv6 = frame.get(12..ETHERNET_BYTES) == Some(&[0x86, 0xdd]);
        let least = if ipv6 { IPV6_MTU_MIN } else { 0 };
        narrowed.map(|(_, mtu)| (*mtu).max(least)).min()
    }

    /// Everything at its worst at once.
    #[must_use]
    pub fn worst() -> Self {
        Self {
            delay: Duration::from_millis(50),
            jitter: Duration::from_millis(25),
            loss_per_mille: 300,
            reorder_per_mille: 250,
            duplicate_per_mille: 50,
            corrupt_per_mille: 10,
            ..Self::default()
        }
    }
}

/// What happened to frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Handed to the network.
    pub sent: u64,
    /// Dropped by chance.
    pub lost: u64,
    /// Dropped while nothing got through.
    pub swallowed: u64,
    /// Dropped for want of room before a slow link.
    pub overflowed: u64,
    /// Dropped because they were too long.
    pub too_big: u64,
    /// Cut into fragments, each of which was then handed to the network.
    pub cut: u64,
    /// Held back.
    pub reordered: u64,
    /// Delivered twice.
    pub duplicated: u64,
    /// Delivered with a flipped bit.
    pub corrupted: u64,
}

impl Counts {
    /// Of two networks.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            lost: self.lost + other.lost,
            swallowed: self.swallowed + other.swallowed,
            overflowed: self.overflowed + other.overflowed,
            too_big: self.too_big + other.too_big,
            cut: self.cut + other.cut,
            reordered: self.reordered + other.reordered,
            duplicated: self.duplicated + other.duplicated,
            corrupted: self.corrupted + other.corrupted,
        }
    }

    /// Never delivered.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.lost + self.swallowed + self.overflowed + self.too_big
    }
}

/// Frames under way.
#[derive(Debug)]
pub struct Network {
    impairments: Impairments,
    random: Random,
    /// By arrival; the number keeps frames of one instant in order.
    under_way: BTreeMap<(Instant, u64), (Side, Vec<u8>)>,
    number: u64,
    /// When each direction's link is free again.
    free_at: [Instant; 2],
    counts: Counts,
}

/// Bytes in front of which bits are not flipped: the Ethernet header, which its own checksum protects.
const ETHERNET_BYTES: usize = 14;

impl Network {
    /// A network that `random` decides within `impairments`.
    #[must_use]
    pub fn new(impairments: Impairments, random: Random) -> Self {
        Self {
            impairments,
            random,
            under_way: BTreeMap::new(),
            number: 0,
            free_at: [Instant::ZERO; 2],
            counts: Counts::default(),
        }
    }

    /// Takes a frame towards `to`.
    pub fn send(&mut self, now: Instant, to: Side, frame: Vec<u8>) {
        let mtu = self.impairments.mtu(now, &frame);
        let mtu = mtu.filter(|mtu| {
            self.impairments.cuts && frame.len() > ETHERNET_BYTES + usize::from(*mtu)
        });
        match mtu.and_then(|mtu| fragments::cut(&frame, mtu)) {
            Some(pieces) => {
                self.counts.cut += 1;
                for piece in pieces {
                    self.send_whole(now, to, piece);
                }
            }
            None => self.send_whole(now, to, frame),
        }
    }

    fn send_whole(&mut self, now: Instant, to: Side, mut frame: Vec<u8>) {
        self.counts.sent += 1;
        if self
            .impairments
            .blackholes
            .iter()
            .any(|(from, until)| (*from..*until).contains(&now))
        {
            self.counts.swallowed += 1;
            return;
        }
        if self.impairments.forged_per_mille > 0 {
            self.forge(now, to, &frame);
        }
        if let Some(mtu) = self.impairments.mtu(now, &frame)
            && frame.len() > ETHERNET_BYTES + usize::from(mtu)
        {
            self.counts.too_big += 1;
            if self.impairments.tells
                && let Some(message) = icmp::too_big(&frame, mtu)
            {
                self.deliver(now + self.impairments.delay, to.other(), message);
            }
            return;
        }
        if self.random.chance(self.impairments.loss_per_mille) {
            self.counts.lost += 1;
            return;
        }
        let Some(departure) = self.departure(now, to, frame.len()) else {
            self.counts.overflowed += 1;
            return;
        };
        let mut arrival = departure + self.impairments.delay + self.up_to(self.impairments.jitter);
        if self.random.chance(self.impairments.reorder_per_mille) {
            self.counts.reordered += 1;
            arrival += self.up_to(self.impairments.delay * 3);
        }
        if self.random.chance(self.impairments.duplicate_per_mille) {
            self.counts.duplicated += 1;
            let again = arrival + self.up_to(self.impairments.delay);
            self.deliver(again, to, frame.clone());
        }
        if self.random.chance(self.impairments.corrupt_per_mille) {
            self.counts.corrupted += 1;
            self.flip(&mut frame);
        }
        self.deliver(arrival, to, frame);
    }

    /// When the next frame arrives.
    #[must_use]
    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.keys().next().map(|(at, _)| *at)
    }

    /// A frame that has arrived by `now`.
    pub fn arrived(&mut self, now: Instant) -> Option<(Side, Vec<u8>)> {
        let first = self.under_way.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Frames that have not arrived.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// What happened so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    fn forge(&mut self, now: Instant, to: Side, frame: &[u8]) {
        if !self.random.chance(self.impairments.forged_per_mille) {
            return;
        }
        let guess = u32::try_from(self.random.below(1 << 32)).unwrap_or(0);
        if let Some(message) = icmp::forged_too_big(frame, FORGED_MTU, guess) {
            self.deliver(now + self.impairments.delay, to.other(), message);
        }
    }

    fn deliver(&mut self, at: Instant, to: Side, frame: Vec<u8>) {
        self.number += 1;
        self.under_way.insert((at, self.number), (to, frame));
    }

    fn departure(&mut self, now: Instant, to: Side, bytes: usize) -> Option<Instant> {
        let Some(rate) = self.impairments.rate else {
            return Some(now);
        };
        let free_at = match to {
            Side::Left => &mut self.free_at[0],
            Side::Right => &mut self.free_at[1],
        };
        let micros = u64::try_from(bytes).unwrap_or(0) * 1_000_000 / rate.max(1);
        let waiting = free_at.saturating_since(now);
        let full = Duration::from_micros(micros)
            * u32::try_from(self.impairments.queue_frames).unwrap_or(u32::MAX);
        if waiting > full.max(Duration::from_millis(20)) {
            return None;
        }
        *free_at = (*free_at).max(now) + Duration::from_micros(micros);
        Some(*free_at)
    }

    fn flip(&mut self, frame: &mut [u8]) {
        let Some(rest) = frame.get_mut(ETHERNET_BYTES..) else {
            return;
        };
        let count = u64::try_from(rest.len()).unwrap_or(0);
        let index = usize::try_from(self.random.below(count)).unwrap_or(0);
        let bit = self.random.below(8);
        if let Some(byte) = rest.get_mut(index) {
            *byte ^= 1 << bit;
        }
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.random.between(0, micros))
    }
}
