//! Which CPUs are polled, and which are left for everything else.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The CPUs the process may use, less those that poll. Taken before DPDK pins the main thread.
#[derive(Clone)]
pub(crate) struct Affinity {
    others: CpuSet,
}

impl Affinity {
    /// From the calling thread's affinity and the configured cores.
    pub(crate) fn new(polling: &[u16], main: u16) -> Self {
        let mut others = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
        for core in polling.iter().map(|core| usize::from(*core)) {
            if core < CpuSet::MAX_CPU {
                others.unset(core);
            }
        }
        if others.count() == 0 && usize::from(main) < CpuSet::MAX_CPU {
            // Every CPU polls: helpers share the main one.
            others.set(usize::from(main));
        }
        Self { others }
    }

    /// CPUs for helper threads.
    pub(crate) fn helper_cpus(&self) -> usize {
        usize::try_from(self.others.count()).unwrap_or(1)
    }

    /// Lets the calling thread run anywhere but on the polling cores.
    pub(crate) fn leave_polling_cores(&self) {
        // On failure the thread stays on the main CPU, where it was started.
        let _ = sched_setaffinity(None, &self.others);
    }
}

impl core::fmt::Debug for Affinity {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Affinity")
            .field("others", &self.others.count())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helpers_leave_the_polling_cores_if_there_are_others() {
        let all = sched_getaffinity(None).expect("an affinity").count();
        let usable: Vec<u16> = (0..1_024)
            .filter(|cpu| {
                sched_getaffinity(None)
                    .expect("an affinity")
                    .is_set(usize::from(*cpu))
            })
            .collect();
        let one = Affinity::new(&usable[..1], usable[0]);
        assert_eq!(
            one.helper_cpus(),
            if all > 1 { all as usize - 1 } else { 1 }
        );
        let none_left = Affinity::new(&usable, usable[0]);
        assert_eq!(none_left.helper_cpus(), 1);
    }
}
