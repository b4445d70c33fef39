//! The calling thread's own generator.

use std::cell::RefCell;

use crate::{CoreRandom, RandomError, Source};

thread_local! {
    static THREAD: RefCell<Option<CoreRandom>> = const { RefCell::new(None) };
}

/// Fills `bytes` from the calling thread's generator, which is made at the first call.
///
/// # Errors
/// When the thread's generator cannot be seeded; `bytes` is then unchanged.
pub fn fill(bytes: &mut [u8]) -> Result<(), RandomError> {
    with_thread_random(|random| random.fill(bytes))
}

/// What seeds the calling thread's generator.
///
/// # Errors
/// When the thread's generator cannot be seeded.
pub fn source() -> Result<Source, RandomError> {
    with_thread_random(|random| random.source())
}

/// Lends the calling thread's generator to `work`.
///
/// # Errors
/// When the thread's generator cannot be seeded, or `work` was called from inside another such call.
pub fn with_thread_random<T>(work: impl FnOnce(&mut CoreRandom) -> T) -> Result<T, RandomError> {
    THREAD
        .try_with(|cell| {
            let mut slot = cell.try_borrow_mut().map_err(|_| RandomError::InUse)?;
            let random = match slot.as_mut() {
                Some(random) => random,
                None => slot.insert(CoreRandom::new()?),
            };
            Ok(work(random))
        })
        .map_err(|_| RandomError::ThreadEnding)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_threads_draw_different_bytes() {
        let draw = || {
            let mut bytes = [0; 32];
            fill(&mut bytes).unwrap();
            bytes
        };
        let other = std::thread::spawn(draw).join().unwrap();
        assert_ne!(draw(), other);
    }

    #[test]
    fn a_nested_call_is_refused_and_leaves_the_generator_usable() {
        let nested = with_thread_random(|_| fill(&mut [0; 4])).unwrap();
        assert!(matches!(nested, Err(RandomError::InUse)));
        assert!(fill(&mut [0; 4]).is_ok());
    }
}
