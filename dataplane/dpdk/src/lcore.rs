//! Work on the EAL's pinned threads.

use core::ffi::{c_int, c_void};
use core::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError};

use crate::eal::Eal;
use crate::error::{DpdkError, Operation};

/// DPDK's number for one of its threads.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LcoreId(pub u16);

impl fmt::Display for LcoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Work under way on an lcore.
#[derive(Debug)]
pub struct Lcore<T> {
    id: LcoreId,
    answer: Arc<Mutex<Option<T>>>,
}

/// Why work was not started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// The EAL has no such lcore, or it is the main one, which runs the caller.
    #[error(
        "lcore {lcore} is not a worker: launch on one that the EAL was started with, other than the main one"
    )]
    NotAWorker {
        /// The lcore.
        lcore: LcoreId,
    },
    /// DPDK refused.
    #[error(transparent)]
    Dpdk(#[from] DpdkError),
}

/// The work ended by a panic.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the work on lcore {lcore} panicked: this is a defect, report it with the message printed above"
)]
pub struct Panicked {
    /// The lcore.
    pub lcore: LcoreId,
}

struct Job<F, T> {
    work: F,
    answer: Arc<Mutex<Option<T>>>,
}

impl<T: Send + 'static> Lcore<T> {
    /// Starts `work` on the idle worker `id`.
    ///
    /// # Errors
    /// The lcore is not a worker, or is at work already.
    pub fn launch<F>(eal: &Eal, id: LcoreId, work: F) -> Result<Self, LaunchError>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        if !eal.workers().contains(&id) {
            return Err(LaunchError::NotAWorker { lcore: id });
        }
        let answer = Arc::new(Mutex::new(None));
        let job = Box::into_raw(Box::new(Job {
            work,
            answer: Arc::clone(&answer),
        }));
        // SAFETY: `run::<F, T>` expects the job it is given, exactly once; the worker exists, as was checked above.
        let code = unsafe {
            dpdk_sys::rte_eal_remote_launch(Some(run::<F, T>), job.cast(), u32::from(id.0))
        };
        if code != 0 {
            // SAFETY: the launch was refused, so nobody else has the job.
            drop(unsafe { Box::from_raw(job) });
            return Err(DpdkError::from_code(Operation::LaunchLcore, &id.to_string(), code).into());
        }
        Ok(Self { id, answer })
    }

    /// The lcore.
    #[must_use]
    pub fn id(&self) -> LcoreId {
        self.id
    }

    /// True once the work has ended and [`Lcore::wait`] will not wait.
    #[must_use]
    pub fn finished(&self) -> bool {
        // SAFETY: the lcore exists, as `launch` checked.
        let state = unsafe { dpdk_sys::rte_eal_get_lcore_state(u32::from(self.id.0)) };
        state == dpdk_sys::WAIT
    }

    /// Waits, spinning, for the work to end, and gives its answer.
    ///
    /// # Errors
    /// The work panicked.
    pub fn wait(self) -> Result<T, Panicked> {
        // SAFETY: the lcore exists, as `launch` checked.
        unsafe { dpdk_sys::rte_eal_wait_lcore(u32::from(self.id.0)) };
        let answer = self
            .answer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        answer.ok_or(Panicked { lcore: self.id })
    }
}

/// What the worker thread calls: C on both sides, so a panic must not pass.
unsafe extern "C" fn run<F: FnOnce() -> T, T>(argument: *mut c_void) -> c_int {
    // SAFETY: `launch` passed a job of this very type, and passed it once.
    let job = unsafe { Box::from_raw(argument.cast::<Job<F, T>>()) };
    let Job { work, answer } = *job;
    match panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(value) => {
            *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
            0
        }
        Err(_) => -1,
    }
}
