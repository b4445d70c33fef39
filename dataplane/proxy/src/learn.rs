//! What earlier flows taught: destinations that are not to be inspected, with reason and expiry.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use std::collections::{HashMap, VecDeque};

use sluice_packet::Instant;
use sluice_policy::Learned;

use crate::limits::{LEARNED_MAX, LEARNED_TTL, PINNING_REFUSALS};

/// Where something was learned: a server as the client named it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Destination {
    pub(crate) server: SocketAddr,
    pub(crate) sni: Option<String>,
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sni {
            Some(name) => write!(f, "{name} ({})", self.server),
            None => self.server.fmt(f),
        }
    }
}

/// Pinning is a property of one client's software, a client-certificate request one of the origin.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    destination: Destination,
    client: Option<IpAddr>,
}

#[derive(Debug)]
struct Lesson {
    refusals: u8,
    learned: Option<Learned>,
    expires: Instant,
}

/// A core's lessons, at most [`LEARNED_MAX`], the oldest forgotten first.
#[derive(Debug, Default)]
pub(crate) struct Lessons {
    lessons: HashMap<Key, Lesson>,
    order: VecDeque<Key>,
}

impl Lessons {
    /// What is known about a destination for this client.
    pub(crate) fn recall(
        &self,
        destination: &Destination,
        client: IpAddr,
        now: Instant,
    ) -> Option<Learned> {
        if self.lessons.is_empty() {
            return None;
        }
        [None, Some(client)].into_iter().find_map(|client| {
            let lesson = self.lessons.get(&Key {
                destination: destination.clone(),
                client,
            })?;
            lesson.learned.filter(|_| lesson.expires > now)
        })
    }

    /// The origin asked for a client certificate (RFC 8446 section 4.3.2), which an interceptor cannot present. True when
    /// that is news.
    pub(crate) fn client_certificate_requested(
        &mut self,
        destination: Destination,
        now: Instant,
    ) -> bool {
        let lesson = self.lesson(
            Key {
                destination,
                client: None,
            },
            now,
        );
        lesson.expires = now + LEARNED_TTL;
        lesson.learned.replace(Learned::ClientCertificate).is_none()
    }

    /// A client refused a leaf that was signed by the trusted CA: after [`PINNING_REFUSALS`] it is taken for pinning.
    /// True when it has just been.
    pub(crate) fn leaf_refused(
        &mut self,
        destination: Destination,
        client: IpAddr,
        now: Instant,
    ) -> bool {
        let lesson = self.lesson(
            Key {
                destination,
                client: Some(client),
            },
            now,
        );
        lesson.refusals = lesson.refusals.saturating_add(1);
        lesson.expires = now + LEARNED_TTL;
        lesson.refusals >= PINNING_REFUSALS && lesson.learned.replace(Learned::Pinning).is_none()
    }

    /// A client accepted its leaf, so what it refused before was not pinning.
    pub(crate) fn leaf_accepted(&mut self, destination: &Destination, client: IpAddr) {
        if self.lessons.is_empty() {
            return;
        }
        let key = Key {
            destination: destination.clone(),
            client: Some(client),
        };
        if self.lessons.remove(&key).is_some() {
            self.order.retain(|known| *known != key);
        }
    }

    fn lesson(&mut self, key: Key, now: Instant) -> &mut Lesson {
        let expired = self
            .lessons
            .get(&key)
            .is_some_and(|lesson| lesson.expires <= now);
        if expired {
            self.lessons.remove(&key);
            self.order.retain(|known| *known != key);
        }
        if !self.lessons.contains_key(&key) {
            if self.order.len() >= LEARNED_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.lessons.remove(&oldest);
            }
            self.order.push_back(key.clone());
        }
        self.lessons.entry(key).or_insert(Lesson {
            refusals: 0,
            learned: None,
            expires: now,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn destination(name: &str) -> Destination {
        Destination {
            server: "10.0.0.1:443".parse().unwrap(),
            sni: Some(name.to_owned()),
        }
    }

    const CLIENT: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(10, 0, 0, 9));
    const OTHER: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(10, 0, 0, 10));

    #[test]
    fn a_client_certificate_request_holds_for_every_client_until_it_expires() {
        let mut lessons = Lessons::default();
        assert!(lessons.client_certificate_requested(destination("a"), Instant::ZERO));
        assert!(
            !lessons.client_certificate_requested(destination("a"), Instant::ZERO),
            "no news"
        );
        for client in [CLIENT, OTHER] {
            let known = lessons.recall(&destination("a"), client, Instant::from_secs(1));
            assert_eq!(known, Some(Learned::ClientCertificate));
        }
        assert_eq!(
            lessons.recall(&destination("b"), CLIENT, Instant::from_secs(1)),
            None
        );
        assert_eq!(
            lessons.recall(&destination("a"), CLIENT, Instant::ZERO + LEARNED_TTL),
            None
        );
    }

    #[test]
    fn pinning_needs_repeated_refusals_of_one_client() {
        let mut lessons = Lessons::default();
        for _ in 1..PINNING_REFUSALS {
            lessons.leaf_refused(destination("a"), CLIENT, Instant::ZERO);
        }
        assert_eq!(
            lessons.recall(&destination("a"), CLIENT, Instant::ZERO),
            None
        );
        lessons.leaf_refused(destination("a"), CLIENT, Instant::ZERO);
        assert_eq!(
            lessons.recall(&destination("a"), CLIENT, Instant::ZERO),
            Some(Learned::Pinning)
        );
        assert_eq!(
            lessons.recall(&destination("a"), OTHER, Instant::ZERO),
            None
        );
    }

    #[test]
    fn an_accepted_leaf_unlearns_the_refusals() {
        let mut lessons = Lessons::default();
        for _ in 1..PINNING_REFUSALS {
            lessons.leaf_refused(destination("a"), CLIENT, Instant::ZERO);
        }
        lessons.leaf_accepted(&destination("a"), CLIENT);
        lessons.leaf_refused(destination("a"), CLIENT, Instant::ZERO);
        assert_eq!(
            lessons.recall(&destination("a"), CLIENT, Instant::ZERO),
            None
        );
    }

    #[test]
    fn lessons_are_bounded_and_the_oldest_goes_first() {
        let mut lessons = Lessons::default();
        for number in 0..=LEARNED_MAX {
            let at = Instant::ZERO + Duration::from_micros(number as u64);
            lessons.client_certificate_requested(destination(&number.to_string()), at);
        }
        assert_eq!(lessons.lessons.len(), LEARNED_MAX);
        assert_eq!(
            lessons.recall(&destination("0"), CLIENT, Instant::ZERO),
            None
        );
        assert!(
            lessons
                .recall(&destination("1"), CLIENT, Instant::ZERO)
                .is_some()
        );
    }
}
