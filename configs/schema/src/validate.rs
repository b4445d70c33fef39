//! What the documents' types cannot say: names, references, addresses, overlaps, relations between limits.

mod addresses;
mod appliance;
mod layer2;
mod profile;

use core::fmt::Display;
use core::str::FromStr;
use std::collections::BTreeMap;

use crate::Problem;
use crate::limits::PROFILES_MAX;
use crate::source::{KeyPath, Source};

pub(crate) use appliance::appliance;

use crate::document::Read;
use crate::raw::RawProfile;

/// Validates every profile. Absent when something is wrong; what is, is among the problems.
pub(crate) fn profiles(
    read: &[Read<'_, RawProfile>],
    problems: &mut Vec<Problem>,
) -> Option<Vec<crate::Profile>> {
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    let mut validated = Vec::with_capacity(read.len());
    for Read { source, raw } in read {
        let mut scope = Scope {
            source,
            problems: &mut *problems,
        };
        let at = KeyPath::root().key("name");
        let here = format!("{}:{}", source.path(), source.line_at(&at));
        if let Some(first) = seen.get(raw.name.as_str()) {
            scope.problem(
                &at,
                format!(
                    "`name` \"{}\" is taken by another profile ({first}); rename one",
                    raw.name
                ),
            );
        } else {
            seen.insert(&raw.name, here);
        }
        validated.push(profile::profile(raw, &mut scope));
    }
    if read.len() > PROFILES_MAX {
        problems.push(Problem {
            path: String::new(),
            line: None,
            key: String::new(),
            message: format!(
                "there are {} profiles; at most {PROFILES_MAX} are allowed",
                read.len()
            ),
        });
    }
    profile::server_certificates(read, problems);
    let mut whole: Vec<crate::Profile> = validated.into_iter().collect::<Option<_>>()?;
    whole.sort_by(|a, b| a.name.cmp(&b.name));
    Some(whole)
}

/// One document under validation, and where its problems go.
pub(crate) struct Scope<'a, 'p> {
    source: &'a Source<'a>,
    problems: &'p mut Vec<Problem>,
}

impl Scope<'_, '_> {
    fn problem(&mut self, at: &KeyPath, message: impl Into<String>) {
        let problem = self.source.problem(at, message);
        self.problems.push(problem);
    }

    /// Parses one text; the problem when it does not names the key and the text.
    fn parse<T: FromStr>(&mut self, at: &KeyPath, text: &str) -> Option<T>
    where
        T::Err: Display,
    {
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                let quoted = if text.len() > 80 {
                    String::new()
                } else {
                    format!(" {text:?}")
                };
                self.problem(at, format!("`{}`{quoted}: {error}", at.last_key()));
                None
            }
        }
    }

    fn parse_optional<T: FromStr>(&mut self, at: &KeyPath, text: Option<&str>) -> Option<Option<T>>
    where
        T::Err: Display,
    {
        match text {
            None => Some(None),
            Some(text) => self.parse(at, text).map(Some),
        }
    }

    /// Parses every entry, in order, duplicates discarded. Absent when one does not parse; all that do not are told.
    fn parse_list<T, D: Display>(
        &mut self,
        at: &KeyPath,
        entries: &[D],
        most: usize,
    ) -> Option<Vec<T>>
    where
        T: FromStr + Ord + Clone,
        T::Err: Display,
    {
        if entries.len() > most {
            self.problem(
                at,
                format!(
                    "`{}` has {} entries; at most {most} are allowed",
                    at.last_key(),
                    entries.len()
                ),
            );
            return None;
        }
        let mut seen = std::collections::BTreeSet::new();
        let mut list = Vec::with_capacity(entries.len());
        let mut whole = true;
        for (index, entry) in entries.iter().enumerate() {
            match self.parse::<T>(&at.index(index), &entry.to_string()) {
                Some(value) if seen.insert(value.clone()) => list.push(value),
                Some(_) => {}
                None => whole = false,
            }
        }
        whole.then_some(list)
    }

    /// Tells every name that stands twice.
    fn unique<'n>(&mut self, at: &KeyPath, what: &str, names: impl Iterator<Item = &'n str>) {
        let mut seen = BTreeMap::new();
        for (index, name) in names.enumerate() {
            let here = at.index(index).key("name");
            if let Some(line) = seen.get(name) {
                self.problem(
                    &here,
                    format!("`name` \"{name}\" is taken by the {what} in line {line}; rename one"),
                );
            } else {
                seen.insert(name, self.source.line_at(&here));
            }
        }
    }

    fn at_most(&mut self, at: &KeyPath, count: usize, most: usize) {
        if count > most {
            self.problem(
                at,
                format!(
                    "there are {count} `{}`; at most {most} are allowed",
                    at.last_key()
                ),
            );
        }
    }

    /// Tells a reference that leads nowhere, with the names that would.
    fn refers<'n>(
        &mut self,
        at: &KeyPath,
        what: &str,
        name: &str,
        known: impl Iterator<Item = &'n str>,
    ) {
        let known: Vec<&str> = known.collect();
        if known.contains(&name) {
            return;
        }
        let hint = if known.is_empty() {
            format!("add a [[{what}]] of this name first")
        } else {
            format!(
                "there {} {}",
                if known.len() == 1 { "is" } else { "are" },
                known.join(", ")
            )
        };
        self.problem(
            at,
            format!(
                "`{}` names the {} \"{name}\", which does not exist; {hint}",
                at.last_key(),
                what.replace('_', " ")
            ),
        );
    }
}
