//! Helper threads: what takes too long for a polling core (an RSA signature) is done here and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use sluice_proxy::{ForgeDone, ForgeJob};
use sluice_random::{CoreRandom, RandomError};

use crate::affinity::Affinity;
use crate::failure::StartFailure;
use crate::limits::{FORGE_JOBS_MAX, HELPER_THREADS_MAX};

/// The threads, and the way to them. They end when every [`HelperPort`] is gone.
#[derive(Debug)]
pub(crate) struct Helpers {
    threads: Vec<JoinHandle<()>>,
    waiting: Receiver<(usize, ForgeJob)>,
    answered: Arc<AtomicU64>,
    answered_before: u64,
}

/// One core's way to the helpers.
#[derive(Debug)]
pub(crate) struct HelperPort {
    position: usize,
    jobs: Sender<(usize, ForgeJob)>,
    done: Receiver<ForgeDone>,
}

impl Helpers {
    /// Starts helper threads on CPUs that poll nothing, and gives each of `cores` cores its way to them.
    ///
    /// # Errors
    /// No thread, or no random bytes.
    pub(crate) fn start(
        cores: usize,
        affinity: &Affinity,
    ) -> Result<(Self, Vec<HelperPort>), StartFailure> {
        let (jobs, waiting) = bounded::<(usize, ForgeJob)>(FORGE_JOBS_MAX);
        // Never more answers under way than jobs were taken, which are bounded by the sessions of their core.
        let (answers, ports): (Vec<_>, Vec<_>) = (0..cores)
            .map(|position| {
                let (answer, done) = unbounded();
                (
                    answer,
                    HelperPort {
                        position,
                        jobs: jobs.clone(),
                        done,
                    },
                )
            })
            .unzip();
        let answered = Arc::new(AtomicU64::new(0));
        let count = affinity.helper_cpus().clamp(1, HELPER_THREADS_MAX);
        let mut threads = Vec::with_capacity(count);
        for number in 0..count {
            let random =
                CoreRandom::new().map_err(|error: RandomError| StartFailure::Random(error))?;
            let (waiting, answers, affinity) = (waiting.clone(), answers.clone(), affinity.clone());
            let answered = Arc::clone(&answered);
            let thread = thread::Builder::new()
                .name(format!("helper-{number}"))
                .spawn(move || {
                    affinity.leave_polling_cores();
                    forge_until_closed(&waiting, &answers, &answered, random);
                })
                .map_err(|error| StartFailure::System {
                    what: "starting a helper thread",
                    error,
                })?;
            threads.push(thread);
        }
        let helpers = Self {
            threads,
            waiting,
            answered,
            answered_before: 0,
        };
        Ok((helpers, ports))
    }

    /// True when jobs wait, and none has been answered since the last look.
    pub(crate) fn are_silent(&mut self) -> bool {
        let answered = self.answered.load(Ordering::Relaxed);
        let before = core::mem::replace(&mut self.answered_before, answered);
        answered == before && !self.waiting.is_empty()
    }

    /// Waits for the threads, whose cores are gone.
    pub(crate) fn join(self) {
        for thread in self.threads {
            // A helper that panicked has said so already.
            let _ = thread.join();
        }
    }
}

impl HelperPort {
    /// Hands a job over; gives it back when the queue is full.
    pub(crate) fn submit(&self, job: ForgeJob) -> Result<(), ForgeJob> {
        self.jobs
            .try_send((self.position, job))
            .map_err(|refused| refused.into_inner().1)
    }

    /// The next answer, if there is one.
    pub(crate) fn completed(&self) -> Option<ForgeDone> {
        self.done.try_recv().ok()
    }
}

fn forge_until_closed(
    waiting: &Receiver<(usize, ForgeJob)>,
    answers: &[Sender<ForgeDone>],
    answered: &AtomicU64,
    mut random: CoreRandom,
) {
    while let Ok((position, ForgeJob { id, request })) = waiting.recv() {
        let result = sluice_pki::forge(&request, &mut random);
        if let Some(answer) = answers.get(position) {
            // A core that is gone needs no answer.
            let _ = answer.send(ForgeDone { id, result });
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
}
