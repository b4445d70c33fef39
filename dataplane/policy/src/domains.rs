//! Domain exceptions: a name is looked up label by label.

use std::collections::HashMap;

use sluice_schema::DomainPattern;

use crate::limits::LABELS_MAX;

/// Patterns by their domain.
#[derive(Debug, Default)]
pub(crate) struct DomainSet(HashMap<Box<str>, Listed>);

#[derive(Clone, Copy, Debug, Default)]
struct Listed {
    exact: bool,
    below: bool,
}

impl DomainSet {
    pub(crate) fn new(patterns: &[DomainPattern]) -> Self {
        let mut set: HashMap<Box<str>, Listed> = HashMap::with_capacity(patterns.len());
        for pattern in patterns {
            let listed = set.entry(pattern.domain().into()).or_default();
            match pattern {
                DomainPattern::Exact(_) => listed.exact = true,
                DomainPattern::Below(_) => listed.below = true,
            }
        }
        Self(set)
    }

    /// The pattern that matches `host` (lower case, no final dot), the most specific first.
    pub(crate) fn matching(&self, host: &str) -> Option<DomainPattern> {
        if self.0.is_empty() || host.is_empty() {
            return None;
        }
        if self.0.get(host).is_some_and(|listed| listed.exact) {
            return Some(DomainPattern::Exact(host.to_owned()));
        }
        self.above(host)
            .map(|domain| DomainPattern::Below(domain.to_owned()))
    }

    /// Whether any pattern matches `host` (lower case, no final dot).
    pub(crate) fn contains(&self, host: &str) -> bool {
        !self.0.is_empty()
            && (self.0.get(host).is_some_and(|listed| listed.exact) || self.above(host).is_some())
    }

    /// The nearest domain above `host` whose names are all listed.
    fn above<'h>(&self, host: &'h str) -> Option<&'h str> {
        let mut rest = host;
        for _ in 0..LABELS_MAX {
            let (label, above) = rest.split_once('.')?;
            if label.is_empty() {
                return None;
            }
            if self.0.get(above).is_some_and(|listed| listed.below) {
                return Some(above);
            }
            rest = above;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(patterns: &[&str]) -> DomainSet {
        DomainSet::new(
            &patterns
                .iter()
                .map(|text| text.parse().unwrap())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn f113_a_wildcard_matches_any_depth() {
        let set = set(&["*.bank.example", "health.example", "*.deep.er.example"]);
        for host in [
            "www.bank.example",
            "a.b.c.d.bank.example",
            "health.example",
            "x.deep.er.example",
        ] {
            assert!(set.contains(host), "{host}");
        }
        for host in [
            "bank.example",
            "xbank.example",
            "www.health.example",
            "er.example",
            "deep.er.example",
            "example",
            "",
            ".",
        ] {
            assert!(!set.contains(host), "{host}");
            assert_eq!(set.matching(host), None, "{host}");
        }
    }

    #[test]
    fn the_most_specific_pattern_is_told() {
        let set = set(&["*.example", "*.a.example", "b.a.example"]);
        let told = |host: &str| set.matching(host).map(|pattern| pattern.to_string());
        assert_eq!(told("b.a.example").as_deref(), Some("b.a.example"));
        assert_eq!(told("c.a.example").as_deref(), Some("*.a.example"));
        assert_eq!(told("a.example").as_deref(), Some("*.example"));
    }

    proptest! {
        /// The reference asks every pattern.
        #[test]
        fn like_the_plain_search(
            patterns in prop::collection::vec("(\\*\\.)?[ab](\\.[ab]){0,3}", 0..8),
            hosts in prop::collection::vec("[ab.]{0,9}", 1..20),
        ) {
            let patterns: Vec<DomainPattern> = patterns.iter().map(|text| text.parse().unwrap()).collect();
            let set = DomainSet::new(&patterns);
            for host in hosts.iter().filter(|host| !host.contains("..") && !host.starts_with('.')) {
                prop_assert_eq!(set.contains(host), patterns.iter().any(|pattern| pattern.matches(host)), "{}", host);
                prop_assert_eq!(set.contains(host), set.matching(host).is_some(), "{}", host);
            }
        }
    }
}
