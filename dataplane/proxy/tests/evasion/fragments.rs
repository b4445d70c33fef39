//! E111: fragments that overlap, are tiny, late or never whole; IPv6 extension headers in front of everything.

use std::time::Duration;

use sluice_telemetry::{Counter, DropReason};

use super::craft::{Craft, checksum};
use super::lab::{EXCEPTED, INSPECTED, Outcome, Run, Way, hello, strict};
use super::receiver::PROFILES;
use super::strategies::{inspected_session_between, inspected_session_under};

const LINK: usize = 14;
const IP: usize = 20;

/// A part of a datagram's data as a fragment of its own. Offsets are in bytes, multiples of eight.
#[derive(Clone)]
struct Part<'c> {
    of: &'c Craft,
    from: usize,
    to: usize,
    more: bool,
    identification: u16,
    ttl: u8,
}

fn part(of: &Craft, from: usize, to: usize) -> Part<'_> {
    let len = of.frame().len() - LINK - IP;
    Part {
        of,
        from,
        to: to.min(len),
        more: to < len,
        identification: 7,
        ttl: 64,
    }
}

impl Part<'_> {
    fn frame(&self) -> Vec<u8> {
        let whole = self.of.frame();
        let data = &whole[LINK + IP..];
        let mut frame = whole[..LINK + IP].to_vec();
        frame.extend_from_slice(&data[self.from..self.to]);
        let ip = &mut frame[LINK..LINK + IP];
        let total = u16::try_from(IP + self.to - self.from).unwrap();
        ip[2..4].copy_from_slice(&total.to_be_bytes());
        ip[4..6].copy_from_slice(&self.identification.to_be_bytes());
        let place = u16::try_from(self.from / 8).unwrap() | u16::from(self.more) << 13;
        ip[6..8].copy_from_slice(&place.to_be_bytes());
        ip[8] = self.ttl;
        ip[10..12].fill(0);
        let sum = checksum(&[ip]);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        frame
    }
}

/// What is sent of two versions of one segment, the second of which is the decoy; then half a minute passes and the honest
/// client sends it again, whole.
type Cut = fn(&Craft, &Craft) -> Vec<Vec<u8>>;

fn frames(parts: &[Part<'_>]) -> Vec<Vec<u8>> {
    parts.iter().map(Part::frame).collect()
}

fn tiny(of: &Craft) -> Vec<Part<'_>> {
    let len = of.frame().len() - LINK - IP;
    (0..len)
        .step_by(8)
        .map(|from| part(of, from, from + 8))
        .collect()
}

/// Ptacek and Newsham (1998), fragroute (1999), RFC 1858, RFC 3128, Novak's *Target-Based Fragmentation Reassembly* (2005).
const CUTS: [(&str, Cut); 18] = [
    ("two", |a, _| {
        frames(&[part(a, 0, 96), part(a, 96, usize::MAX)])
    }),
    ("the last first", |a, _| {
        frames(&[part(a, 96, usize::MAX), part(a, 0, 96)])
    }),
    ("of eight bytes", |a, _| frames(&tiny(a)[..])),
    ("of eight bytes, backwards", |a, _| {
        frames(&tiny(a).into_iter().rev().collect::<Vec<_>>())
    }),
    ("the first too short for the header", |a, _| {
        frames(&[part(a, 0, 8), part(a, 8, usize::MAX)])
    }),
    ("one twice", |a, _| {
        frames(&[part(a, 0, 96), part(a, 0, 96), part(a, 96, usize::MAX)])
    }),
    ("another version of the first, first", |a, b| {
        frames(&[part(b, 0, 96), part(a, 0, 96), part(a, 96, usize::MAX)])
    }),
    ("another version of the first, afterwards", |a, b| {
        frames(&[part(a, 0, 96), part(b, 0, 96), part(a, 96, usize::MAX)])
    }),
    ("another version of the last, first", |a, b| {
        frames(&[
            part(b, 96, usize::MAX),
            part(a, 96, usize::MAX),
            part(a, 0, 96),
        ])
    }),
    ("the second reaches into the first", |a, b| {
        frames(&[part(a, 0, 96), part(b, 64, usize::MAX)])
    }),
    ("the second inside the first", |a, b| {
        frames(&[part(a, 0, 128), part(b, 48, 96), part(a, 128, usize::MAX)])
    }),
    ("the second covers the first", |a, b| {
        frames(&[part(a, 48, 96), part(b, 0, 128), part(a, 128, usize::MAX)])
    }),
    ("another version that dies early", |a, b| {
        let short = Part {
            ttl: 4,
            ..part(b, 0, 96)
        };
        frames(&[short, part(a, 0, 96), part(a, 96, usize::MAX)])
    }),
    ("all of another version dies early", |a, b| {
        let short = |part| Part { ttl: 4, ..part };
        frames(&[
            short(part(b, 0, 96)),
            short(part(b, 96, usize::MAX)),
            part(a, 0, 96),
            part(a, 96, usize::MAX),
        ])
    }),
    ("two datagrams at once", |a, b| {
        let other = |part| Part {
            identification: 8,
            ..part
        };
        frames(&[
            part(a, 0, 96),
            other(part(b, 0, 96)),
            other(part(b, 96, usize::MAX)),
            part(a, 96, usize::MAX),
        ])
    }),
    ("the end moves", |a, _| {
        let early = Part {
            more: false,
            ..part(a, 96, 192)
        };
        frames(&[part(a, 0, 96), early, part(a, 96, usize::MAX)])
    }),
    ("never whole", |a, _| frames(&[part(a, 0, 96)])),
    ("never whole, another version", |_, b| {
        frames(&[part(b, 0, 96), part(b, 192, usize::MAX)])
    }),
];

#[test]
fn e111_fragments_never_show_policy_another_stream_than_the_receiver() {
    let (good, bank) = (hello(INSPECTED), hello(EXCEPTED));
    let mut wrong = Vec::new();
    let mut inspected = 0;
    for (real, decoy) in [(&good, &bank), (&bank, &good)] {
        for (number, (name, cut)) in CUTS.into_iter().enumerate() {
            for way in [Way::Outbound, Way::Inbound] {
                for profile in PROFILES.into_iter().take(7) {
                    let mut run = Run::with(way, profile, &strict());
                    run.connect();
                    let (a, b) = (run.data(&real.bytes), run.data(&decoy.bytes));
                    for frame in cut(&a, &b) {
                        run.inject(frame);
                    }
                    run.wait(Duration::from_secs(1));
                    let named = match number {
                        5 => Counter::Drop(DropReason::FragmentDuplicate),
                        6..13 => Counter::Drop(DropReason::FragmentOverlap),
                        0..5 | 13..16 => Counter::DatagramsReassembled,
                        _ => Counter::FragmentsHeld,
                    };
                    if run.count(named) == 0 {
                        wrong.push(format!("{name}: {} is zero", named.name()));
                    }
                    run.send(&a);
                    run.wait(Duration::from_secs(1));
                    match run.judge(&[real, decoy]) {
                        Ok(Outcome::Unseen(code)) => wrong.push(format!("{name}: {code}")),
                        Ok(Outcome::Bypassed(code)) if way == Way::Inbound => {
                            wrong.push(format!("{name} to a protected server: {code}"));
                        }
                        Ok(Outcome::Undecided) => wrong.push(format!("{name}: no decision")),
                        Ok(outcome) => inspected += usize::from(outcome == Outcome::Inspected),
                        Err(why) => wrong.push(format!(
                            "{name}, {:?} for {:?}, at {}: {why}",
                            decoy.name, real.name, profile.name
                        )),
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(inspected > 200, "{inspected}");
}

#[test]
fn e111_a_session_in_fragments_is_inspected_and_one_of_two_versions_ends() {
    for (name, cut) in CUTS {
        let world = inspected_session_under(&strict(), move |honest, decoy| {
            cut(honest, &honest.saying(decoy))
        });
        assert!(world.count(Counter::SessionsInspected) == 1, "{name}");
        let heard = world.origin.heard.len();
        assert!(heard == 0 || heard == 600, "{name}: {heard} bytes");
        assert_eq!(world.out.events[0].bytes_to_origin, heard as u64, "{name}");
    }
}

/// A destination options header, a hop-by-hop header and an atomic fragment header (RFC 6946) in front of the client's TCP.
#[test]
fn e111_ipv6_extension_headers_hide_nothing() {
    const ADDRESS: usize = LINK + 40;
    let padding = [1, 4, 0, 0, 0, 0];
    for headers in [&[60][..], &[0], &[0, 60], &[0, 60, 60, 60]] {
        let world = inspected_session_between(
            "[2001:db8:1::1]:40000",
            "[2001:db8:2::1]:443",
            move |frame| {
                let mut chain = Vec::new();
                for next in headers[1..].iter().copied().chain([6]) {
                    chain.push(next);
                    chain.push(0);
                    chain.extend_from_slice(&padding);
                }
                let mut longer = frame[..ADDRESS].to_vec();
                longer[LINK + 6] = headers[0];
                let len = u16::try_from(frame.len() - ADDRESS + chain.len()).unwrap();
                longer[LINK + 4..LINK + 6].copy_from_slice(&len.to_be_bytes());
                longer.extend_from_slice(&chain);
                longer.extend_from_slice(&frame[ADDRESS..]);
                longer
            },
        );
        assert_eq!(world.event().code.name(), "inspected-client", "{headers:?}");
        assert_eq!(world.origin.heard.len(), 600, "{headers:?}");
        assert_eq!(world.event().bytes_to_origin, 600);
    }
}
