//! E105 and E106: packet manipulations that were published as ways past a middlebox, one per row.
//!
//! Each row writes the honest segment (a SYN, the third acknowledgement, or the one that carries data) in another way,
//! with `decoy` as what the middlebox is to believe. Sources:
//!
//! - PN98: Ptacek and Newsham, *Insertion, Evasion, and Denial of Service*, 1998.
//! - FR: Song, *fragroute*, 1999.
//! - K13: Khattak et al., *Towards Illuminating a Censorship Monitor's Model*, FOCI 2013.
//! - LE17: Li et al., *lib·erate (n)*, IMC 2017.
//! - IT17: Wang et al., *Your State is Not Mine* (INTANG), IMC 2017.
//! - SY20: Wang et al., *SymTCP*, NDSS 2020.
//! - GE19: Bock et al., *Geneva*, CCS 2019.

use sluice_packet::TcpFlags;

use super::craft::Craft;
use super::lab::CLIENT_TIME;

/// What of the honest flow a row replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    Syn,
    Ack,
    Data,
}

pub struct Row {
    pub name: &'static str,
    pub source: &'static str,
    pub at: At,
    /// What the flow comes to when this is how its ClientHello comes: a decision code, or `inspected`, or `undecided`.
    pub before: &'static str,
    /// The counter that names what happened then.
    pub counted: &'static str,
    /// How an inspected session ends in which this happened to a record: `whole`, or by a decision code.
    pub after: &'static str,
    pub write: fn(&Craft, &[u8]) -> Vec<Craft>,
}

/// A TTL that the appliance sees and the receiver does not.
const SHORT: u8 = 4;
const DATA: TcpFlags = TcpFlags::ACK.with(TcpFlags::PSH);
const FAR: u32 = 1_000_000;
const MD5: [u8; 20] = [
    19, 18, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 1, 1,
];

/// The decoy changed by `change`, then the honest segment.
fn inserted(real: &Craft, decoy: &[u8], change: impl Fn(&mut Craft)) -> Vec<Craft> {
    let mut false_one = real.saying(decoy);
    change(&mut false_one);
    vec![false_one, real.clone()]
}

/// A segment without data changed by `change`, then the honest one.
fn preceded(real: &Craft, flags: TcpFlags, change: impl Fn(&mut Craft)) -> Vec<Craft> {
    let mut before = real.bare(flags);
    change(&mut before);
    vec![before, real.clone()]
}

/// The honest segment, changed.
fn changed(real: &Craft, change: impl Fn(&mut Craft)) -> Vec<Craft> {
    let mut other = real.clone();
    change(&mut other);
    vec![other]
}

macro_rules! rows {
    ($($name:literal, $source:literal, $at:ident, $before:literal, $counted:literal, $after:literal,
       |$real:ident, $decoy:ident| $write:expr;)+) => {
        &[$(Row {
            name: $name,
            source: $source,
            at: At::$at,
            before: $before,
            counted: $counted,
            after: $after,
            write: |$real, $decoy| {
                let _ = ($real, $decoy);
                $write
            },
        }),+]
    };
}

const RST: TcpFlags = TcpFlags::RST;
const FIN: TcpFlags = TcpFlags::FIN.with(TcpFlags::ACK);
const SYN: TcpFlags = TcpFlags::SYN;
const RST_ACK: TcpFlags = TcpFlags::RST.with(TcpFlags::ACK);

/// E105: data that one reader takes and another does not.
pub const INSERTIONS: &[Row] = rows! {
    "data with a wrong TCP checksum", "PN98", Data, "inspected", "checksum-errors", "inspected-client",
        |real, decoy| inserted(real, decoy, |c| c.tcp_sum_right = false);
    "data with a wrong IPv4 checksum", "PN98", Data, "inspected", "checksum-errors", "inspected-client",
        |real, decoy| inserted(real, decoy, |c| c.ip_sum_right = false);
    "data that dies before the receiver", "PN98", Data, "bypass-domain-exception", "held-contradicted", "inspected-client failed-client",
        |real, decoy| inserted(real, decoy, |c| c.ttl = SHORT);
    "data without ACK", "PN98", Data, "inspected", "drop-irregular-segment", "inspected-client",
        |real, decoy| inserted(real, decoy, |c| c.flags = TcpFlags::PSH);
    "data without flags", "LE17", Data, "inspected", "drop-irregular-segment", "inspected-client",
        |real, decoy| inserted(real, decoy, |c| c.flags = TcpFlags::NONE);
    "data that acknowledges what was never sent", "IT17", Data, "inspected", "drop-irregular-segment", "inspected-client",
        |real, decoy| inserted(real, decoy, |c| c.ack = c.ack.wrapping_add(FAR));
    "data that acknowledges what is long past", "SY20", Data, "bypass-domain-exception", "held-contradicted", "inspected-client",
        |real, decoy| inserted(real, decoy, |c| c.ack = c.ack.wrapping_sub(FAR));
    "data that acknowledges one byte too few", "SY20", Data, "bypass-domain-exception", "client-hellos", "inspected-client failed-client",
        |real, decoy| inserted(real, decoy, |c| c.ack = c.ack.wrapping_sub(1));
    "data with an MD5 signature", "IT17", Data, "inspected", "drop-irregular-segment", "inspected-client failed-client",
        |real, decoy| vec![real.saying(decoy).with_option(&MD5), real.clone()];
    "data with an authentication option", "SY20", Data, "inspected", "drop-irregular-segment", "inspected-client failed-client",
        |real, decoy| vec![real.saying(decoy).with_option(&[29, 4, 0, 0]), real.clone()];
    "data with an old timestamp", "IT17", Data, "inspected", "drop-irregular-segment", "inspected-client failed-client",
        |real, decoy| vec![real.saying(decoy).at_time(CLIENT_TIME - 1000), real.clone()];
    "data with a timestamp far ahead", "SY20", Data, "bypass-domain-exception", "client-hellos", "inspected-client failed-client",
        |real, decoy| vec![real.saying(decoy).at_time(CLIENT_TIME + 0x7000_0000), real.clone()];
    "data without its timestamps", "SY20", Data, "bypass-domain-exception", "client-hellos", "inspected-client failed-client",
        |real, decoy| inserted(real, decoy, |c| c.options.clear());
    "data of a stream that ended before it", "PN98", Data, "inspected", "drop-irregular-segment", "inspected-client",
        |real, decoy| inserted(real, decoy, |c| c.seq = c.seq.wrapping_sub(FAR));
    "data beyond the window", "K13", Data, "inspected", "drop-irregular-segment", "inspected-client",
        |real, decoy| inserted(real, decoy, |c| c.seq = c.seq.wrapping_add(FAR));
    "data whose header is too short", "LE17", Data, "inspected", "client-hellos", "inspected-client",
        |real, decoy| inserted(real, decoy, |c| c.data_offset = Some(4));
    "data whose header is longer than it", "LE17", Data, "inspected", "client-hellos", "inspected-client",
        |real, decoy| inserted(&real.part(0, 20), &decoy[..20], |c| c.data_offset = Some(15));
    "data in a datagram longer than its frame", "LE17", Data, "inspected", "client-hellos", "inspected-client",
        |real, decoy| inserted(real, decoy, |c| c.total_len_error = 100);
    "data in a datagram shorter than its frame", "LE17", Data, "inspected", "checksum-errors", "inspected-client",
        |real, decoy| inserted(real, decoy, |c| c.total_len_error = -40);
    "data in a datagram with a source route", "PN98", Data, "inspected", "client-hellos", "inspected-client",
        |real, decoy| inserted(real, decoy, |c| c.ip_options = vec![131, 7, 4, 10, 0, 0, 9, 0]);
    "data in a datagram at the end of its source route", "PN98", Data, "bypass-domain-exception", "held-contradicted", "inspected-client failed-client",
        |real, decoy| inserted(real, decoy, |c| c.ip_options = vec![131, 7, 8, 10, 0, 0, 9, 0]);
    "data in a datagram with an unknown option", "LE17", Data, "bypass-domain-exception", "held-contradicted", "inspected-client failed-client",
        |real, decoy| inserted(real, decoy, |c| c.ip_options = vec![0x9e, 4, 0, 0]);
    "data in a datagram of another version", "LE17", Data, "inspected", "client-hellos", "inspected-client",
        |real, decoy| inserted(real, decoy, |c| c.version = 5);
    "data of another protocol", "LE17", Data, "inspected", "client-hellos", "inspected-client",
        |real, decoy| inserted(real, decoy, |c| c.protocol = 17);
    "data behind the end of the datagram", "FR", Data, "inspected", "client-hellos", "inspected-client",
        |real, decoy| changed(real, |c| c.trailer = decoy.to_vec());
    "data with reserved bits", "LE17", Data, "bypass-domain-exception", "client-hellos", "inspected-client failed-client",
        |real, decoy| inserted(real, decoy, |c| c.reserved = 15);
    "data with SYN", "K13", Data, "inspected", "drop-irregular-segment", "inspected-client",
        |real, decoy| inserted(real, decoy, |c| c.flags = DATA | SYN);
    "data with RST that hits nothing", "K13", Data, "inspected", "drop-irregular-segment", "inspected-client",
        |real, decoy| inserted(real, decoy, |c| { c.flags = DATA | RST; c.seq = c.seq.wrapping_add(9); });
    "data with SYN and FIN", "LE17", Data, "inspected", "drop-irregular-segment", "inspected-client",
        |real, decoy| inserted(real, decoy, |c| c.flags = SYN | FIN);
    "data with every flag", "GE19", Data, "inspected", "urgent-cleared", "inspected-client client-reset",
        |real, decoy| inserted(real, decoy, |c| c.flags = TcpFlags::from_bits(0xff));
    "data with URG at its first byte", "PN98", Data, "inspected", "urgent-cleared", "inspected-client failed-client",
        |real, decoy| inserted(real, &decoy[..1], |c| { c.flags = DATA | TcpFlags::URG; c.urgent = 1; });
    "one byte more, marked urgent", "SY20", Data, "block-client-hello-malformed", "urgent-cleared", "inspected-client failed-client",
        |real, decoy| vec![
            Craft { flags: DATA | TcpFlags::URG, urgent: 21, ..real.saying(&[&real.payload[..20], &decoy[..1]].concat()) },
            Craft { seq: real.seq.wrapping_add(21), ..real.saying(&real.payload[20..]) },
        ];
    "an urgent pointer without URG", "SY20", Data, "inspected", "client-hellos", "inspected-client",
        |real, decoy| changed(real, |c| c.urgent = 7);
    "an urgent pointer beyond the data", "SY20", Data, "inspected", "urgent-cleared", "inspected-client",
        |real, decoy| changed(real, |c| { c.flags = DATA | TcpFlags::URG; c.urgent = 5000; });
    "an urgent pointer ahead of the data", "SY20", Data, "inspected", "urgent-cleared", "inspected-client",
        |real, decoy| preceded(real, TcpFlags::ACK | TcpFlags::URG, |c| c.urgent = 50);
    "options that do not parse", "GE19", Data, "bypass-domain-exception", "client-hellos", "inspected-client failed-client",
        |real, decoy| inserted(real, decoy, |c| c.options = vec![8, 40, 1, 1]);
    "a window scale on data", "GE19", Data, "bypass-domain-exception", "client-hellos", "inspected-client failed-client",
        |real, decoy| vec![real.saying(decoy).with_option(&[3, 3, 14]), real.clone()];
    "timestamps twice", "SY20", Data, "bypass-domain-exception", "held-contradicted", "inspected-client failed-client",
        |real, decoy| vec![real.saying(decoy).with_option(&[8, 10, 0, 0, 0, 1, 0, 0, 0, 0]), real.clone()];
    "a keep-alive byte that begins another stream", "K13", Data, "inspected", "client-hellos", "inspected-client",
        |real, decoy| inserted(real, &decoy[..1], |c| c.seq = c.seq.wrapping_sub(1));
};

/// E109: data where there should be none.
pub const MISPLACED: &[Row] = rows! {
    "the ClientHello on the SYN", "PN98", Syn, "inspected", "syn-data-cut", "",
        |syn, decoy| vec![syn.saying(decoy)];
    "another version on a SYN that dies early", "IT17", Syn, "inspected", "syn-data-cut", "",
        |syn, decoy| inserted(syn, decoy, |c| c.ttl = SHORT);
    "a Fast Open cookie and data on the SYN", "SY20", Syn, "inspected", "syn-data-cut", "",
        |syn, decoy| vec![syn.saying(decoy).with_option(&[34, 10, 1, 2, 3, 4, 5, 6, 7, 8])];
    "one byte on the SYN", "PN98", Syn, "inspected", "syn-data-cut", "",
        |syn, decoy| vec![syn.saying(&decoy[..1])];
    "another version on the third acknowledgement", "SY20", Ack, "bypass-domain-exception", "data-on-confirmation", "",
        |ack, decoy| vec![ack.saying(decoy)];
    "another version on a third acknowledgement that dies early", "SY20", Ack, "bypass-domain-exception", "held-contradicted", "",
        |ack, decoy| inserted(ack, decoy, |c| c.ttl = SHORT);
    "half of another version on the third acknowledgement", "SY20", Ack, "block-client-hello-malformed", "held-contradicted", "",
        |ack, decoy| vec![ack.saying(&decoy[..100])];
    "the ClientHello with FIN", "K13", Data, "inspected", "client-hellos", "inspected-client client-reset",
        |real, decoy| changed(real, |c| c.flags = DATA | FIN);
    "half of the ClientHello with FIN, then the rest", "K13", Data, "inspected", "client-hellos", "inspected-client closed",
        |real, decoy| vec![Craft { flags: DATA | FIN, ..real.part(0, 100) }, real.part(100, usize::MAX)];
    "the ClientHello with RST", "GE19", Data, "inspected", "drop-irregular-segment", "inspected-client client-reset",
        |real, decoy| changed(real, |c| c.flags = RST_ACK);
    "the ClientHello with SYN, one number before", "SY20", Data, "inspected", "drop-irregular-segment", "inspected-client",
        |real, decoy| inserted(real, decoy, |c| { c.flags = DATA | SYN; c.seq = c.seq.wrapping_sub(1); });
};

/// E113: sequence numbers of long ago.
pub const STALE: &[Row] = rows! {
    "data half the sequence space behind", "PN98", Data, "inspected", "drop-irregular-segment", "inspected-client",
        |real, decoy| inserted(real, decoy, |c| c.seq = c.seq.wrapping_sub(0x8000_0000));
    "data just short of half the sequence space ahead", "PN98", Data, "inspected", "drop-irregular-segment", "inspected-client",
        |real, decoy| inserted(real, decoy, |c| c.seq = c.seq.wrapping_add(0x7fff_ffff));
    "data of the last turn of the window", "PN98", Data, "inspected", "drop-irregular-segment", "inspected-client",
        |real, decoy| inserted(real, decoy, |c| c.seq = c.seq.wrapping_sub(65_535));
    "data that begins before the stream and reaches into it", "SY20", Data, "inspected", "drop-irregular-segment", "inspected-client failed-client",
        |real, decoy| inserted(real, decoy, |c| c.seq = c.seq.wrapping_sub(20));
    "an acknowledgement of the last turn", "SY20", Data, "inspected", "client-hellos", "inspected-client",
        |real, decoy| preceded(real, TcpFlags::ACK, |c| { c.seq = c.seq.wrapping_sub(FAR); c.ack = c.ack.wrapping_sub(FAR); });
};

/// E106: what was published as strategies over whole flows.
pub const STRATEGIES: &[Row] = rows! {
    "segments of one byte", "PN98", Data, "inspected", "client-hellos", "inspected-client",
        |real, decoy| real.cut(1);
    "segments of eight bytes, the last first", "FR", Data, "inspected", "tcp-out-of-order", "inspected-client",
        |real, decoy| real.cut(8).into_iter().rev().collect();
    "every second segment first", "FR", Data, "inspected", "tcp-out-of-order", "inspected-client",
        |real, decoy| {
            let (even, odd): (Vec<_>, Vec<_>) =
                real.cut(32).into_iter().enumerate().partition(|(at, _)| at % 2 == 0);
            odd.into_iter().chain(even).map(|(_, part)| part).collect()
        };
    "every segment twice", "FR", Data, "inspected", "drop-irregular-segment", "inspected-client",
        |real, decoy| real.cut(64).into_iter().flat_map(|part| [part.clone(), part]).collect();
    "every segment after another version of it", "FR", Data, "block-client-hello-malformed", "held-contradicted", "inspected-client failed-client",
        |real, decoy| real.cut(64).into_iter().zip(real.saying(decoy).cut(64)).flat_map(|(a, b)| [b, a]).collect();
    "another version behind a gap, then the gap", "K13", Data, "block-client-hello-malformed", "held-contradicted", "inspected-client failed-client",
        |real, decoy| vec![real.saying(decoy).part(8, usize::MAX), real.part(8, usize::MAX), real.part(0, 8)];
    "another version overlapping forward", "IT17", Data, "block-client-hello-malformed", "held-contradicted", "inspected-client failed-client",
        |real, decoy| vec![real.part(20, usize::MAX), real.saying(decoy), real.part(0, 20)];
    "another version of the first bytes dies early", "IT17", Data, "block-client-hello-malformed", "held-contradicted", "inspected-client failed-client",
        |real, decoy| vec![Craft { ttl: SHORT, ..real.saying(decoy).part(0, 100) }, real.clone()];
    "a reset that dies early", "PN98", Data, "block-irregular-handshake", "irregular-after-end", "inspected-client client-reset",
        |real, decoy| preceded(real, RST, |c| c.ttl = SHORT);
    "a reset with ACK that dies early", "GE19", Data, "block-irregular-handshake", "irregular-after-end", "inspected-client client-reset",
        |real, decoy| preceded(real, RST_ACK, |c| c.ttl = SHORT);
    "a reset with a wrong checksum", "IT17", Data, "inspected", "checksum-errors", "inspected-client",
        |real, decoy| preceded(real, RST, |c| c.tcp_sum_right = false);
    "a reset with ACK and a wrong checksum", "GE19", Data, "inspected", "checksum-errors", "inspected-client",
        |real, decoy| preceded(real, RST_ACK, |c| c.tcp_sum_right = false);
    "a reset with an MD5 signature", "IT17", Data, "inspected", "client-hellos", "inspected-client client-reset",
        |real, decoy| vec![real.bare(RST).with_option(&MD5), real.clone()];
    "a reset ahead of the next byte", "SY20", Data, "inspected", "client-hellos", "inspected-client",
        |real, decoy| preceded(real, RST, |c| c.seq = c.seq.wrapping_add(1));
    "a reset behind the next byte", "SY20", Data, "inspected", "client-hellos", "inspected-client",
        |real, decoy| preceded(real, RST, |c| c.seq = c.seq.wrapping_sub(1));
    "a reset beyond the window", "SY20", Data, "inspected", "client-hellos", "inspected-client",
        |real, decoy| preceded(real, RST, |c| c.seq = c.seq.wrapping_add(FAR));
    "a reset that acknowledges what was never sent", "SY20", Data, "block-irregular-handshake", "irregular-after-end", "inspected-client client-reset",
        |real, decoy| preceded(real, RST_ACK, |c| c.ack = c.ack.wrapping_add(FAR));
    "a reset with an old timestamp", "SY20", Data, "block-irregular-handshake", "irregular-after-end", "inspected-client client-reset",
        |real, decoy| vec![real.bare(RST).at_time(1), real.clone()];
    "a reset with data", "GE19", Data, "inspected", "drop-irregular-segment", "inspected-client client-reset",
        |real, decoy| inserted(real, &decoy[..10], |c| { c.flags = RST; c.ttl = SHORT; });
    "a FIN that dies early", "LE17", Data, "block-irregular-handshake", "decision-block-irregular-handshake", "inspected-client closed",
        |real, decoy| preceded(real, FIN, |c| c.ttl = SHORT);
    "a FIN without ACK", "SY20", Data, "inspected", "drop-irregular-segment", "inspected-client",
        |real, decoy| preceded(real, TcpFlags::FIN, |_| ());
    "a FIN with a wrong checksum", "IT17", Data, "inspected", "checksum-errors", "inspected-client",
        |real, decoy| preceded(real, FIN, |c| c.tcp_sum_right = false);
    "a FIN with an MD5 signature", "IT17", Data, "inspected", "drop-irregular-segment", "inspected-client closed",
        |real, decoy| vec![real.bare(FIN).with_option(&MD5), real.clone()];
    "a FIN ahead of the data", "K13", Data, "inspected", "drop-irregular-segment", "inspected-client closed",
        |real, decoy| preceded(real, FIN, |c| c.seq = c.seq.wrapping_add(100));
    "a FIN beyond the window", "K13", Data, "inspected", "drop-irregular-segment", "inspected-client",
        |real, decoy| preceded(real, FIN, |c| c.seq = c.seq.wrapping_add(FAR));
    "a FIN with RST", "GE19", Data, "block-irregular-handshake", "irregular-after-end", "inspected-client client-reset",
        |real, decoy| preceded(real, RST | FIN, |c| c.ttl = SHORT);
    "a FIN with another version of the data", "LE17", Data, "bypass-domain-exception", "held-contradicted", "inspected-client failed-client",
        |real, decoy| inserted(real, decoy, |c| { c.flags = DATA | FIN; c.ttl = SHORT; });
    "a SYN in the middle, elsewhere", "IT17", Data, "inspected", "client-hellos", "inspected-client",
        |real, decoy| preceded(real, SYN, |c| { c.seq = c.seq.wrapping_add(FAR); c.ack = 0; });
    "a SYN in the middle, elsewhere, then data there", "IT17", Data, "inspected", "drop-irregular-segment", "inspected-client",
        |real, decoy| {
            let there = real.seq.wrapping_add(FAR);
            vec![
                Craft { seq: there, ack: 0, ttl: SHORT, ..real.bare(SYN) },
                Craft { seq: there.wrapping_add(1), ..real.saying(decoy) },
                real.clone(),
            ]
        };
    "a SYN in the middle, of this stream", "GE19", Data, "inspected", "client-hellos", "inspected-client",
        |real, decoy| preceded(real, SYN, |c| { c.seq = c.seq.wrapping_sub(1); c.ack = 0; });
    "a SYN-ACK from the client", "IT17", Data, "inspected", "client-hellos", "inspected-client",
        |real, decoy| preceded(real, SYN | TcpFlags::ACK, |c| { c.seq = c.seq.wrapping_add(77); c.ack = 1; });
    "data elsewhere, then the stream", "IT17", Data, "inspected", "drop-irregular-segment", "inspected-client",
        |real, decoy| inserted(real, &decoy[..1], |c| c.seq = c.seq.wrapping_add(0x2000_0000));
    "a closed window before the data", "GE19", Data, "inspected", "client-hellos", "inspected-client",
        |real, decoy| preceded(real, TcpFlags::ACK, |c| c.window = 0);
    "a tiny window with the data", "GE19", Data, "inspected", "client-hellos", "inspected-client",
        |real, decoy| changed(real, |c| c.window = 2);
    "the data without PSH", "LE17", Data, "inspected", "client-hellos", "inspected-client",
        |real, decoy| changed(real, |c| c.flags = TcpFlags::ACK);
    "an acknowledgement of what never came", "SY20", Data, "inspected", "client-hellos", "inspected-client",
        |real, decoy| preceded(real, TcpFlags::ACK, |c| c.seq = c.seq.wrapping_add(600));
    "the data behind a gap that is never filled", "PN98", Data, "bypass-not-tls", "tcp-out-of-order", "inspected-client failed-client",
        |real, decoy| changed(real, |c| c.seq = c.seq.wrapping_add(1));

    "a SYN with a wrong checksum first", "K13", Syn, "inspected", "client-hellos", "",
        |syn, decoy| preceded(syn, SYN, |c| { c.tcp_sum_right = false; c.seq = c.seq.wrapping_add(FAR); });
    "a SYN that dies early first", "K13", Syn, "inspected", "client-hellos", "",
        |syn, decoy| preceded(syn, SYN, |c| { c.ttl = SHORT; c.seq = c.seq.wrapping_add(FAR); });
    "a SYN that dies early afterwards", "K13", Syn, "undecided", "drop-irregular-segment", "",
        |syn, decoy| vec![syn.clone(), Craft { ttl: SHORT, seq: syn.seq.wrapping_add(FAR), ..syn.clone() }];
    "two SYNs", "IT17", Syn, "block-irregular-handshake", "irregular-one-way", "",
        |syn, decoy| vec![Craft { seq: syn.seq.wrapping_add(FAR), ..syn.clone() }, syn.clone()];
    "a SYN with an MD5 signature", "SY20", Syn, "block-irregular-handshake", "irregular-signed", "",
        |syn, decoy| vec![syn.with_option(&MD5)];
    "a SYN with FIN", "LE17", Syn, "block-irregular-handshake", "irregular-bad-flags", "",
        |syn, decoy| changed(syn, |c| c.flags = SYN | TcpFlags::FIN);
    "a SYN with an unknown option", "GE19", Syn, "inspected", "client-hellos", "",
        |syn, decoy| vec![syn.with_option(&[77, 4, 1, 1])];
    "a SYN whose options do not parse", "GE19", Syn, "inspected", "syn-options-stripped", "",
        |syn, decoy| changed(syn, |c| c.options = vec![2, 40, 5, 0xb4]);
    "a reset before the SYN", "GE19", Syn, "inspected", "client-hellos", "",
        |syn, decoy| preceded(syn, RST, |_| ());
    "no SYN at all", "K13", Syn, "block-irregular-handshake", "irregular-mid-stream", "",
        |syn, decoy| Vec::new();
    "data before the SYN", "K13", Syn, "block-irregular-handshake", "irregular-mid-stream", "",
        |syn, decoy| vec![Craft { flags: DATA, seq: syn.seq.wrapping_add(1), ..syn.saying(decoy) }, syn.clone()];

    "no third acknowledgement", "PN98", Ack, "inspected", "data-on-confirmation", "",
        |ack, decoy| Vec::new();
    "a third acknowledgement of another SYN", "SY20", Ack, "inspected", "client-hellos", "",
        |ack, decoy| preceded(ack, TcpFlags::ACK, |c| c.ack = c.ack.wrapping_add(100));
    "a reset in place of the third acknowledgement", "GE19", Ack, "block-irregular-handshake", "irregular-after-end", "",
        |ack, decoy| preceded(ack, RST, |c| c.ttl = SHORT);
    "a FIN before the third acknowledgement", "GE19", Ack, "inspected", "client-hellos", "",
        |ack, decoy| preceded(ack, TcpFlags::FIN, |_| ());
    "a SYN-ACK in place of the third acknowledgement", "GE19", Ack, "block-irregular-handshake", "irregular-simultaneous-open", "",
        |ack, decoy| preceded(ack, SYN | TcpFlags::ACK, |c| c.seq = c.seq.wrapping_sub(1));
};
