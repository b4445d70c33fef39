//! Verdicts that need not be found again: the same chain for the same name, until a date of it passes.
//!
//! Each thread has its own, so that no core waits for another. An entry belongs to one trust store; a new configuration brings
//! new stores, and what was cached for old ones ages out. The signature over the handshake is no part of a verdict and
//! is checked every time.

use std::cell::RefCell;
use std::collections::HashMap;

use rustls::pki_types::ServerName;
use sha2::{Digest, Sha256};
use sluice_telemetry::OriginVerdict;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::{Question, judge, unix_s};
use crate::limits::VERDICT_CACHE_HALF_ENTRIES_MAX;

type Key = [u8; 32];

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::new(Cache::default());
}

/// The verdict of [`judge`], found again or remembered.
pub(crate) fn judge_cached(question: &Question<'_>) -> OriginVerdict {
    let key = key(question);
    let now_unix_s = question.now_unix_s;
    if let Ok(Some(verdict)) = CACHE.try_with(|cache| cache.borrow_mut().find(&key, now_unix_s)) {
        return verdict;
    }
    let verdict = judge(question);
    let Some((from_unix_s, until_unix_s)) = constant_between(question) else {
        return verdict;
    };
    let entry = Entry {
        verdict,
        from_unix_s,
        until_unix_s,
    };
    // A thread that is ending has no cache any more, and needs none.
    let _kept = CACHE.try_with(|cache| cache.borrow_mut().keep(key, entry));
    verdict
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    verdict: OriginVerdict,
    from_unix_s: u64,
    /// First second at which the verdict may be another.
    until_unix_s: u64,
}

/// Two halves: when the young one is full the old one is forgotten and they change places. What is in use moves on to the young.
#[derive(Debug, Default)]
struct Cache {
    young: HashMap<Key, Entry>,
    old: HashMap<Key, Entry>,
}

impl Cache {
    fn find(&mut self, key: &Key, now_unix_s: u64) -> Option<OriginVerdict> {
        let young = self.young.get(key).copied();
        let entry = young.or_else(|| self.old.get(key).copied())?;
        if !(entry.from_unix_s..entry.until_unix_s).contains(&now_unix_s) {
            return None;
        }
        if young.is_none() {
            self.keep(*key, entry);
        }
        Some(entry.verdict)
    }

    fn keep(&mut self, key: Key, entry: Entry) {
        if self.young.len() >= VERDICT_CACHE_HALF_ENTRIES_MAX {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(key, entry);
    }
}

/// Everything but the time that a verdict depends on.
fn key(question: &Question<'_>) -> Key {
    let mut hash = Sha256::new();
    hash.update(question.trust.id().to_le_bytes());
    hash.update(question.minimum_key_bits.to_le_bytes());
    match question.name {
        ServerName::DnsName(name) => {
            let name = name.as_ref().to_ascii_lowercase();
            hash.update([1]);
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
        }
        // An address is written one way only; other kinds of name do not exist.
        other => {
            let name = other.to_str();
            hash.update([2]);
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name.as_bytes());
        }
    }
    for certificate in std::iter::once(question.leaf).chain(question.intermediates) {
        hash.update((certificate.len() as u64).to_le_bytes());
        hash.update(certificate);
    }
    hash.finalize().into()
}

/// The span around now in which no date of the chain or of the operator's own authorities passes. `None` when the chain
/// cannot be read, which is found again quickly.
fn constant_between(question: &Question<'_>) -> Option<(u64, u64)> {
    let (mut from, mut until) = (0, u64::MAX);
    let mut date = |changes_at: u64| {
        if changes_at <= question.now_unix_s {
            from = from.max(changes_at);
        } else {
            until = until.min(changes_at);
        }
    };
    for certificate in std::iter::once(question.leaf).chain(question.intermediates) {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        date(unix_s(parsed.validity().not_before.timestamp()));
        date(unix_s(parsed.validity().not_after.timestamp()).saturating_add(1));
    }
    for validity in question.trust.own_validities() {
        date(validity.not_before_unix_s);
        date(validity.not_after_unix_s.saturating_add(1));
    }
    Some((from, until))
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;

    use super::*;
    use crate::provider;
    use crate::testing::{Authority, NOW, leaf_params};

    const HOST: &str = "www.site.example";

    fn verdict(
        leaf: &CertificateDer<'_>,
        name: &str,
        root: &crate::TrustStore,
        now_unix_s: u64,
    ) -> OriginVerdict {
        judge_cached(&Question {
            leaf,
            intermediates: &[],
            name: &ServerName::try_from(name).unwrap(),
            trust: root,
            algorithms: provider::verification_algorithms().all,
            minimum_key_bits: 2048,
            now_unix_s,
        })
    }

    fn entries() -> usize {
        CACHE.with_borrow(|cache| cache.young.len() + cache.old.len())
    }

    #[test]
    fn the_same_question_is_answered_from_memory() {
        let root = Authority::root("root");
        let (leaf, trust) = (root.leaf(&leaf_params(&[HOST])), root.trust());
        for _ in 0..3 {
            assert_eq!(verdict(&leaf, HOST, &trust, NOW), OriginVerdict::Trusted);
            assert_eq!(entries(), 1);
        }
        assert_eq!(
            verdict(&leaf, "WWW.site.example", &trust, NOW),
            OriginVerdict::Trusted
        );
        assert_eq!(entries(), 1, "case makes no other name");
    }

    #[test]
    fn c08_a_remembered_verdict_ends_with_the_dates() {
        let root = Authority::root("root");
        let (leaf, trust) = (root.leaf(&leaf_params(&[HOST])), root.trust());
        let (begins, ends) = (1_735_689_600, 2_051_222_400);
        for (moment, expected) in [
            (ends, OriginVerdict::Trusted),
            (ends + 1, OriginVerdict::Expired),
            (NOW, OriginVerdict::Trusted),
            (begins, OriginVerdict::Trusted),
            (begins - 1, OriginVerdict::NotYetValid),
        ] {
            assert_eq!(
                verdict(&leaf, HOST, &trust, moment),
                expected,
                "at {moment}"
            );
        }
    }

    #[test]
    fn c41_a_bad_certificate_after_a_good_one_of_the_same_name_is_refused() {
        let (root, stranger) = (Authority::root("root"), Authority::root("stranger"));
        let trust = root.trust();
        assert_eq!(
            verdict(&root.leaf(&leaf_params(&[HOST])), HOST, &trust, NOW),
            OriginVerdict::Trusted
        );
        let bad = stranger.leaf(&leaf_params(&[HOST]));
        assert_eq!(
            verdict(&bad, HOST, &trust, NOW),
            OriginVerdict::UnknownIssuer
        );
    }

    #[test]
    fn another_name_and_another_store_are_other_questions() {
        let (root, stranger) = (Authority::root("root"), Authority::root("stranger"));
        let leaf = root.leaf(&leaf_params(&[HOST]));
        assert_eq!(
            verdict(&leaf, HOST, &root.trust(), NOW),
            OriginVerdict::Trusted
        );
        assert_eq!(
            verdict(&leaf, "other.example", &root.trust(), NOW),
            OriginVerdict::NameMismatch
        );
        assert_eq!(
            verdict(&leaf, HOST, &stranger.trust(), NOW),
            OriginVerdict::UnknownIssuer
        );
    }

    #[test]
    fn it_is_bounded_and_keeps_what_is_in_use() {
        let mut cache = Cache::default();
        let entry = Entry {
            verdict: OriginVerdict::Trusted,
            from_unix_s: 0,
            until_unix_s: u64::MAX,
        };
        let key = |number: usize| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&number.to_le_bytes());
            key
        };
        for number in 0..10 * VERDICT_CACHE_HALF_ENTRIES_MAX {
            cache.keep(key(number), entry);
            assert!(cache.find(&key(0), NOW).is_some());
            assert!(cache.young.len() + cache.old.len() <= 2 * VERDICT_CACHE_HALF_ENTRIES_MAX);
        }
    }
}
