//! E104: two versions of the same bytes, in every position toward each other and in every order.

use std::time::Duration;

use sluice_telemetry::DecisionCode;

use super::craft::Craft;
use super::lab::{Outcome, Run, Said, Way, cleartext, contradicting_hellos};
use super::receiver::PROFILES;

/// Where the second of two ranges begins and ends, toward the first, which is `40..80`.
pub const POSITIONS: [(&str, usize, usize); 13] = [
    ("before, touching", 10, 40),
    ("before, into it", 20, 60),
    ("before, up to its end", 20, 80),
    ("covering", 20, 100),
    ("from its beginning, inside", 40, 60),
    ("equal", 40, 80),
    ("from its beginning, beyond", 40, 100),
    ("inside", 50, 70),
    ("inside, up to its end", 60, 80),
    ("inside, beyond", 60, 100),
    ("after, touching", 80, 100),
    ("one byte", 50, 51),
    ("everything", 0, 120),
];

struct Attack<'s> {
    name: String,
    segments: Vec<Craft>,
    said: [&'s Said; 2],
}

/// In which order two overlapping segments come, and when those that are missing.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    new_first: bool,
    rest: Rest,
}

#[derive(Clone, Copy, Debug)]
enum Rest {
    InOrder,
    GapFirst,
    Reversed,
}

impl Order {
    pub const ALL: [Self; 6] = {
        use Rest::{GapFirst, InOrder, Reversed};
        [
            Self::of(false, InOrder),
            Self::of(false, GapFirst),
            Self::of(false, Reversed),
            Self::of(true, InOrder),
            Self::of(true, GapFirst),
            Self::of(true, Reversed),
        ]
    };

    const fn of(new_first: bool, rest: Rest) -> Self {
        Self { new_first, rest }
    }
}

/// `40..80` of one version, the range of the other, and what is missing of the first.
pub fn pair(one: &Craft, other: &Craft, (from, to): (usize, usize), order: Order) -> Vec<Craft> {
    let mut two = vec![one.part(40, 80), other.part(from, to)];
    if order.new_first {
        two.reverse();
    }
    let (head, tail) = (vec![one.part(0, 40)], vec![one.part(80, usize::MAX)]);
    match order.rest {
        Rest::InOrder => [head, two, tail].concat(),
        Rest::GapFirst => [two, tail, head].concat(),
        Rest::Reversed => [tail, two, head].concat(),
    }
}

fn pairs<'s>(run: &Run, one: &'s Said, other: &'s Said) -> Vec<Attack<'s>> {
    let (a, b) = (run.data(&one.bytes), run.data(&other.bytes));
    let ranges = POSITIONS
        .iter()
        .flat_map(|position| Order::ALL.map(|order| (position, order)));
    ranges
        .map(|((position, from, to), order)| Attack {
            name: format!("{position}, {order:?}"),
            segments: pair(&a, &b, (*from, *to), order),
            said: [one, other],
        })
        .collect()
}

/// Triplets: three ranges that all overlap, the middle one of the other version, in all six orders.
fn triplets<'s>(run: &Run, one: &'s Said, other: &'s Said) -> Vec<Attack<'s>> {
    let (a, b) = (run.data(&one.bytes), run.data(&other.bytes));
    let mut attacks = Vec::new();
    for (x, y, z) in [
        ((40, 80), (60, 100), (80, 120)),
        ((40, 100), (50, 90), (60, 80)),
        ((40, 80), (40, 80), (40, 80)),
        ((40, 60), (30, 90), (60, 80)),
    ] {
        let three = [a.part(x.0, x.1), b.part(y.0, y.1), a.part(z.0, z.1)];
        for order in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            let mut segments: Vec<_> = order.iter().map(|&at| three[at].clone()).collect();
            segments.push(a.part(80, usize::MAX));
            segments.push(a.part(0, 60));
            attacks.push(Attack {
                name: format!("{x:?} {y:?} {z:?} as {order:?}"),
                segments,
                said: [one, other],
            });
        }
    }
    attacks
}

fn versions() -> Vec<(Said, Said)> {
    let (good, bank) = contradicting_hellos();
    let plain = cleartext(good.bytes.len());
    vec![
        (good.clone(), bank.clone()),
        (bank.clone(), good.clone()),
        (plain, good),
    ]
}

#[test]
fn e104_overlapping_segments_before_the_decision_show_one_stream_or_none() {
    let (mut tried, mut blocked) = (0, 0);
    let mut wrong = Vec::new();
    for (one, other) in versions() {
        let plan = Run::new(Way::Outbound, PROFILES[0]);
        let pairs = pairs(&plan, &one, &other);
        for attack in pairs.into_iter().chain(triplets(&plan, &one, &other)) {
            for profile in PROFILES.into_iter().take(6) {
                let mut run = Run::connected(Way::Outbound, profile);
                run.send_all(&attack.segments);
                run.wait(Duration::from_millis(300));
                // Whichever version was believed, the other one comes again.
                run.send(&run.data(&other.bytes));
                run.send(&run.data(&one.bytes));
                tried += 1;
                match run.judge(&attack.said) {
                    Ok(Outcome::Inspected | Outcome::Bypassed(_)) => {}
                    Ok(Outcome::Blocked(DecisionCode::BlockClientHelloMalformed)) => blocked += 1,
                    Ok(other) => wrong.push(format!("{}: {}", attack.name, other.name())),
                    Err(why) => wrong.push(format!(
                        "{} ({:?} over {:?}) at {}: {why}",
                        attack.name, other.name, one.name, profile.name
                    )),
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {tried}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(tried, 3 * 6 * (13 * 6 + 4 * 6));
    assert!(
        blocked > tried / 2,
        "contradictions are blocked as such: {blocked} of {tried}"
    );
}
