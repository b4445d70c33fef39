use super::*;
use crate::test_support::{NOW, ca, issue, origin_params, random, request};
use rustls_pki_types::CertificateDer;

fn key(origin: u8) -> LeafCacheKey {
    LeafCacheKey {
        origin_sha256: [origin; 32],
        trusted: true,
        ca_sha256: [9; 32],
        generation: 1,
        server_name: None,
    }
}

fn leaf(bytes: usize) -> ForgedLeaf {
    ForgedLeaf {
        chain: vec![CertificateDer::from(vec![0; bytes])],
        sha256: [0; 32],
        origin_sha256: [0; 32],
        not_after_unix_s: NOW + 10_000,
        renew_at_unix_s: NOW + 5_000,
        bytes,
    }
}

/// Walks the list both ways and checks every sum the cache keeps.
fn check(cache: &LeafCache) {
    let (mut forward, mut at) = (Vec::new(), cache.newest);
    while let Some(index) = at {
        forward.push(index);
        at = cache.slot(index).unwrap().older;
    }
    let (mut backward, mut at) = (Vec::new(), cache.oldest);
    while let Some(index) = at {
        backward.push(index);
        at = cache.slot(index).unwrap().newer;
    }
    backward.reverse();
    assert_eq!(forward, backward);
    assert_eq!(forward.len(), cache.len());
    assert_eq!(cache.index.len(), cache.len() + cache.pending);
    let bytes: usize = forward
        .iter()
        .map(|&index| cache.slot(index).unwrap().bytes)
        .sum();
    assert_eq!(bytes, cache.bytes());
    assert!(bytes <= cache.bytes_max);
}

#[test]
fn one_flow_forges_and_the_others_wait() {
    let mut cache = LeafCache::default();
    assert_eq!(cache.lookup(&key(1), NOW), Lookup::Start);
    assert_eq!(cache.lookup(&key(1), NOW), Lookup::Pending);
    assert_eq!(cache.lookup(&key(2), NOW), Lookup::Start);
    let shared = cache.complete(key(1), leaf(1000));
    assert_eq!(cache.lookup(&key(1), NOW), Lookup::Hit(shared));
    assert_eq!(cache.pending(), 1);
    assert_eq!(
        cache.stats(),
        CacheStats {
            hits: 1,
            misses: 2,
            waits: 1,
            evictions: 0
        }
    );
    check(&cache);
}

#[test]
fn a_failure_lets_the_next_flow_try_again() {
    let mut cache = LeafCache::default();
    assert_eq!(cache.lookup(&key(1), NOW), Lookup::Start);
    cache.fail(&key(1));
    assert_eq!(cache.lookup(&key(1), NOW), Lookup::Start);
    cache.complete(key(1), leaf(10));
    cache.fail(&key(1));
    assert!(
        matches!(cache.lookup(&key(1), NOW), Lookup::Hit(_)),
        "a failure of an untracked forging takes nothing away"
    );
    check(&cache);
}

#[test]
fn the_least_recently_used_leaf_makes_room() {
    let mut cache = LeafCache::new(3 * (ENTRY_BYTES + 1000));
    for origin in 1..=3 {
        cache.complete(key(origin), leaf(1000));
    }
    assert!(matches!(cache.lookup(&key(1), NOW), Lookup::Hit(_)));
    cache.complete(key(4), leaf(1000));
    check(&cache);
    assert_eq!(cache.len(), 3);
    assert_eq!(
        cache.lookup(&key(2), NOW),
        Lookup::Start,
        "2 was used least recently"
    );
    for origin in [1, 3, 4] {
        assert!(
            matches!(cache.lookup(&key(origin), NOW), Lookup::Hit(_)),
            "{origin}"
        );
    }
    assert_eq!(cache.stats().evictions, 1);
    check(&cache);
}

#[test]
fn a_leaf_larger_than_the_cache_is_used_and_not_kept() {
    let mut cache = LeafCache::new(ENTRY_BYTES + 100);
    cache.complete(key(1), leaf(100));
    cache.complete(key(2), leaf(101));
    assert!(matches!(cache.lookup(&key(1), NOW), Lookup::Hit(_)));
    assert_eq!(cache.lookup(&key(2), NOW), Lookup::Start);
    check(&cache);
}

#[test]
fn a_leaf_near_its_end_is_forged_anew() {
    let mut cache = LeafCache::default();
    cache.complete(key(1), leaf(100));
    assert!(matches!(cache.lookup(&key(1), NOW + 4_999), Lookup::Hit(_)));
    assert_eq!(cache.lookup(&key(1), NOW + 5_000), Lookup::Start);
    check(&cache);
}

#[test]
fn l52_a_leaf_for_an_untrusted_origin_is_never_found_as_trusted() {
    let origin = issue(&origin_params(&["origin.example"]));
    let request = request(&ca(), origin);
    let (trusted, untrusted) = (
        LeafCacheKey::new(&request, true, 1),
        LeafCacheKey::new(&request, false, 1),
    );
    let mut cache = LeafCache::default();
    cache.complete(
        untrusted.clone(),
        crate::forge(&request, &mut random()).unwrap(),
    );
    assert_eq!(cache.lookup(&trusted, NOW), Lookup::Start);
    assert!(matches!(cache.lookup(&untrusted, NOW), Lookup::Hit(_)));
}

#[test]
fn c41_c42_another_certificate_of_the_same_name_or_another_ca_is_another_leaf() {
    let params = origin_params(&["origin.example"]);
    let (good, ca_one, ca_two) = (issue(&params), ca(), ca());
    let of = |ca, origin: &CertificateDer<'static>| {
        LeafCacheKey::new(&request(ca, origin.clone()), true, 1)
    };
    assert_eq!(of(&ca_one, &good), of(&ca_one, &good));
    assert_ne!(of(&ca_one, &good), of(&ca_one, &issue(&params)));
    assert_ne!(of(&ca_one, &good), of(&ca_two, &good));
}

#[test]
fn a_leaf_made_for_the_asked_name_is_not_served_for_another() {
    let (named, nameless) = (
        issue(&origin_params(&["origin.example"])),
        issue(&origin_params(&[])),
    );
    let of = |origin: &CertificateDer<'static>, name: &str| {
        let mut request = request(&ca(), origin.clone());
        request.server_name = Some(name.to_owned());
        LeafCacheKey {
            ca_sha256: [0; 32],
            ..LeafCacheKey::new(&request, false, 1)
        }
    };
    assert_ne!(of(&nameless, "a.example"), of(&nameless, "b.example"));
    assert_eq!(of(&named, "a.example"), of(&named, "b.example"));
}

#[test]
fn f71_a_new_generation_purges_the_leaves_of_the_old() {
    let mut cache = LeafCache::default();
    let of = |origin, generation| LeafCacheKey {
        generation,
        ..key(origin)
    };
    for origin in 0..100 {
        cache.complete(of(origin, 1), leaf(100));
    }
    cache.complete(of(7, 2), leaf(100));
    assert_eq!(cache.lookup(&of(8, 1), NOW + 6_000), Lookup::Start);
    assert_eq!(cache.lookup(&of(9, 2), NOW), Lookup::Start);
    cache.purge(2);
    check(&cache);
    assert_eq!((cache.len(), cache.pending()), (1, 1));
    assert!(matches!(cache.lookup(&of(7, 2), NOW), Lookup::Hit(_)));
    assert_eq!(cache.lookup(&of(9, 2), NOW), Lookup::Pending);
    cache.purge(3);
    check(&cache);
    assert_eq!((cache.len(), cache.pending(), cache.bytes()), (0, 0, 0));
}

#[test]
fn forgings_under_way_are_bounded() {
    let mut cache = LeafCache::default();
    let of = |n: usize| LeafCacheKey {
        server_name: Some(n.to_string()),
        ..key(1)
    };
    for n in 0..LEAF_CACHE_PENDING_MAX + 10 {
        assert_eq!(cache.lookup(&of(n), NOW), Lookup::Start);
    }
    assert_eq!(cache.pending(), LEAF_CACHE_PENDING_MAX);
    assert_eq!(
        cache.lookup(&of(LEAF_CACHE_PENDING_MAX + 5), NOW),
        Lookup::Start,
        "not kept track of, so nobody waits"
    );
    cache.complete(of(LEAF_CACHE_PENDING_MAX + 5), leaf(10));
    assert_eq!(cache.pending(), LEAF_CACHE_PENDING_MAX);
    check(&cache);
}

#[test]
fn sums_stay_right_over_a_long_random_life() {
    let mut random = random();
    let mut cache = LeafCache::new(20 * (ENTRY_BYTES + 500));
    for _ in 0..20_000 {
        let origin = (random.next_u32() % 64).to_le_bytes()[0];
        let draw = random.next_u32();
        match draw % 8 {
            0..=3 => drop(cache.lookup(&key(origin), NOW)),
            4..=5 => drop(cache.complete(key(origin), leaf(usize::try_from(draw % 1000).unwrap()))),
            6 => cache.fail(&key(origin)),
            _ if draw.is_multiple_of(97) => cache.purge(2),
            _ => drop(cache.lookup(&key(origin), NOW + 6_000)),
        }
        check(&cache);
    }
}
