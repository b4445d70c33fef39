use proptest::prelude::*;

use super::*;

fn edge(next: SeqNum) -> SeqNum {
    next + 100_000
}

/// The obvious implementation: one optional byte per sequence number, the first one stays.
struct Reference {
    start: SeqNum,
    bytes: Vec<Option<u8>>,
}

impl Reference {
    fn insert(&mut self, seq: SeqNum, payload: &[u8]) {
        for (index, byte) in payload.iter().enumerate() {
            let position = seq.distance(self.start) + i32::try_from(index).unwrap();
            if let Ok(position) = usize::try_from(position)
                && position < self.bytes.len()
            {
                self.bytes[position].get_or_insert(*byte);
            }
        }
    }

    fn in_order(&self) -> Vec<u8> {
        self.bytes.iter().map_while(|byte| *byte).collect()
    }

    fn runs(&self) -> Vec<(u32, u32)> {
        let mut runs = Vec::new();
        let mut open = None;
        for index in self.in_order().len()..=self.bytes.len() {
            let held = self.bytes.get(index).is_some_and(Option::is_some);
            match (held, open) {
                (true, None) => open = Some(index),
                (false, Some(from)) => {
                    runs.push((u32::try_from(from).unwrap(), u32::try_from(index).unwrap()));
                    open = None;
                }
                _ => {}
            }
        }
        runs
    }
}

proptest! {
    #[test]
    fn e104_overlaps_deliver_the_first_byte_received(
        isn: u32,
        segments in prop::collection::vec((0_u32..400, 1_usize..60, any::<u8>()), 1..120),
    ) {
        let start = SeqNum(isn);
        let mut ours = Reassembly::new(start);
        let mut reference = Reference { start, bytes: vec![None; 380] };
        let right_edge = start + 380;
        for (offset, len, fill) in segments {
            let payload: Vec<u8> = (0..len).map(|index| fill.wrapping_add(u8::try_from(index).unwrap())).collect();
            let before = ours.readable_len();
            let inserted = ours.insert(start + offset, &payload, right_edge);
            reference.insert(start + offset, &payload);
            let expected = reference.in_order();
            prop_assert_eq!(ours.readable_mut(), &expected[..]);
            if let Inserted::InOrder { count, .. } = inserted {
                prop_assert_eq!(count, expected.len() - before);
            } else {
                prop_assert_eq!(before, expected.len());
            }
            let runs: Vec<_> = ours.runs().iter().map(|run| (ahead(start, run.start), ahead(start, run.end))).collect();
            prop_assert_eq!(runs, reference.runs());
        }
    }
}

#[test]
fn e104_a_later_copy_never_replaces_a_held_byte() {
    let start = SeqNum(u32::MAX - 3);
    let mut reassembly = Reassembly::new(start);
    assert_eq!(
        reassembly.insert(start + 4, b"EFGH", edge(start)),
        Inserted::Ahead
    );
    assert_eq!(
        reassembly.insert(start + 2, b"cdefghij", edge(start)),
        Inserted::Ahead
    );
    assert_eq!(
        reassembly.insert(start, b"abCDxxxxyyzz", edge(start)),
        Inserted::InOrder {
            count: 12,
            gap_filled: true
        }
    );
    assert_eq!(reassembly.readable_mut(), b"abcdEFGHijzz");
}

#[test]
fn out_of_order_runs_are_bounded() {
    let start = SeqNum(7);
    let mut reassembly = Reassembly::new(start);
    for index in 0..limits::OUT_OF_ORDER_RUNS_MAX {
        let offset = u32::try_from(index).unwrap() * 2 + 1;
        assert_eq!(
            reassembly.insert(start + offset, b"x", edge(start)),
            Inserted::Ahead
        );
    }
    let beyond = start + u32::try_from(limits::OUT_OF_ORDER_RUNS_MAX).unwrap() * 2 + 1;
    assert_eq!(
        reassembly.insert(beyond, b"x", edge(start)),
        Inserted::NoRoom
    );
    assert_eq!(
        reassembly.insert(start + 2, b"y", edge(start)),
        Inserted::Ahead,
        "joining two runs needs no room"
    );
    assert_eq!(
        reassembly.insert(start, b"z", edge(start)),
        Inserted::InOrder {
            count: 4,
            gap_filled: true
        }
    );
}

#[test]
fn p98_recent_runs_come_first() {
    let start = SeqNum(0);
    let mut reassembly = Reassembly::new(start);
    for offset in [10, 30, 50, 20] {
        reassembly.insert(start + offset, b"abcde", edge(start));
    }
    reassembly.insert(start + 35, b"grow", edge(start));
    let recent: Vec<_> = reassembly
        .recent_runs::<3>()
        .map(|run| (run.start.0, run.end.0))
        .collect();
    assert_eq!(recent, [(30, 39), (20, 25), (50, 55)]);
}
