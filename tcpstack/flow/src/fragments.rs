//! IP fragments put together, so that nothing hides in the way a datagram was cut.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;

use sluice_packet::limits::IP_LENGTH_BYTES_MAX;
use sluice_packet::{Ecn, FragmentFrame, FragmentKey, Instant, PacketBuf, Side, Wear};

use crate::limits::{
    FRAGMENT_BYTES_HELD_MAX, FRAGMENT_PACKETS_HELD_MAX, FRAGMENTED_DATAGRAMS_MAX,
    FRAGMENTS_EXPIRED_PER_CALL, FRAGMENTS_PER_DATAGRAM_MAX, IPV4_REASSEMBLY_TIMEOUT,
    IPV6_REASSEMBLY_TIMEOUT,
};

mod packet;

pub use packet::{Packet, Reassembled};

/// Why fragments are given back and their datagram is not.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Unreassembled {
    /// Two of them claim the same bytes. Later ones of the same datagram go the same way.
    Overlap,
    /// The very fragment is held already.
    Duplicate,
    /// A length that is no multiple of eight before the end, an end that moves, bytes behind the end, a datagram longer than
    /// 65,535 bytes, a wrong header checksum, congestion marks that contradict each other, or options or extension headers
    /// that not all of them have, IPv4 options of the first one excepted that are not copied (RFC 791 3.1).
    Malformed,
    /// More of them than a datagram may have.
    TooMany,
    /// The rest did not come in time.
    TimedOut,
    /// It made room for others.
    Full,
}

impl Unreassembled {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::Overlap,
        Self::Duplicate,
        Self::Malformed,
        Self::TooMany,
        Self::TimedOut,
        Self::Full,
    ];
}

/// Collects the fragments of one core until their datagrams are whole.
///
/// A datagram of which no byte was sent twice is given on as what it is, with its fragments as they came; of any other
/// nothing is given on: what one receiver makes of an overlap is not what the next one makes of it. So a tiny first fragment
/// (RFC 1858), or a second one that rewrites its ports (RFC 3128), never reaches anybody alone.
///
/// Neither do fragments reach anybody that would not share the fate of the others. Where they could differ in hop limit,
/// Ethernet address or class, of two datagrams with one identification a first fragment of the one and a second of the other
/// could die on the way, and the receiver would put together what nobody has seen. All wear the header of the first, with
/// the smallest hop limit of any, and around it, in a tunnel, the smallest one and the most severe congestion mark of any.
/// Options that only the first one carried are left out: nothing on the way can tell it from the others by them.
pub struct Reassembler<B> {
    datagrams: BTreeMap<Key, Datagram<B>>,
    /// When each of them is given up. The number tells those of one moment apart.
    deadlines: BTreeMap<(Instant, u64), Key>,
    begun: u64,
    packets: usize,
    bytes: usize,
}

type Key = (FragmentKey, bool);

struct Datagram<B> {
    deadline: (Instant, u64),
    parts: Vec<Part<B>>,
    /// Bytes of the datagram's data, once the last fragment has said it.
    end: Option<usize>,
    received: usize,
    /// One bit for each congestion mark that was seen.
    marks: u8,
    /// Nothing of it is given on any more.
    spoilt: Option<Unreassembled>,
}

struct Part<B> {
    packet: Packet<B>,
    fragment: FragmentFrame,
    /// Bytes of its buffers, as they were counted when it came.
    charged: usize,
}

impl<B> Part<B> {
    const fn offset(&self) -> usize {
        self.fragment.offset as usize
    }
}

impl<B: PacketBuf> Reassembler<B> {
    /// Holds nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            datagrams: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            begun: 0,
            packets: 0,
            bytes: 0,
        }
    }

    /// Frames held now.
    #[must_use]
    pub const fn packets(&self) -> usize {
        self.packets
    }

    /// Bytes of the buffers of the frames held now.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a frame that came in at `side` and is `fragment`. Gives back the whole datagram, its fragments in the order in
    /// which they came, when this was the last that was missing. What will never be whole goes through `give_back`.
    pub fn offer(
        &mut self,
        packet: Packet<B>,
        fragment: &FragmentFrame,
        side: Side,
        now: Instant,
        give_back: &mut impl FnMut(B, Unreassembled),
    ) -> Option<Packet<B>> {
        if !fragment.header_ok(packet.frame()) {
            // Its receiver drops it before it looks where it belongs.
            each(packet, Unreassembled::Malformed, give_back);
            return None;
        }
        let key = (fragment.key, side == Side::A);
        let frames = packet.frames();
        let len = packet.buffer_bytes();
        if !self.datagrams.contains_key(&key) {
            self.make_room(FRAGMENTED_DATAGRAMS_MAX - 1, 0, 0, give_back);
        }
        self.make_room(FRAGMENTED_DATAGRAMS_MAX, frames, len, give_back);
        let datagram = self.begin(key, now);
        match datagram.look_at(&packet, fragment) {
            Ok(()) => {}
            Err(Unreassembled::Duplicate) => {
                each(packet, Unreassembled::Duplicate, give_back);
                return None;
            }
            Err(why) => {
                datagram.spoilt = Some(why);
                let parts = core::mem::take(&mut datagram.parts);
                self.release(parts, why, give_back);
                each(packet, why, give_back);
                return None;
            }
        }
        datagram.put(packet, fragment);
        let complete = datagram.is_complete();
        self.packets += frames;
        self.bytes += len;
        if !complete {
            return None;
        }
        let mut datagram = self.end(&key)?;
        match datagram.whole() {
            Some(frame) => {
                let mut fragments = Vec::with_capacity(datagram.parts.len());
                let mut reassemblies = 0;
                for part in datagram.parts {
                    self.packets -= part.packet.frames();
                    self.bytes -= part.charged;
                    reassemblies = reassemblies.max(part.packet.reassemblies());
                    part.packet.each(&mut |fragment| fragments.push(fragment));
                }
                Some(Packet::reassembled(frame, fragments, reassemblies + 1))
            }
            None => {
                self.release(datagram.parts, Unreassembled::Malformed, give_back);
                None
            }
        }
    }

    /// Gives up what did not become whole in time, so much of it per call that a flood cannot stall others. True if there is
    /// more.
    pub fn expire(&mut self, now: Instant, give_back: &mut impl FnMut(B, Unreassembled)) -> bool {
        for _ in 0..FRAGMENTS_EXPIRED_PER_CALL {
            match self.deadlines.first_key_value() {
                Some(((deadline, _), _)) if *deadline <= now => {}
                _ => return false,
            }
            self.give_up_first(Unreassembled::TimedOut, give_back);
        }
        true
    }

    /// When [`expire`](Self::expire) has something to do.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let ((deadline, _), _) = self.deadlines.first_key_value()?;
        Some(*deadline)
    }

    fn begin(&mut self, key: Key, now: Instant) -> &mut Datagram<B> {
        let Self {
            datagrams,
            deadlines,
            begun,
            ..
        } = self;
        datagrams.entry(key).or_insert_with(|| {
            *begun += 1;
            let deadline = (now + timeout(&key.0), *begun);
            deadlines.insert(deadline, key);
            Datagram {
                deadline,
                parts: Vec::new(),
                end: None,
                received: 0,
                marks: 0,
                spoilt: None,
            }
        })
    }

    fn end(&mut self, key: &Key) -> Option<Datagram<B>> {
        let datagram = self.datagrams.remove(key)?;
        self.deadlines.remove(&datagram.deadline);
        Some(datagram)
    }

    /// Gives up the oldest until there are at most so many datagrams, and room for that many frames and bytes more.
    fn make_room(
        &mut self,
        datagrams: usize,
        frames: usize,
        bytes: usize,
        give_back: &mut impl FnMut(B, Unreassembled),
    ) {
        while !self.datagrams.is_empty()
            && (self.datagrams.len() > datagrams
                || self.packets + frames > FRAGMENT_PACKETS_HELD_MAX
                || self.bytes + bytes > FRAGMENT_BYTES_HELD_MAX)
        {
            self.give_up_first(Unreassembled::Full, give_back);
        }
    }

    fn give_up_first(&mut self, why: Unreassembled, give_back: &mut impl FnMut(B, Unreassembled)) {
        let Some((_, key)) = self.deadlines.first_key_value() else {
            return;
        };
        let key = *key;
        if let Some(datagram) = self.end(&key) {
            self.release(datagram.parts, why, give_back);
        }
    }

    fn release(
        &mut self,
        parts: Vec<Part<B>>,
        why: Unreassembled,
        give_back: &mut impl FnMut(B, Unreassembled),
    ) {
        for part in parts {
            self.packets -= part.packet.frames();
            self.bytes -= part.charged;
            each(part.packet, why, give_back);
        }
    }
}

impl<B: PacketBuf> Datagram<B> {
    /// Whether the fragment fits those that are held.
    fn look_at(&self, packet: &Packet<B>, fragment: &FragmentFrame) -> Result<(), Unreassembled> {
        //= https://www.rfc-editor.org/rfc/rfc5722#section-4
        //# When reassembling an IPv6 datagram, if one or more its constituent
        //# fragments is determined to be an overlapping fragment, the entire
        //# datagram (and any constituent fragments, including those not yet
        //# received) MUST be silently discarded.
        if let Some(why) = self.spoilt {
            return Err(why);
        }
        let data = fragment.payload(packet.frame());
        let begin = usize::from(fragment.offset);
        let end = begin + data.len();
        let last = !fragment.more;
        if data.is_empty() || (!last && !data.len().is_multiple_of(8)) || end > IP_LENGTH_BYTES_MAX
        {
            return Err(Unreassembled::Malformed);
        }
        for part in &self.parts {
            let part_end = part.offset() + part.fragment.payload_len();
            if end <= part.offset() || part_end <= begin {
                continue;
            }
            let same = (part.offset(), part_end) == (begin, end)
                && self.end.is_some_and(|known| known == end) == last
                && part.fragment.payload(part.packet.frame()) == data;
            return Err(if same {
                Unreassembled::Duplicate
            } else {
                Unreassembled::Overlap
            });
        }
        if last && (self.end.is_some() || self.parts.iter().any(|part| part.offset() > begin)) {
            return Err(Unreassembled::Malformed);
        }
        if self.end.is_some_and(|known| end > known) {
            return Err(Unreassembled::Malformed);
        }
        if self.parts.len() >= FRAGMENTS_PER_DATAGRAM_MAX {
            return Err(Unreassembled::TooMany);
        }
        Ok(())
    }

    fn put(&mut self, packet: Packet<B>, fragment: &FragmentFrame) {
        if !fragment.more {
            self.end = Some(usize::from(fragment.offset) + fragment.payload_len());
        }
        self.received += fragment.payload_len();
        self.marks |= 1 << Ecn::of_traffic_class(fragment.traffic_class).bits();
        self.parts.push(Part {
            charged: packet.buffer_bytes(),
            packet,
            fragment: *fragment,
        });
    }

    fn is_complete(&self) -> bool {
        self.end == Some(self.received)
    }

    /// The frame that was cut. Its fragments are alike afterwards, whatever becomes of them.
    fn whole(&mut self) -> Option<Vec<u8>> {
        let end = self.end?;
        let mut all: Option<Wear> = None;
        for part in &self.parts {
            let own = part.fragment.wear(part.packet.frame())?;
            all = Some(all.map_or(own, |all| all.with(own)));
        }
        let wear = Wear {
            ecn: whole_mark(self.marks)?.bits(),
            ..all?
        };
        let holder = self.parts.iter().find(|part| part.offset() == 0)?;
        let (first, first_frame) = (holder.fragment, holder.packet.frame());
        let own_end = first.payload_range().start;
        let alike = |part: &Part<B>| part.fragment.payload_range().start == own_end;
        let header = if self.parts.iter().all(alike) {
            first_frame.get(..own_end)?.to_vec()
        } else {
            first.header_as_copied(first_frame)?
        };
        let mut frame = first.header_of_whole(&header, end, wear)?;
        let data = frame.len();
        frame.resize(data + end, 0);
        for part in &self.parts {
            let from = part.fragment.payload(part.packet.frame());
            let begin = data + part.offset();
            frame
                .get_mut(begin..begin + from.len())?
                .copy_from_slice(from);
        }
        for part in &mut self.parts {
            part.put_on((&first, &header), wear)?;
        }
        Some(frame)
    }
}

impl<B: PacketBuf> Part<B> {
    /// Puts the header of the first fragment on. What is right already is left alone.
    fn put_on(&mut self, first: (&FragmentFrame, &[u8]), wear: Wear) -> Option<()> {
        let frame = self.packet.frame();
        let (own, len) = (self.fragment.payload_range().start, frame.len());
        let worn = self.fragment.header_worn(frame, first, wear)?;
        let left_out = own.checked_sub(worn.len())?;
        if left_out == 0 && frame.starts_with(&worn) {
            return Some(());
        }
        match &mut self.packet {
            Packet::Whole(frame) => {
                let bytes = frame.frame_mut();
                if left_out > 0 {
                    bytes.copy_within(own.., worn.len());
                }
                bytes.get_mut(..worn.len())?.copy_from_slice(&worn);
                frame.truncate(len - left_out);
                Some(())
            }
            Packet::Reassembled(parts) if left_out == 0 => {
                parts.put_on(&worn, self.fragment.key.segment)
            }
            // Its own fragments would have to be cut anew.
            Packet::Reassembled(_) => None,
        }
    }
}

/// The congestion mark of a datagram whose fragments have these (RFC 3168 5.3): one that is marked marks the whole, unless
/// another one says that nobody would listen, which makes the whole invalid.
fn whole_mark(marks: u8) -> Option<Ecn> {
    let seen = |mark: Ecn| marks & 1 << mark.bits() != 0;
    if seen(Ecn::Ce) {
        return (!seen(Ecn::NotEct)).then_some(Ecn::Ce);
    }
    Some(match (seen(Ecn::NotEct), seen(Ecn::Ect0)) {
        (true, _) => Ecn::NotEct,
        (false, true) => Ecn::Ect0,
        (false, false) => Ecn::Ect1,
    })
}

fn timeout(key: &FragmentKey) -> Duration {
    if key.source.is_ipv4() {
        IPV4_REASSEMBLY_TIMEOUT
    } else {
        IPV6_REASSEMBLY_TIMEOUT
    }
}

fn each<B>(packet: Packet<B>, why: Unreassembled, give_back: &mut impl FnMut(B, Unreassembled)) {
    packet.each(&mut |fragment| give_back(fragment, why));
}

impl<B: PacketBuf> Default for Reassembler<B> {
    fn default() -> Self {
        Self::new()
    }
}

impl<B> fmt::Debug for Reassembler<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reassembler")
            .field("packets", &self.packets)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
