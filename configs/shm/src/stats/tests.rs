use sluice_telemetry::{DecisionCode, DropReason};

use super::*;

fn segment(cores: &[u16]) -> (StatsSegment, StatsView) {
    let (segment, fd) = StatsSegment::create(cores, 77, 1_700_000_000_000_000).unwrap();
    (segment, StatsSegment::open(fd).unwrap())
}

#[test]
fn what_a_core_counts_is_read_by_name() {
    let (segment, view) = segment(&[1, 5]);
    for (position, counter) in Counter::ALL.into_iter().enumerate() {
        segment.core(0).unwrap().add(counter, position as u64 + 1);
        segment.core(1).unwrap().add(counter, 1000);
    }
    let cores: Vec<_> = view.cores().collect();
    for (position, counter) in Counter::ALL.into_iter().enumerate() {
        assert_eq!(cores[0].counter(counter), position as u64 + 1);
        assert_eq!(view.total(counter), position as u64 + 1001);
    }
    assert_eq!(cores.iter().map(CoreView::core).collect::<Vec<_>>(), [1, 5]);
    assert_eq!((view.epoch(), view.pid()), (77, std::process::id()));
    assert_eq!(view.started_unix_us(), 1_700_000_000_000_000);
    assert!(segment.core(2).is_none());
}

#[test]
fn decisions_and_drops_have_cells_of_their_own() {
    let (segment, view) = segment(&[1]);
    segment
        .core(0)
        .unwrap()
        .add(Counter::Decision(DecisionCode::ALL[0]), 3);
    segment
        .core(0)
        .unwrap()
        .add(Counter::Drop(DropReason::ALL[0]), 4);
    segment.core(0).unwrap().set(Counter::FlowsTaken, 5);
    assert_eq!(
        Counter::ALL
            .into_iter()
            .map(|counter| view.total(counter))
            .sum::<u64>(),
        12
    );
}

#[test]
fn adoption_refusal_and_times_are_told_per_core() {
    let (segment, view) = segment(&[2]);
    let core = segment.core(0).unwrap();
    assert_eq!(view.cores().next().unwrap().adopted(), None);
    assert_eq!(view.cores().next().unwrap().refusal(), None);
    core.adopt(7);
    core.refuse(8, "the certificate `sluice-ca` has no key; import one");
    core.refuse(9, "shorter");
    core.add_busy_ns(100);
    core.add_idle_ns(900);
    core.beat(4);
    let state = view.cores().next().unwrap().state();
    let refusal = Some(Refusal {
        generation: 9,
        reason: "shorter".to_owned(),
    });
    assert_eq!(
        state,
        CoreState {
            core: 2,
            busy_ns: 100,
            idle_ns: 900,
            heartbeat: 4,
            adopted: Some(7),
            refusal
        }
    );
}

#[test]
fn a_long_reason_is_cut() {
    let (segment, view) = segment(&[1]);
    segment
        .core(0)
        .unwrap()
        .refuse(1, &"ä".repeat(REFUSAL_TEXT_BYTES_MAX));
    let refusal = view.cores().next().unwrap().refusal().unwrap();
    assert_eq!(refusal.reason, "ä".repeat(REFUSAL_TEXT_BYTES_MAX / 2));
}

#[test]
fn f132_a_refusal_whose_writer_died_is_not_shown() {
    let (segment, view) = segment(&[1]);
    let core = segment.core(0).unwrap();
    core.refuse(1, "reason");
    core.cell(REFUSAL_SEQUENCE).store(3, Ordering::Relaxed);
    assert_eq!(view.cores().next().unwrap().refusal(), None);
}

#[test]
fn a_refusal_that_changes_while_it_is_read_is_never_mixed() {
    let (segment, view) = segment(&[1]);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..50_000_u64 {
                let letter = if round.is_multiple_of(2) { "a" } else { "b" };
                segment.core(0).unwrap().refuse(round, &letter.repeat(200));
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            if let Some(refusal) = view.cores().next().unwrap().refusal() {
                let expected = if refusal.generation.is_multiple_of(2) {
                    "a"
                } else {
                    "b"
                };
                assert_eq!(refusal.reason, expected.repeat(200));
            }
        }
    });
}

#[test]
fn f132_damaged_statistics_are_refused_or_read_but_never_panic() {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..1_000 {
        let (segment, fd) = StatsSegment::create(&[1, 2], 1, 1).unwrap();
        let words = segment.words.words();
        for _ in 0..=random() % 4 {
            let near_header = random().is_multiple_of(2);
            let bound = if near_header { 10 } else { words.len() };
            let at = usize::try_from(random() % bound as u64).unwrap();
            words[at].store(random() >> (random() % 64), Ordering::Relaxed);
        }
        let before: Vec<u64> = words
            .iter()
            .map(|word| word.load(Ordering::Relaxed))
            .collect();
        if let Ok(view) = StatsView::open(fd) {
            assert!(view.cores().len() <= 2);
            for core in view.cores() {
                let state = core.state();
                assert!(
                    state
                        .refusal
                        .is_none_or(|refusal| refusal.reason.len() <= 3 * REFUSAL_TEXT_BYTES_MAX)
                );
            }
        }
        let after: Vec<u64> = words
            .iter()
            .map(|word| word.load(Ordering::Relaxed))
            .collect();
        assert_eq!(before, after, "reading changes nothing");
    }
}

#[test]
fn other_memory_is_refused() {
    assert!(matches!(
        StatsSegment::create(&[], 1, 1),
        Err(StatsError::Cores { cores: 0 })
    ));
    assert!(matches!(
        StatsSegment::create(&[0; CORES_MAX + 1], 1, 1),
        Err(StatsError::Cores { .. })
    ));
    let (_, fd) = SharedWords::create("zeros", bytes_for(1)).unwrap();
    assert!(matches!(
        StatsView::open(fd),
        Err(StatsError::NotStatistics)
    ));
    let (_, fd) = SharedWords::create("short", 4096).unwrap();
    assert!(matches!(
        StatsView::open(fd),
        Err(StatsError::Memory(MemoryError::Size { .. }))
    ));
}
