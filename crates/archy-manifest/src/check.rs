//! Checks a tree against the JSON Schema and gives its scalars the schema's types.
//!
//! What does not fit is reported and left out, so that the rules can go on with the rest. Older
//! names of keys (`x-alias`) become the present ones.

use std::sync::LazyLock;

use serde_json::{Map, Value as Json};

use crate::diagnostic::Severity::{Error, Warning};
use crate::path::Path;
use crate::schema::Document;
use crate::sink::Sink;
use crate::value::Value;
use crate::yaml::{Entry, Kind, Node};

mod scalar;

/// The schema that the checker and the documents are made from.
pub(crate) static SCHEMA: LazyLock<Json> =
    LazyLock::new(|| schemars::schema_for!(Document).to_value());

/// Checks a document and gives the value that serde reads.
pub(crate) fn check(root: &Node, sink: &mut Sink<'_>) -> Value {
    let mut checker = Checker { sink };
    checker.walk(root, &SCHEMA, &Path::root()).unwrap_or(Value::Map(Vec::new()))
}

/// Follows `$ref`.
pub(crate) fn resolve(schema: &Json) -> &Json {
    let name = schema.get("$ref").and_then(Json::as_str).and_then(|r| r.strip_prefix("#/$defs/"));
    match name.and_then(|name| SCHEMA.get("$defs")?.get(name)) {
        Some(target) => target,
        None => schema,
    }
}

/// The alternatives of a schema without `null`; the schema itself when it has none.
pub(crate) fn alternatives(schema: &Json) -> Vec<&Json> {
    let schema = resolve(schema);
    let choices = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Json::as_array);
    match choices {
        Some(choices) => choices
            .iter()
            .filter(|choice| choice.get("type").and_then(Json::as_str) != Some("null"))
            .flat_map(|choice| {
                let target = resolve(choice);
                if target.get("anyOf").is_some() { alternatives(target) } else { vec![target] }
            })
            .collect(),
        None => vec![schema],
    }
}

/// The words of a schema that allows only certain words.
pub(crate) fn words(schema: &Json) -> Option<Vec<&str>> {
    let schema = resolve(schema);
    if let Some(list) = schema.get("enum").and_then(Json::as_array) {
        return Some(list.iter().filter_map(Json::as_str).collect());
    }
    if let Some(word) = schema.get("const").and_then(Json::as_str) {
        return Some(vec![word]);
    }
    let options = schema.get("oneOf").or_else(|| schema.get("anyOf"))?.as_array()?;
    let mut all = Vec::new();
    for option in options {
        if option.get("type").and_then(Json::as_str) != Some("null") {
            all.extend(words(option)?);
        }
    }
    Some(all)
}

/// The types of a schema without `null`.
pub(crate) fn types(schema: &Json) -> Vec<&str> {
    match resolve(schema).get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(many)) => {
            many.iter().filter_map(Json::as_str).filter(|name| *name != "null").collect()
        }
        _ => Vec::new(),
    }
}

/// The older names of a property.
pub(crate) fn aliases(property: &Json) -> impl Iterator<Item = &str> {
    property.get("x-alias").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str)
}

struct Checker<'s, 'a> {
    sink: &'s mut Sink<'a>,
}

impl Checker<'_, '_> {
    /// Nothing: absent, or wrong and reported.
    fn walk(&mut self, node: &Node, schema: &Json, path: &Path) -> Option<Value> {
        if node.is_null() || self.sink.is_full() {
            return None;
        }
        if let Some(words) = words(schema) {
            return self.word(node, &words, path);
        }
        let options = alternatives(schema);
        let fitting = options.iter().find(|option| fits(node, option));
        let Some(option) = fitting else {
            let expected: Vec<_> = options.iter().flat_map(|option| types(option)).collect();
            self.wrong_type(node, &expected, path);
            return None;
        };
        match &node.kind {
            _ if types(option).is_empty() => Some(free(node)),
            Kind::Scalar { text, .. } => self.scalar(node, text, option, path),
            Kind::List(items) => Some(self.list(items, option, path)),
            Kind::Map(entries) => Some(self.map(entries, option, path)),
        }
    }

    fn word(&mut self, node: &Node, words: &[&str], path: &Path) -> Option<Value> {
        let Kind::Scalar { text, .. } = &node.kind else {
            self.wrong_type(node, &["string"], path);
            return None;
        };
        if words.contains(&text.as_str()) {
            return Some(Value::Text(text.clone()));
        }
        if text.is_empty() {
            return None;
        }
        let mend = match nearest(text, words.iter().copied()) {
            Some(word) => format!("did you mean `{word}`? Possible are: {}", words.join(", ")),
            None => format!("use one of: {}", words.join(", ")),
        };
        let message = format!("`{}` is not possible here", shorten(text));
        self.sink.report(Error, "invalid-choice", path, message, mend);
        None
    }

    fn list(&mut self, items: &[Node], schema: &Json, path: &Path) -> Value {
        let nothing = Json::Bool(true);
        let item_schema = schema.get("items").unwrap_or(&nothing);
        let mut out = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let path = path.index(index);
            if item.is_null() {
                let message = "the entry is empty";
                self.sink.report(Error, "wrong-type", &path, message, "fill it in or delete it");
            }
            out.push(self.walk(item, item_schema, &path).unwrap_or_else(|| neutral(item_schema)));
        }
        Value::List(out)
    }

    fn map(&mut self, entries: &[Entry], schema: &Json, path: &Path) -> Value {
        match schema.get("properties").and_then(Json::as_object) {
            Some(properties) => self.object(entries, properties, schema, path),
            None => self.dictionary(entries, schema.get("additionalProperties"), path),
        }
    }

    fn dictionary(&mut self, entries: &[Entry], schema: Option<&Json>, path: &Path) -> Value {
        let nothing = Json::Bool(true);
        let schema = schema.unwrap_or(&nothing);
        let mut out = Vec::with_capacity(entries.len());
        for entry in entries {
            let path = path.key(&entry.key);
            if entry.value.is_null() && words(schema).is_some() {
                self.sink.report(Error, "missing-value", &path, "has no value", "fill it in");
            }
            let value = self.walk(&entry.value, schema, &path);
            out.push((entry.key.clone(), value.unwrap_or_else(|| neutral(schema))));
        }
        Value::Map(out)
    }

    fn object(
        &mut self,
        entries: &[Entry],
        properties: &Map<String, Json>,
        schema: &Json,
        path: &Path,
    ) -> Value {
        let mut out: Vec<(String, Value)> = Vec::new();
        let mut seen: Vec<&str> = Vec::new();
        for entry in entries {
            if self.sink.is_full() {
                break;
            }
            let Some((name, property)) = property(properties, &entry.key) else {
                self.unknown_key(&entry.key, properties, &path.key(&entry.key));
                continue;
            };
            let here = path.key(name);
            if entry.value.is_null() {
                continue;
            }
            if seen.contains(&name) {
                let message = format!("`{}` is another name of `{name}`", entry.key);
                let here = path.key(&entry.key);
                self.sink.report(Error, "duplicate-key", &here, message, "keep one of the two");
                continue;
            }
            seen.push(name);
            if name != entry.key {
                self.sink.rename(here.clone(), &entry.key);
            }
            if let Some(value) = self.walk(&entry.value, property, &here) {
                out.push((name.to_owned(), value));
            }
        }
        let required = schema.get("required").and_then(Json::as_array).into_iter().flatten();
        for name in required.filter_map(Json::as_str).filter(|name| !seen.contains(name)) {
            let message = format!("`{name}` is missing");
            let mend = match properties.get(name).and_then(|p| p.get("description")?.as_str()) {
                Some(text) => format!("add `{name}:` ({})", first_sentence(text)),
                None => format!("add `{name}:`"),
            };
            self.sink.report(Error, "missing-key", &path.key(name), message, mend);
        }
        Value::Map(out)
    }

    fn unknown_key(&mut self, key: &str, properties: &Map<String, Json>, path: &Path) {
        if key.starts_with("x-") {
            return;
        }
        let known = properties
            .iter()
            .flat_map(|(name, property)| std::iter::once(name.as_str()).chain(aliases(property)));
        let mend = match (nearest(key, known), key) {
            (_, "<<") => "merge keys are not part of YAML 1.2; write the keys out".to_owned(),
            (Some(name), _) => format!("did you mean `{name}`?"),
            (None, _) => "delete it, or start it with `x-` to keep it as a note".to_owned(),
        };
        let message = format!("unknown key `{}`; it has no effect", shorten(key));
        self.sink.report(Warning, "unknown-key", path, message, mend);
    }

    fn wrong_type(&mut self, node: &Node, expected: &[&str], path: &Path) {
        let found = match &node.kind {
            Kind::Scalar { .. } => "a single value",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        };
        let mut names: Vec<_> = expected.iter().map(|name| type_name(name)).collect();
        names.dedup();
        let expected = names.join(" or ");
        let message = format!("is {found}; expected {expected}");
        self.sink.report(Error, "wrong-type", path, message, format!("write {expected}"));
    }
}

fn property<'p>(properties: &'p Map<String, Json>, key: &str) -> Option<(&'p str, &'p Json)> {
    if let Some((name, property)) = properties.get_key_value(key) {
        return Some((name, property));
    }
    properties
        .iter()
        .find(|(_, property)| aliases(property).any(|alias| alias == key))
        .map(|(name, property)| (name.as_str(), property))
}

fn fits(node: &Node, schema: &Json) -> bool {
    let types = types(schema);
    types.is_empty()
        || types.iter().any(|name| match &node.kind {
            Kind::Scalar { .. } => !matches!(*name, "array" | "object"),
            Kind::List(_) => *name == "array",
            Kind::Map(_) => *name == "object",
        })
}

/// A value that serde takes in place of a wrong one.
fn neutral(schema: &Json) -> Value {
    if let Some(word) = words(schema).and_then(|words| words.first().copied()) {
        return Value::Text(word.to_owned());
    }
    let options = alternatives(schema);
    let names = options.iter().flat_map(|option| types(option)).collect::<Vec<_>>();
    match names.first() {
        Some(&"object") => Value::Map(Vec::new()),
        Some(&"array") => Value::List(Vec::new()),
        Some(&"integer" | &"number") => Value::Unsigned(0),
        Some(&"boolean") => Value::Bool(false),
        Some(_) if names.contains(&"integer") => Value::Unsigned(0),
        Some(_) => Value::Text(String::new()),
        None => Value::Null,
    }
}

/// A value without a schema: scalars by the core schema of YAML 1.2.
fn free(node: &Node) -> Value {
    match &node.kind {
        Kind::Scalar { .. } if node.is_null() => Value::Null,
        Kind::Scalar { text, plain: true } => scalar::infer(text),
        Kind::Scalar { text, plain: false } => Value::Text(text.clone()),
        Kind::List(items) => Value::List(items.iter().map(free).collect()),
        Kind::Map(entries) => Value::Map(
            entries.iter().map(|entry| (entry.key.clone(), free(&entry.value))).collect(),
        ),
    }
}

fn type_name(name: &str) -> &'static str {
    match name {
        "array" => "a list",
        "object" => "a mapping",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        _ => "text",
    }
}

/// The word that was probably meant.
pub(crate) fn nearest<'w>(text: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    if text.len() > 64 {
        return None;
    }
    let lower = text.to_lowercase().replace('-', "_");
    words
        .map(|word| (strsim::damerau_levenshtein(&lower, &word.replace('-', "_")), word))
        .filter(|(distance, word)| *distance <= 2.min(word.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// At most 60 characters of a text, for messages.
pub(crate) fn shorten(text: &str) -> String {
    if text.chars().nth(60).is_none() {
        return text.to_owned();
    }
    text.chars().take(60).chain(['…']).collect()
}

fn first_sentence(text: &str) -> String {
    let text = text.replace('\n', " ");
    let end = text.find(". ").unwrap_or_else(|| text.trim_end_matches('.').len());
    text.get(..end).unwrap_or(&text).to_owned()
}
