use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn at(micros: u64) -> Instant {
    Instant::from_micros(micros)
}

fn expired(wheel: &mut TimerWheel<u32>, now: Instant) -> Vec<u32> {
    let mut keys = Vec::new();
    assert!(wheel.expire(now, usize::MAX, |key| keys.push(key)));
    keys
}

#[test]
fn never_early_and_a_tick_late_at_most() {
    for deadline in (0..20_000_000).step_by(9_973) {
        let mut wheel = TimerWheel::new(Instant::ZERO, 1);
        wheel.schedule(7, at(deadline));
        if deadline > 0 {
            assert_eq!(expired(&mut wheel, at(deadline - 1)), [], "{deadline}");
        }
        assert_eq!(
            expired(&mut wheel, at(deadline + TIMER_TICK_MICROS - 1)),
            [7],
            "{deadline}"
        );
        assert!(wheel.is_empty());
        assert_eq!(wheel.next_timeout(), None);
    }
}

#[test]
fn what_is_past_is_due_at_once() {
    let mut wheel = TimerWheel::new(Instant::from_secs(100), 4);
    wheel.schedule(1, Instant::ZERO);
    assert!(wheel.next_timeout().unwrap() <= Instant::from_secs(100));
    assert_eq!(expired(&mut wheel, Instant::from_secs(100)), [1]);
}

#[test]
fn the_farthest_moment_is_not_lost() {
    let mut wheel = TimerWheel::new(Instant::ZERO, 4);
    let id = wheel.schedule(1, Instant::MAX);
    assert_eq!(expired(&mut wheel, Instant::from_secs(1 << 40)), []);
    assert!(wheel.next_timeout().unwrap() > Instant::from_secs(1 << 40));
    assert_eq!(wheel.cancel(id), Some(1));
}

#[test]
fn cancelled_moved_and_stale() {
    let mut wheel = TimerWheel::new(Instant::ZERO, 4);
    let one = wheel.schedule(1, Instant::from_secs(1));
    let two = wheel.schedule(2, Instant::from_secs(2));
    assert_eq!(wheel.len(), 2);
    assert_eq!(wheel.cancel(one), Some(1));
    assert_eq!(wheel.cancel(one), None);
    let three = wheel.schedule(3, Instant::from_secs(3));
    assert!(!wheel.reschedule(one, Instant::ZERO));
    assert!(wheel.reschedule(two, Instant::from_secs(4)));
    assert!(wheel.reschedule(two, Instant::from_secs(4)));
    assert_eq!(expired(&mut wheel, Instant::from_secs(3)), [3]);
    assert_eq!(wheel.cancel(three), None);
    assert_eq!(expired(&mut wheel, Instant::from_secs(5)), [2]);
}

#[test]
fn time_that_steps_back_fires_nothing() {
    let mut wheel = TimerWheel::new(Instant::ZERO, 4);
    assert_eq!(expired(&mut wheel, Instant::from_secs(10)), []);
    wheel.schedule(1, Instant::from_secs(11));
    assert_eq!(expired(&mut wheel, Instant::from_secs(5)), []);
    assert_eq!(expired(&mut wheel, Instant::from_secs(11)), [1]);
}

#[test]
fn timers_set_while_firing_are_seen() {
    let mut wheel = TimerWheel::new(Instant::ZERO, 4);
    wheel.schedule(3, Instant::from_secs(1));
    let mut fired = Vec::new();
    while let Some(left) = wheel.pop_expired(Instant::from_secs(10)) {
        fired.push(left);
        if left > 0 {
            wheel.schedule(left - 1, Instant::from_secs(2));
        }
    }
    assert_eq!(fired, [3, 2, 1, 0]);
}

#[test]
fn memory_for_the_capacity_is_taken_once() {
    let mut wheel = TimerWheel::new(Instant::ZERO, 100);
    let place = wheel.entries.as_ptr();
    for round in 0..1000 {
        for key in 0..100 {
            wheel.schedule(key, Instant::from_millis(round * 10 + u64::from(key)));
        }
        assert_eq!(
            expired(&mut wheel, Instant::from_millis(round * 10 + 100)).len(),
            100
        );
    }
    assert_eq!(wheel.entries.as_ptr(), place);
}

/// Cost independent of flows: how often an entry is touched is bounded by the levels, not by how many there are.
#[test]
fn a_million_timers_cost_what_one_costs() {
    let mut wheel = TimerWheel::new(Instant::ZERO, 1_000_000);
    for key in 0..1_000_000u32 {
        wheel.schedule(
            key,
            Instant::from_secs(7_200) + core::time::Duration::from_micros(u64::from(key) * 97),
        );
    }
    let id = wheel.schedule(7, Instant::from_millis(40));
    // A slot that is far away is not walked through to find the next one.
    assert_eq!(wheel.next_slot().map(|(level, ..)| level), Some(1));
    assert_eq!(wheel.cancel(id), Some(7));
    let last = Instant::from_secs(7_200) + core::time::Duration::from_micros(1_000_000 * 97);
    let mut next = 0;
    while let Some(key) = wheel.pop_expired(last) {
        // They were scheduled in the order of their deadlines, and several share a tick.
        assert_eq!(key, next);
        next += 1;
    }
    assert_eq!(next, 1_000_000);
}

#[test]
fn each_timer_of_a_slot_knows_one_some_places_behind_it() {
    const TIMERS: u32 = 50;
    let mut wheel = TimerWheel::new(Instant::ZERO, 64);
    let due = Instant::from_secs(1);
    let ids: Vec<_> = (0..TIMERS).map(|key| wheel.schedule(key, due)).collect();
    for index in 0..TIMERS {
        let ahead = wheel.entry(index).unwrap().ahead;
        let there = index + TIMERS_AHEAD;
        assert_eq!(ahead, if there < TIMERS { there } else { NONE });
    }
    // The last ones go, behind the one that is to know the next: it knows those that come, and so do they in their turn.
    for id in ids.iter().skip((TIMERS - TIMERS_AHEAD) as usize + 1) {
        assert!(wheel.cancel(*id).is_some());
    }
    for key in TIMERS..2 * TIMERS {
        wheel.schedule(key, due);
    }
    let after = |index: &u32| wheel.entry(*index).map(|entry| entry.next);
    let order: Vec<_> = core::iter::successors(Some(0), after)
        .take_while(|index| *index != NONE)
        .collect();
    let kept = (TIMERS - TIMERS_AHEAD) as usize + 1;
    assert_eq!(order.len(), kept + TIMERS as usize);
    for (place, index) in order.iter().enumerate().skip(kept) {
        let ahead = wheel.entry(*index).unwrap().ahead;
        let there = order.get(place + TIMERS_AHEAD as usize).copied();
        assert_eq!(ahead, there.unwrap_or(NONE), "{place}");
    }
    assert_eq!(expired(&mut wheel, due).len(), order.len());
}

#[test]
fn a_standing_is_what_it_was_made_of() {
    for place in [
        Place::Free,
        Place::Due,
        Place::Slot { level: 0, slot: 0 },
        Place::Slot { level: 8, slot: 63 },
    ] {
        for tick in [0, 1, TICK_MAX] {
            let standing = Standing::new(tick, place);
            assert_eq!((standing.tick(), standing.place()), (tick, place));
        }
    }
}

/// They all lie in one slot of a high level, and all are due when it begins.
#[test]
fn d126_a_million_timers_due_at_once_are_worked_off_in_pieces() {
    const PIECE: usize = 512;
    let mut wheel = TimerWheel::new(Instant::ZERO, 1_000_000);
    for key in 0..1_000_000u32 {
        wheel.schedule(key, Instant::from_secs(3_600));
    }
    let now = Instant::from_secs(3_600);
    let (mut fired, mut pieces) = (0, 0);
    loop {
        let before = fired;
        let done = wheel.expire(now, PIECE, |_| fired += 1);
        assert!(fired - before <= PIECE);
        pieces += 1;
        if done {
            break;
        }
        assert!(wheel.next_timeout().unwrap() <= now, "there is more to do");
        // What is scheduled and cancelled meanwhile finds the wheel in order.
        let other = wheel.schedule(7, now + core::time::Duration::from_millis(3));
        assert!(wheel.reschedule(other, now + core::time::Duration::from_secs(90)));
        assert_eq!(wheel.cancel(other), Some(7));
    }
    assert_eq!(fired, 1_000_000);
    assert!(wheel.is_empty());
    // An hour is on the fourth level: each went down one level at a time, and fired.
    assert!(pieces * PIECE <= 1_000_000 * (4 + 1), "{pieces}");
}

#[test]
fn a_timer_taken_back_while_its_slot_is_worked_off_does_not_fire() {
    let mut wheel = TimerWheel::new(Instant::ZERO, 10);
    let due = Instant::from_secs(3_600);
    let ids: Vec<TimerId> = (0..10).map(|key| wheel.schedule(key, due)).collect();
    let mut fired = Vec::new();
    while wheel.draining.is_none() {
        assert!(!wheel.expire(due, 1, |key| fired.push(key)));
    }
    assert!(!wheel.expire(due, 3, |key| fired.push(key)));
    assert_eq!(wheel.cancel(ids[9]), Some(9));
    assert_eq!(wheel.cancel(ids[0]), Some(0));
    assert!(wheel.reschedule(ids[5], due + core::time::Duration::from_secs(1)));
    assert!(wheel.expire(due, usize::MAX, |key| fired.push(key)));
    assert_eq!(fired, [1, 2, 3, 4, 6, 7, 8]);
    assert_eq!(
        expired(&mut wheel, due + core::time::Duration::from_secs(1)),
        [5]
    );
}

#[derive(Clone, Debug)]
enum Step {
    Schedule(u64),
    Cancel(proptest::sample::Index),
    Move(proptest::sample::Index, u64),
    Advance(u64),
    AdvanceToNext,
}

fn delay() -> impl Strategy<Value = u64> {
    // Every level is met: a delay of any number of bits.
    (0u32..45, any::<u64>()).prop_map(|(bits, number)| number & ((1 << bits) - 1))
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(
        prop_oneof![
            5 => delay().prop_map(Step::Schedule),
            1 => any::<proptest::sample::Index>().prop_map(Step::Cancel),
            2 => (any::<proptest::sample::Index>(), delay()).prop_map(|(which, delay)| Step::Move(which, delay)),
            2 => delay().prop_map(Step::Advance),
            2 => Just(Step::AdvanceToNext),
        ],
        0..200,
    )
}

proptest! {
    #[test]
    fn does_what_a_sorted_map_does(start in delay(), steps in steps()) {
        let mut now = start;
        let mut wheel = TimerWheel::new(at(now), 0);
        // By tick and name.
        let mut model: BTreeMap<(u64, u32), TimerId> = BTreeMap::new();
        let mut names = 0..;
        for step in steps {
            match step {
                Step::Schedule(delay) => {
                    let name = names.next().unwrap();
                    let id = wheel.schedule(name, at(now + delay));
                    model.insert(((now + delay).div_ceil(TIMER_TICK_MICROS), name), id);
                }
                Step::Cancel(which) if !model.is_empty() => {
                    let (key, id) = model.iter().nth(which.index(model.len())).map(|(key, id)| (*key, *id)).unwrap();
                    model.remove(&key);
                    prop_assert_eq!(wheel.cancel(id), Some(key.1));
                }
                Step::Move(which, delay) if !model.is_empty() => {
                    let (key, id) = model.iter().nth(which.index(model.len())).map(|(key, id)| (*key, *id)).unwrap();
                    model.remove(&key);
                    prop_assert!(wheel.reschedule(id, at(now + delay)));
                    model.insert(((now + delay).div_ceil(TIMER_TICK_MICROS), key.1), id);
                }
                Step::Cancel(_) | Step::Move(..) => {}
                Step::Advance(_) | Step::AdvanceToNext => {
                    now = match step {
                        Step::Advance(by) => now + by,
                        _ => wheel.next_timeout().map_or(now, |next| next.micros().max(now)),
                    };
                    let mut fired = Vec::new();
                    let mut ticks = Vec::new();
                    let mut names_fired = Vec::new();
                    // A step at a time is the same as all at once.
                    while !wheel.expire(at(now), 1, |name| names_fired.push(name)) {}
                    for name in names_fired {
                        let tick = model.keys().find(|(_, other)| *other == name).unwrap().0;
                        model.remove(&(tick, name));
                        fired.push(name);
                        ticks.push(tick);
                    }
                    prop_assert!(ticks.iter().all(|tick| tick * TIMER_TICK_MICROS <= now), "early");
                    prop_assert!(ticks.is_sorted(), "out of order");
                    prop_assert!(
                        model.first_key_value().is_none_or(|((tick, _), _)| *tick > now / TIMER_TICK_MICROS),
                        "late"
                    );
                }
            }
            prop_assert_eq!(wheel.len(), model.len());
            match (wheel.next_timeout(), model.first_key_value()) {
                (None, None) => {}
                (Some(next), Some(((tick, _), _))) => {
                    prop_assert!(next.micros() <= (tick * TIMER_TICK_MICROS).max(now), "would sleep too long");
                }
                (next, first) => prop_assert!(false, "{next:?} {first:?}"),
            }
        }
    }
}
