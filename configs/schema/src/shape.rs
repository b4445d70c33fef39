//! Whether a document has the keys and types that the published JSON Schema says.
//!
//! The check walks the schema itself, so what is published is what is enforced. It covers what `schemars` generates for
//! the documents' types: references, objects without further keys, arrays, choices, constants and bounds of numbers.

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::Problem;
use crate::json_schema::{DocumentKind, json_schema};
use crate::source::{KeyPath, Source};

/// Every way in which the document is not what the schema says.
pub(crate) fn check(source: &Source<'_>, kind: DocumentKind) -> Vec<Problem> {
    let schema = json_schema(kind);
    let mut checker = Checker {
        source,
        schema: &schema,
        problems: Vec::new(),
    };
    checker.table(&schema, source.root(), &KeyPath::root());
    checker.problems
}

struct Checker<'a> {
    source: &'a Source<'a>,
    schema: &'a Value,
    problems: Vec<Problem>,
}

impl<'a> Checker<'a> {
    fn table(&mut self, schema: &'a Value, table: &DeTable<'_>, at: &KeyPath) {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return;
        };
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            match properties.get(name) {
                Some(property) => self.value(property, value, &at.key(name)),
                None => {
                    let line = self.source.line(&key.span());
                    let known: Vec<&str> = properties.keys().map(String::as_str).collect();
                    self.problems.push(Problem {
                        path: self.source.path().to_owned(),
                        line: Some(line),
                        key: at.key(name).to_string(),
                        message: format!(
                            "unknown key `{name}` in {}; {}",
                            at.header(),
                            suggestion(name, &known)
                        ),
                    });
                }
            }
        }
        let required = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        for name in required.filter_map(Value::as_str) {
            if !table.contains_key(name) {
                let what = properties
                    .get(name)
                    .map(|property| self.describe(property))
                    .unwrap_or_default();
                self.report(
                    &at.key(name),
                    format!("`{name}` is missing in {}; add it: {what}", at.header()),
                );
            }
        }
    }

    fn value(&mut self, schema: &'a Value, value: &Spanned<DeValue<'_>>, at: &KeyPath) {
        let schema = self.resolve(schema);
        if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
            let fitting = choices
                .iter()
                .map(|choice| self.resolve(choice))
                .find(|choice| fits(choice, value.get_ref()));
            match fitting {
                Some(choice) => self.value(choice, value, at),
                None => self.wrong_type(schema, value, at),
            }
            return;
        }
        let constants = self.constants(schema);
        if !constants.is_empty() {
            self.constant(&constants, value, at);
            return;
        }
        if !fits(schema, value.get_ref()) {
            self.wrong_type(schema, value, at);
            return;
        }
        match value.get_ref() {
            DeValue::Table(table) => self.table(schema, table, at),
            DeValue::Array(array) => {
                self.count(schema, array.len(), at);
                if let Some(items) = schema.get("items") {
                    for (index, item) in array.iter().enumerate() {
                        self.value(items, item, &at.index(index));
                    }
                }
            }
            DeValue::Integer(integer) => {
                let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
                let least = schema.get("minimum").and_then(Value::as_i64);
                let most = schema.get("maximum").and_then(Value::as_i64);
                let inside = number.is_some_and(|number| {
                    least.is_none_or(|least| number >= least)
                        && most.is_none_or(|most| number <= most)
                });
                if !inside {
                    let bounds = match (least, most) {
                        (Some(least), Some(most)) => format!("between {least} and {most}"),
                        (Some(least), None) => format!("{least} or more"),
                        (None, Some(most)) => format!("{most} or less"),
                        (None, None) => "a number of 64 bits".to_owned(),
                    };
                    self.report(
                        at,
                        format!(
                            "`{}` is {}; it must be {bounds}",
                            at.last_key(),
                            integer.as_str()
                        ),
                    );
                }
            }
            _ => {}
        }
    }

    fn count(&mut self, schema: &Value, count: usize, at: &KeyPath) {
        let bound = |name: &str| {
            schema
                .get(name)
                .and_then(Value::as_u64)
                .and_then(|n| usize::try_from(n).ok())
        };
        if bound("minItems").is_some_and(|least| count < least) {
            self.report(
                at,
                format!("`{}` is empty; it needs at least one entry", at.last_key()),
            );
        }
        if let Some(most) = bound("maxItems").filter(|most| count > *most) {
            self.report(
                at,
                format!(
                    "`{}` has {count} entries; at most {most} are allowed",
                    at.last_key()
                ),
            );
        }
    }

    fn constant(&mut self, allowed: &[&str], value: &Spanned<DeValue<'_>>, at: &KeyPath) {
        let list = allowed
            .iter()
            .map(|name| format!("\"{name}\""))
            .collect::<Vec<_>>()
            .join(", ");
        match value.get_ref().as_str() {
            Some(text) if allowed.contains(&text) => {}
            Some(text) => {
                let message = format!("`{}` is {text:?}; allowed are {list}", at.last_key());
                self.report(at, message);
            }
            None => {
                let message = format!(
                    "`{}` is {}; it must be one of {list}",
                    at.last_key(),
                    article(value.get_ref().type_str())
                );
                self.report(at, message);
            }
        }
    }

    fn wrong_type(&mut self, schema: &'a Value, value: &Spanned<DeValue<'_>>, at: &KeyPath) {
        let wanted = self.describe(schema);
        let found = article(value.get_ref().type_str());
        self.report(
            at,
            format!("`{}` is {found}; it must be {wanted}", at.last_key()),
        );
    }

    /// What a schema asks for, in words.
    fn describe(&self, schema: &'a Value) -> String {
        let schema = self.resolve(schema);
        if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
            return choices
                .iter()
                .map(|choice| self.describe(choice))
                .collect::<Vec<_>>()
                .join(" or ");
        }
        let constants = self.constants(schema);
        if !constants.is_empty() {
            return constants
                .iter()
                .map(|name| format!("\"{name}\""))
                .collect::<Vec<_>>()
                .join(" or ");
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("string") => "a text in quotes".to_owned(),
            Some("integer") => "a whole number".to_owned(),
            Some("boolean") => "true or false".to_owned(),
            Some("array") => {
                let item = schema
                    .get("items")
                    .map(|items| self.describe(items))
                    .unwrap_or_default();
                format!("a list in brackets, each entry {item}")
            }
            Some("object") => "a table".to_owned(),
            _ => "something else".to_owned(),
        }
    }

    /// The texts that an enumeration allows; empty when the schema is none.
    fn constants(&self, schema: &'a Value) -> Vec<&'a str> {
        if let Some(plain) = schema.get("enum").and_then(Value::as_array) {
            return plain.iter().filter_map(Value::as_str).collect();
        }
        let choices = schema
            .get("oneOf")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        choices
            .flat_map(|choice| match choice.get("const") {
                Some(constant) => constant.as_str().into_iter().collect(),
                None => self.constants(choice),
            })
            .collect()
    }

    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let Some(pointer) = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|path| path.strip_prefix('#'))
        else {
            return schema;
        };
        self.schema.pointer(pointer).unwrap_or(schema)
    }

    fn report(&mut self, at: &KeyPath, message: String) {
        self.problems.push(self.source.problem(at, message));
    }
}

fn fits(schema: &Value, value: &DeValue<'_>) -> bool {
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => value.is_str(),
        Some("integer") => value.is_integer(),
        Some("boolean") => value.is_bool(),
        Some("array") => value.is_array(),
        Some("object") => value.is_table(),
        _ => true,
    }
}

fn article(kind: &str) -> String {
    match kind {
        "integer" => "a whole number".to_owned(),
        "string" => "a text".to_owned(),
        "array" => "a list".to_owned(),
        "boolean" => "true or false".to_owned(),
        other => format!("a {other}"),
    }
}

/// The known key that was probably meant, or all of them.
fn suggestion(unknown: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(unknown, name), *name))
        .min()
        .filter(|(distance, name)| *distance <= 1 + name.len().min(unknown.len()) / 4);
    match nearest {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None => format!("known keys: {}", known.join(", ")),
    }
}
