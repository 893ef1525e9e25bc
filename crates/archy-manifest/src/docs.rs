//! The JSON Schema document and the reference page, made from `schema`, `codes` and `template`.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use crate::check::{SCHEMA, aliases, alternatives, resolve, types, words};
use crate::codes::{CODES, Level};
use crate::template::PLACEHOLDERS;

const STACK: &str = include_str!("../tests/fixtures/stack.yml");
const ONE: &str = include_str!("../tests/fixtures/storage.yml");

/// The JSON Schema (2020-12) for editors, ending with a newline. Unknown keys are refused in it, so
/// that editors mark them; the parser only warns. Older names stand in it as deprecated.
#[must_use]
pub fn json_schema() -> String {
    let mut schema = tidy(&SCHEMA);
    if let Some(top) = schema.as_object_mut() {
        top.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    }
    let mut text = serde_json::to_string_pretty(&sorted(&schema)).unwrap_or_default();
    text.push('\n');
    text
}

/// Takes out what only the parser needs, and spells out older names.
fn tidy(schema: &Json) -> Json {
    match schema {
        Json::Array(items) => Json::Array(items.iter().map(tidy).collect()),
        Json::Object(object) => {
            let mut out = Map::new();
            for (key, value) in object {
                match key.as_str() {
                    "x-alias" => {}
                    "default" if !value.is_object() || value == &json!({}) => {}
                    "default" if object.contains_key("$ref") || object.contains_key("type") => {}
                    "properties" => {
                        out.insert(key.clone(), properties(value));
                    }
                    "type" if free_text(object) => {
                        out.insert(key.clone(), json!(["string", "number", "boolean"]));
                    }
                    _ => {
                        out.insert(key.clone(), tidy(value));
                    }
                }
            }
            if object.get("properties").is_some() {
                out.insert("additionalProperties".to_owned(), Json::Bool(false));
                out.insert("patternProperties".to_owned(), json!({ "^x-": true }));
            }
            Json::Object(out)
        }
        other => other.clone(),
    }
}

/// True for text of any content, where the parser takes numbers and words without quotes as well.
fn free_text(schema: &Map<String, Json>) -> bool {
    let plain =
        schema.get("type").is_some_and(|t| t == "string" || *t == json!(["string", "null"]));
    plain && ["const", "enum", "format"].iter().all(|key| !schema.contains_key(*key))
}

fn properties(value: &Json) -> Json {
    let mut out = Map::new();
    for (name, property) in value.as_object().into_iter().flatten() {
        for alias in aliases(property) {
            let mut old = tidy(property);
            if let Some(old) = old.as_object_mut() {
                old.insert("deprecated".to_owned(), Json::Bool(true));
                let text = format!("Older name of `{name}`.");
                old.insert("description".to_owned(), Json::String(text));
            }
            out.insert(alias.to_owned(), old);
        }
        out.insert(name.clone(), tidy(property));
    }
    Json::Object(out)
}

/// The same value with sorted keys, whatever order the library keeps.
fn sorted(value: &Json) -> Json {
    match value {
        Json::Object(object) => {
            let ordered: BTreeMap<_, _> =
                object.iter().map(|(k, v)| (k.clone(), sorted(v))).collect();
            Json::Object(ordered.into_iter().collect())
        }
        Json::Array(items) => Json::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// The reference page in Markdown, ending with a newline.
#[must_use]
pub fn reference() -> String {
    let mut out = String::from(INTRO);
    let mut queue: VecDeque<String> = VecDeque::from(["App".to_owned()]);
    let mut seen: Vec<String> = queue.iter().cloned().collect();
    while let Some(name) = queue.pop_front() {
        let Some(schema) = SCHEMA.get("$defs").and_then(|defs| defs.get(&name)) else { continue };
        section(&mut out, &name, schema);
        for next in references(schema) {
            if !seen.contains(&next) {
                seen.push(next.clone());
                queue.push_back(next);
            }
        }
    }
    placeholders(&mut out);
    codes(&mut out);
    let _ = write!(out, "\n## Example: several services\n\n```yaml\n{STACK}```\n");
    let _ = write!(out, "\n## Example: one container, older form\n\n```yaml\n{ONE}```\n");
    out
}

const INTRO: &str = "<!-- Generated from crates/archy-manifest; do not edit. -->
# Manifest reference

A manifest describes one app. It is YAML (JSON is read as well) with one top-level key, `app`.
There are two forms of one schema:

* `app.container`: one container, called `main`; its ports, volumes, environment, health check,
  resources and security may stand beside it. Manifests written for earlier platforms have this form.
* `app.services.<name>`: several containers, each with its own keys.

Check a file with `archy app validate`. All findings are shown at once, each with a stable code, its
place and how to mend it. Unknown keys are warnings; keys that start with `x-` are notes to
yourself. `docs/manifest.schema.json` lets editors complete and check a manifest.

Limits: 1 MiB of text, 48 levels, 20000 values (an alias counts as what it stands for), keys of 128
characters, 32 services. A list that holds a bad entry is read on, so that all findings appear.

Numbers are taken as text where text is expected: `version: 1.10` stays `1.10`.
";

fn section(out: &mut String, name: &str, schema: &Json) {
    let _ = write!(out, "\n## {name}\n\n");
    if let Some(text) = schema.get("description").and_then(Json::as_str) {
        let _ = write!(out, "{}\n\n", text.replace('\n', " "));
    }
    if let Some(properties) = schema.get("properties").and_then(Json::as_object) {
        table(out, properties, schema);
    } else if let Some(options) = schema.get("oneOf").and_then(Json::as_array) {
        out.push_str("| Word | Meaning |\n|---|---|\n");
        for option in options {
            let word = option.get("const").and_then(Json::as_str).unwrap_or_default();
            let text = option.get("description").and_then(Json::as_str).unwrap_or_default();
            let _ = writeln!(out, "| `{word}` | {} |", cell(text));
        }
    } else if let Some(options) = schema.get("anyOf").and_then(Json::as_array) {
        for option in options {
            let text = option.get("description").and_then(Json::as_str).unwrap_or_default();
            let _ = writeln!(out, "* {}: {}", kind(option), cell(text));
        }
    }
}

fn table(out: &mut String, properties: &Map<String, Json>, schema: &Json) {
    let required: Vec<_> = schema
        .get("required")
        .and_then(Json::as_array)
        .map(|list| list.iter().filter_map(Json::as_str).collect())
        .unwrap_or_default();
    let mut rows: Vec<_> = properties.iter().collect();
    rows.sort_by_key(|(name, _)| (!required.contains(&name.as_str()), (*name).clone()));
    out.push_str("| Key | Value | Meaning |\n|---|---|---|\n");
    for (name, property) in rows {
        let text = property.get("description").and_then(Json::as_str).unwrap_or_default();
        let mut text = cell(text);
        let older: Vec<_> = aliases(property).map(|alias| format!("`{alias}`")).collect();
        if !older.is_empty() {
            let _ = write!(text, " Older name: {}.", older.join(", "));
        }
        let mark = if required.contains(&name.as_str()) { " (required)" } else { "" };
        let _ = writeln!(out, "| `{name}`{mark} | {} | {text} |", kind(property));
    }
}

fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

/// The value of a property in words, with links to sections.
fn kind(schema: &Json) -> String {
    if let Some(name) = reference_name(schema) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(options) = schema.get("anyOf").and_then(Json::as_array) {
        let names: Vec<_> = options.iter().filter(|option| !is_null(option)).map(kind).collect();
        return names.join(" or ");
    }
    if let Some(words) = words(schema) {
        return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    }
    match types(schema).first().copied() {
        Some("array") => {
            format!("list of {}", schema.get("items").map_or("values".to_owned(), kind))
        }
        Some("object") => match schema.get("additionalProperties") {
            Some(value) if value.is_object() => format!("mapping to {}", kind(value)),
            _ => "mapping".to_owned(),
        },
        Some("integer") => "whole number".to_owned(),
        Some("number") => "number".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some(_) => "text".to_owned(),
        None => "any value".to_owned(),
    }
}

fn is_null(schema: &Json) -> bool {
    schema.get("type").and_then(Json::as_str) == Some("null")
}

fn reference_name(schema: &Json) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/$defs/")
}

/// Names of the sections that a schema leads to, in the order of its keys.
fn references(schema: &Json) -> Vec<String> {
    let mut out = Vec::new();
    match schema {
        Json::Object(object) => {
            out.extend(reference_name(schema).map(str::to_owned));
            let ordered: BTreeMap<_, _> = object.iter().collect();
            ordered.values().for_each(|value| out.extend(references(value)));
        }
        Json::Array(items) => items.iter().for_each(|item| out.extend(references(item))),
        _ => {}
    }
    out
}

fn placeholders(out: &mut String) {
    out.push_str(
        "\n## Placeholders\n\nTemplates may mix text with placeholders, `{{NAME}}`; an unknown one is an \
         error. They are filled in at install and at every start.\n\n| Placeholder | Value |\n|---|---|\n",
    );
    for (name, meaning) in PLACEHOLDERS {
        let _ = writeln!(out, "| `{{{{{name}}}}}` | {meaning} |");
    }
}

fn codes(out: &mut String) {
    out.push_str(
        "\n## Findings\n\n\"By form\" is an error with `services`; with `container` it may be a \
         warning, because existing manifests go on parsing.\n\n| Code | Level | Meaning |\n|---|---|---|\n",
    );
    for code in CODES {
        let level = match code.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Form => "by form",
        };
        let _ = writeln!(out, "| `{}` | {level} | {} |", code.code, code.meaning);
    }
}

/// Every key of the schema as a dotted path without indices, for completeness checks.
#[must_use]
pub fn keys() -> Vec<String> {
    let mut out = Vec::new();
    walk_keys(&SCHEMA, "", 0, &mut out);
    out.sort();
    out.dedup();
    out
}

fn walk_keys(schema: &Json, prefix: &str, depth: usize, out: &mut Vec<String>) {
    if depth > 12 {
        return;
    }
    for option in alternatives(schema) {
        let option = resolve(option);
        for (name, property) in
            option.get("properties").and_then(Json::as_object).into_iter().flatten()
        {
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            walk_keys(property, &path, depth + 1, out);
            out.push(path);
        }
        if let Some(items) = option.get("items") {
            walk_keys(items, prefix, depth + 1, out);
        }
        if let Some(values) = option.get("additionalProperties") {
            walk_keys(values, &format!("{prefix}.*"), depth + 1, out);
        }
    }
}
