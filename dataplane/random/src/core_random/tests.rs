use super::*;
use crate::HealthFault;

/// Counts up through a mixer, and can be told to stick or to dry up after so many words.
struct Scripted {
    drawn: u64,
    sticks_after: u64,
    dries_after: u64,
}

impl Scripted {
    fn boxed(sticks_after: u64, dries_after: u64) -> Result<Box<dyn Entropy>, HardwareFault> {
        Ok(Box::new(Self {
            drawn: 0,
            sticks_after,
            dries_after,
        }))
    }
}

impl Entropy for Scripted {
    fn next_word(&mut self) -> Option<u64> {
        if self.drawn >= self.dries_after {
            return None;
        }
        self.drawn += 1;
        let index = self.drawn.min(self.sticks_after);
        let z = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Some(z ^ (z >> 27))
    }
}

/// Always the same bytes, so that only the other inputs make a difference.
struct Constant;

impl System for Constant {
    fn fill_seed(&mut self, seed: &mut [u8]) -> Result<(), SystemFault> {
        seed.fill(7);
        Ok(())
    }
}

/// Works `0` times, then refuses.
struct Refuses(u32);

impl System for Refuses {
    fn fill_seed(&mut self, seed: &mut [u8]) -> Result<(), SystemFault> {
        seed.fill(7);
        if self.0 == 0 {
            return Err(SystemFault(getrandom::Error::UNSUPPORTED));
        }
        self.0 -= 1;
        Ok(())
    }
}

#[test]
fn this_machine_gives_random_bytes_and_names_its_source() {
    let mut random = CoreRandom::new().unwrap();
    let (mut first, mut second) = ([0; 64], [0; 64]);
    random.fill(&mut first);
    random.fill(&mut second);
    assert_ne!(first, second);
    match random.source() {
        Source::Rdrand => assert!(Rdrand::detect().is_ok()),
        Source::System(fault) => assert_eq!(fault, HardwareFault::Absent),
        Source::Fixed => panic!("a live generator said it was fixed"),
    }
}

#[test]
fn f141_a_source_stuck_at_start_falls_back_to_the_system_and_says_so() {
    let random =
        CoreRandom::with_sources(Scripted::boxed(0, u64::MAX), Box::new(Constant)).unwrap();
    assert_eq!(
        random.source(),
        Source::System(HardwareFault::Unhealthy(HealthFault::Repetition))
    );
    assert!(
        random
            .source()
            .to_string()
            .contains("repetition count test")
    );
}

#[test]
fn f141_a_source_that_sticks_while_running_is_dropped_at_the_next_reseed() {
    let good_words = (STARTUP_WORDS + SEED_WORDS) as u64;
    let mut random =
        CoreRandom::with_sources(Scripted::boxed(good_words, u64::MAX), Box::new(Constant))
            .unwrap();
    assert_eq!(random.source(), Source::Rdrand);
    random.reseed().unwrap();
    assert_eq!(
        random.source(),
        Source::System(HardwareFault::Unhealthy(HealthFault::Repetition))
    );
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    assert_ne!(bytes, [0; 16]);
}

#[test]
fn a_source_without_data_is_named_exhausted() {
    let random =
        CoreRandom::with_sources(Scripted::boxed(u64::MAX, 10), Box::new(Constant)).unwrap();
    assert_eq!(random.source(), Source::System(HardwareFault::Exhausted));
}

#[test]
fn a_processor_without_rdrand_is_named_and_still_seeded() {
    let mut random =
        CoreRandom::with_sources(Err(HardwareFault::Absent), Box::new(Getrandom)).unwrap();
    assert_eq!(
        random.source().to_string(),
        "the operating system alone: this processor has no usable RDRAND"
    );
    assert_ne!(random.next_u64(), random.next_u64());
}

#[test]
fn the_hardware_words_decide_the_output_too() {
    let mut with =
        CoreRandom::with_sources(Scripted::boxed(u64::MAX, u64::MAX), Box::new(Constant)).unwrap();
    let mut without =
        CoreRandom::with_sources(Err(HardwareFault::Absent), Box::new(Constant)).unwrap();
    assert_ne!(with.next_u64(), without.next_u64());
}

#[test]
fn nothing_is_seeded_without_the_system() {
    let refused =
        CoreRandom::with_sources(Scripted::boxed(u64::MAX, u64::MAX), Box::new(Refuses(0)));
    assert!(matches!(refused, Err(RandomError::System(_))));
}

#[test]
fn it_reseeds_by_bytes() {
    let mut random =
        CoreRandom::with_sources(Scripted::boxed(u64::MAX, u64::MAX), Box::new(Constant)).unwrap();
    let mut chunk = vec![0; 1 << 16];
    let chunks = RESEED_INTERVAL_BYTES_MAX / chunk.len() as u64;
    (0..chunks).for_each(|_| random.fill(&mut chunk));
    assert_eq!(random.reseeds(), 1);
    random.fill(&mut chunk);
    assert_eq!(random.reseeds(), 2);
}

#[test]
fn it_reseeds_by_calls() {
    let mut random =
        CoreRandom::with_sources(Scripted::boxed(u64::MAX, u64::MAX), Box::new(Constant)).unwrap();
    (0..RESEED_INTERVAL_CALLS_MAX).for_each(|_| random.fill(&mut [0; 1]));
    assert_eq!(random.reseeds(), 1);
    random.fill(&mut [0; 1]);
    assert_eq!(random.reseeds(), 2);
}

#[test]
fn a_refused_reseed_is_tried_again_and_output_never_stops() {
    let mut random =
        CoreRandom::with_sources(Scripted::boxed(u64::MAX, u64::MAX), Box::new(Refuses(1)))
            .unwrap();
    assert!(random.reseed().is_err());
    assert_ne!(random.next_u64(), random.next_u64());
    assert_eq!(random.reseeds(), 1);
}

#[test]
fn a_forked_process_parts_from_its_parent() {
    let make = || {
        CoreRandom::with_sources(Scripted::boxed(u64::MAX, u64::MAX), Box::new(Constant)).unwrap()
    };
    let (mut parent, mut child) = (make(), make());
    assert_eq!(parent.next_u64(), child.next_u64());
    child.process = child.process.wrapping_add(1);
    assert_ne!(parent.next_u64(), child.next_u64());
    assert_eq!(child.reseeds(), 2);
}

#[test]
fn handed_out_bytes_and_old_keys_are_wiped() {
    let mut random = CoreRandom::fixed([3; KEY_BYTES]);
    let mut drawn = [0; 100];
    random.fill(&mut drawn);
    assert_ne!(*random.key, [3; KEY_BYTES]);
    assert!(
        random.output[..KEY_BYTES + 100]
            .iter()
            .all(|&byte| byte == 0)
    );
    assert!(
        random.output[KEY_BYTES + 100..]
            .iter()
            .any(|&byte| byte != 0)
    );
}

#[test]
fn a_fixed_seed_repeats_however_it_is_drawn() {
    let mut whole = vec![0; 5000];
    CoreRandom::fixed([9; KEY_BYTES]).fill(&mut whole);
    let mut random = CoreRandom::fixed([9; KEY_BYTES]);
    let mut pieces = vec![0; 5000];
    pieces.chunks_mut(7).for_each(|piece| random.fill(piece));
    assert_eq!(whole, pieces);
    assert_eq!(random.source(), Source::Fixed);
}

#[test]
fn bytes_are_spread_evenly() {
    let mut random = CoreRandom::fixed([1; KEY_BYTES]);
    let mut bytes = vec![0; 1 << 20];
    random.fill(&mut bytes);
    let mut counts = [0u32; 256];
    bytes
        .iter()
        .for_each(|&byte| counts[usize::from(byte)] += 1);
    // 4,096 expected each, standard deviation 64: six of them.
    assert!(counts.iter().all(|&count| count.abs_diff(4096) < 384));
}

#[test]
fn debug_shows_no_state() {
    assert_eq!(
        format!("{:?}", CoreRandom::fixed([1; KEY_BYTES])),
        "CoreRandom { source: Fixed, reseeds: 0, .. }"
    );
}
