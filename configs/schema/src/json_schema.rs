//! The published JSON Schema of the documents.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::raw::{RawAppliance, RawProfile};

/// The kinds of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DocumentKind {
    /// `appliance.toml`.
    Appliance,
    /// One of `profiles/*.toml`.
    Profile,
}

impl DocumentKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[Self::Appliance, Self::Profile];

    /// `appliance` or `profile`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Appliance => "appliance",
            Self::Profile => "profile",
        }
    }

    /// The kind of the document at `path`; absent when no document belongs there.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        let mut parts = path.rsplit('/');
        let file = parts.next()?;
        let folder = parts.next().unwrap_or_default();
        if folder == "profiles" && file.len() > ".toml".len() && file.ends_with(".toml") {
            Some(Self::Profile)
        } else if file == "appliance.toml" {
            Some(Self::Appliance)
        } else {
            None
        }
    }
}

/// The JSON Schema (draft 2020-12) of one kind of document, as TOML's data model reads it.
#[must_use]
pub fn json_schema(kind: DocumentKind) -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let schema = match kind {
        DocumentKind::Appliance => generator.into_root_schema_for::<RawAppliance>(),
        DocumentKind::Profile => generator.into_root_schema_for::<RawProfile>(),
    };
    without_null(schema.to_value())
}

/// TOML has no null: a key that may be absent is not one that may be null.
fn without_null(value: Value) -> Value {
    let is_null_type = |value: &Value| value.get("type").is_some_and(|kind| kind == "null");
    match value {
        Value::Object(mut object) => {
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            if let Some(Value::Array(kinds)) = object.get_mut("type") {
                kinds.retain(|kind| kind != "null");
                if let [only] = kinds.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|choice| !is_null_type(choice));
            }
            Value::Object(
                object
                    .into_iter()
                    .map(|(key, value)| (key, without_null(value)))
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_null).collect()),
        other => other,
    }
}
