//! Questions to the data plane and the threads that wait for the answers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use sluice_shm::link::{ControlLink, LinkError, Query, ReplyBody, ToDataplane};

/// A question was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueryError {
    #[error("the data plane has not answered for {} s; look at `sluice status` and at its own messages", .0.as_secs())]
    NoAnswer(Duration),
    #[error("the data plane is gone: {0}; try again when it is back")]
    Link(#[from] LinkError),
}

/// The questions that wait for an answer.
#[derive(Default)]
pub(crate) struct Queries {
    next: AtomicU64,
    waiting: Mutex<BTreeMap<u64, Sender<ReplyBody>>>,
}

impl Queries {
    /// Asks and waits for the answer, at most `timeout`.
    pub(crate) fn ask(
        &self,
        link: &ControlLink,
        query: Query,
        timeout: Duration,
    ) -> Result<ReplyBody, QueryError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = bounded(1);
        self.waiting().insert(id, sender);
        let sent = link.send(&ToDataplane::Query { id, query }, &[]);
        let answer = match sent {
            Ok(()) => receiver
                .recv_timeout(timeout)
                .map_err(|_| QueryError::NoAnswer(timeout)),
            Err(error) => Err(error.into()),
        };
        self.waiting().remove(&id);
        answer
    }

    /// An answer has come. One that nobody waits for any more is dropped.
    pub(crate) fn answered(&self, id: u64, body: ReplyBody) {
        if let Some(sender) = self.waiting().remove(&id) {
            // The asker gave up between the two lines; its answer is nobody's.
            let _ = sender.try_send(body);
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Sender<ReplyBody>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use sluice_shm::link::{DataplaneLink, ToControl};

    use super::*;

    #[test]
    fn answers_find_their_askers_whatever_their_order() {
        let (control, dataplane): (ControlLink, DataplaneLink) = ControlLink::pair().unwrap();
        let queries = Queries::default();
        std::thread::scope(|scope| {
            for limit in 0..2 {
                let (queries, control) = (&queries, &control);
                scope.spawn(move || {
                    let query = Query::Sessions { limit };
                    let body = queries.ask(control, query, Duration::from_secs(5)).unwrap();
                    assert_eq!(
                        body,
                        ReplyBody::Failed {
                            reason: format!("{limit}")
                        }
                    );
                });
            }
            let mut asked = Vec::new();
            for _ in 0..2 {
                match dataplane
                    .receive(Some(Duration::from_secs(5)))
                    .unwrap()
                    .unwrap()
                    .message
                {
                    ToDataplane::Query {
                        id,
                        query: Query::Sessions { limit },
                    } => asked.push((id, limit)),
                    other => panic!("{other:?}"),
                }
            }
            for (id, limit) in asked.into_iter().rev() {
                let body = ReplyBody::Failed {
                    reason: format!("{limit}"),
                };
                dataplane.send(&ToControl::Reply { id, body }, &[]).unwrap();
                if let ToControl::Reply { id, body } =
                    control.receive(None).unwrap().unwrap().message
                {
                    queries.answered(id, body);
                }
            }
        });
    }

    #[test]
    fn an_answer_that_does_not_come_is_given_up() {
        let (control, _dataplane) = ControlLink::pair().unwrap();
        let queries = Queries::default();
        let error = queries
            .ask(&control, Query::Ping, Duration::from_millis(10))
            .unwrap_err();
        assert!(matches!(error, QueryError::NoAnswer(_)));
        queries.answered(0, ReplyBody::Pong);
        assert!(queries.waiting().is_empty());
    }
}
