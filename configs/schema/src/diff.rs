//! What differs between two configurations, key by key.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Configuration;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What differs: `profiles[lab].client_proxies[web].detection_ports`.
    pub path: String,
    /// How.
    pub kind: ChangeKind,
}

/// How something differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// It is only in the new configuration.
    Added {
        /// As JSON.
        new: Value,
    },
    /// It is only in the old configuration.
    Removed {
        /// As JSON.
        old: Value,
    },
    /// It has another value.
    Changed {
        /// As JSON.
        old: Value,
        /// As JSON.
        new: Value,
    },
    /// The same named entries stand in another order.
    Reordered {
        /// Their names in the old configuration.
        old: Vec<String>,
        /// Their names in the new configuration.
        new: Vec<String>,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ChangeKind::Added { new } => write!(f, "+ {} = {new}", self.path),
            ChangeKind::Removed { old } => write!(f, "- {} = {old}", self.path),
            ChangeKind::Changed { old, new } => write!(f, "~ {}: {old} -> {new}", self.path),
            ChangeKind::Reordered { old, new } => {
                write!(
                    f,
                    "~ {}: order {} -> {}",
                    self.path,
                    old.join(", "),
                    new.join(", ")
                )
            }
        }
    }
}

impl Configuration {
    /// What has to change to get from this configuration to `new`.
    #[must_use]
    pub fn diff(&self, new: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        let tree = |configuration: &Self| serde_json::to_value(configuration).unwrap_or_default();
        compare(&tree(self), &tree(new), String::new(), &mut changes);
        changes
    }
}

/// The changes that only a restart of the data plane makes effective; empty when none is needed.
#[must_use]
pub fn restart_needed(old: &Configuration, new: &Configuration) -> Vec<Change> {
    let boot = [
        "appliance.dataplane",
        "appliance.segments",
        "appliance.limits.flows_max",
    ];
    // Among the segments' settings these are no boot settings.
    let live = |path: &str| path.ends_with(".vlan_translations");
    let at = |path: &str, root: &str| {
        path.strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    old.diff(new)
        .into_iter()
        .filter(|change| boot.iter().any(|root| at(&change.path, root)) && !live(&change.path))
        .collect()
}

fn compare(old: &Value, new: &Value, path: String, changes: &mut Vec<Change>) {
    if old == new {
        return;
    }
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for key in keys {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                let null = Value::Null;
                one(
                    old.get(key).unwrap_or(&null),
                    new.get(key).unwrap_or(&null),
                    path,
                    changes,
                );
            }
        }
        (Value::Array(old_items), Value::Array(new_items)) => {
            match (by_name(old_items), by_name(new_items)) {
                (Some(old_named), Some(new_named)) => named(&old_named, &new_named, &path, changes),
                _ => changes.push(Change {
                    path,
                    kind: ChangeKind::Changed {
                        old: old.clone(),
                        new: new.clone(),
                    },
                }),
            }
        }
        _ => changes.push(Change {
            path,
            kind: ChangeKind::Changed {
                old: old.clone(),
                new: new.clone(),
            },
        }),
    }
}

fn one(old: &Value, new: &Value, path: String, changes: &mut Vec<Change>) {
    match (old, new) {
        (Value::Null, Value::Null) => {}
        (Value::Null, new) => changes.push(Change {
            path,
            kind: ChangeKind::Added { new: new.clone() },
        }),
        (old, Value::Null) => changes.push(Change {
            path,
            kind: ChangeKind::Removed { old: old.clone() },
        }),
        (old, new) => compare(old, new, path, changes),
    }
}

type Named<'a> = Vec<(&'a str, &'a Value)>;

/// The entries with their names, if every entry is an object with one.
fn by_name(items: &[Value]) -> Option<Named<'_>> {
    items
        .iter()
        .map(|item| {
            item.get("name")
                .and_then(Value::as_str)
                .map(|name| (name, item))
        })
        .collect()
}

fn named(old: &Named<'_>, new: &Named<'_>, path: &str, changes: &mut Vec<Change>) {
    let old_map: BTreeMap<&str, &Value> = old.iter().copied().collect();
    let new_map: BTreeMap<&str, &Value> = new.iter().copied().collect();
    let names: BTreeSet<&str> = old_map.keys().chain(new_map.keys()).copied().collect();
    for name in names {
        let null = Value::Null;
        let (old, new) = (old_map.get(name).copied(), new_map.get(name).copied());
        one(
            old.unwrap_or(&null),
            new.unwrap_or(&null),
            format!("{path}[{name}]"),
            changes,
        );
    }
    let order = |list: &Named<'_>, other: &BTreeMap<&str, &Value>| -> Vec<String> {
        list.iter()
            .filter(|(name, _)| other.contains_key(name))
            .map(|(name, _)| (*name).to_owned())
            .collect()
    };
    let (old, new) = (order(old, &new_map), order(new, &old_map));
    if old != new {
        changes.push(Change {
            path: path.to_owned(),
            kind: ChangeKind::Reordered { old, new },
        });
    }
}
