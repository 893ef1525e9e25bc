//! YAML and JSON as written: a tree whose scalars keep their text, so that `8.10`, `0022` and `yes`
//! stay what their author meant until it is known what they stand for.
//!
//! Source: YAML 1.2.2, the merge keys of YAML 1.1 (`<<`), and the tags `!reset` and `!override` of
//! the compose specification. Work is bounded for any input.

use std::collections::HashMap;

use indexmap::IndexMap;
use saphyr_parser::{Event, Parser, ScalarStyle, StrInput, Tag};

/// Largest file in bytes: 1 MiB.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting.
const MAX_DEPTH: usize = 64;
/// Most nodes of a document, aliases expanded.
const MAX_NODES: usize = 100_000;

/// A mapping in the order of its text.
pub(crate) type Map = IndexMap<String, Value>;

/// A value as written.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) enum Value {
    /// `null`, `~` or nothing at all.
    #[default]
    Null,
    /// Text as written; `plain` when it stood without quotes.
    Scalar {
        /// The text.
        text: String,
        /// Without quotes, so that it may be a number or a truth value.
        plain: bool,
    },
    /// A list.
    List(Vec<Value>),
    /// A mapping.
    Map(Map),
}

impl Value {
    /// A text.
    #[must_use]
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Scalar { text: text.into(), plain: false }
    }

    /// The value of a key.
    #[must_use]
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.get(key)
    }

    /// The text of a scalar.
    #[must_use]
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The text below a key.
    #[must_use]
    pub(crate) fn text_of(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_text()
    }

    /// The mapping.
    #[must_use]
    pub(crate) fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The items of a list; a single value counts as a list of one, null as an empty one.
    #[must_use]
    pub(crate) fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            Self::Null => &[],
            one => std::slice::from_ref(one),
        }
    }

    /// True for `true`, `yes`, `on` and `1`.
    #[must_use]
    pub(crate) fn is_true(&self) -> bool {
        self.as_text().is_some_and(is_true)
    }

    /// True for null, and for empty texts, lists and mappings.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Scalar { text, .. } => text.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Map(map) => map.is_empty(),
        }
    }

    /// The value on one line, for findings.
    #[must_use]
    pub(crate) fn brief(&self) -> String {
        let text = match self {
            Self::Null => String::new(),
            Self::Scalar { text, .. } => text.clone(),
            Self::List(items) => items.iter().map(Self::brief).collect::<Vec<_>>().join(", "),
            Self::Map(map) => {
                let parts: Vec<_> =
                    map.iter().map(|(k, v)| format!("{k}: {}", v.brief())).collect();
                format!("{{{}}}", parts.join(", "))
            }
        };
        crate::report::shorten(&text)
    }
}

/// True for the words that YAML 1.1 and shells take for yes.
#[must_use]
pub(crate) fn is_true(text: &str) -> bool {
    matches!(text.trim().to_ascii_lowercase().as_str(), "true" | "yes" | "on" | "1" | "y")
}

/// Reads a file: JSON when it starts like that, else YAML.
///
/// # Errors
/// Where and why it cannot be read.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, String> {
    if bytes.len() > MAX_BYTES {
        return Err(format!("the file has {} bytes; at most {MAX_BYTES} are read", bytes.len()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "the file is not UTF-8".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with(['{', '['])
        && let Ok(json) = serde_json::from_str::<serde_json::Value>(text)
    {
        return Ok(from_json(json));
    }
    read_yaml(text).or_else(|why| match lenient(text) {
        Some(text) => read_yaml(&text).map_err(|_| why),
        None => Err(why),
    })
}

/// The same text with what other readers take and YAML 1.2 does not: a closing bracket at the
/// margin of its key.
fn lenient(text: &str) -> Option<String> {
    let closing = |line: &str| {
        let word = line.trim().trim_end_matches(',');
        !word.is_empty() && word.chars().all(|c| matches!(c, ']' | '}'))
    };
    if !text.lines().any(closing) {
        return None;
    }
    let mut out = String::new();
    for line in text.lines() {
        if closing(line) {
            out.push_str(&" ".repeat(MAX_DEPTH));
        }
        out.push_str(line);
        out.push('\n');
    }
    Some(out)
}

fn from_json(json: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::Null,
        Json::Bool(yes) => Value::Scalar { text: yes.to_string(), plain: true },
        Json::Number(number) => Value::Scalar { text: number.to_string(), plain: true },
        Json::String(text) => Value::text(text),
        Json::Array(items) => Value::List(items.into_iter().map(from_json).collect()),
        Json::Object(map) => {
            Value::Map(map.into_iter().map(|(key, value)| (key, from_json(value))).collect())
        }
    }
}

/// Reads the first document of a YAML text.
fn read_yaml(text: &str) -> Result<Value, String> {
    let mut builder = Builder::default();
    let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            let at = error.marker();
            format!("line {}, column {}: {}", at.line().max(1), at.col() + 1, error.info())
        })?;
        let last = matches!(event, Event::DocumentEnd | Event::StreamEnd);
        builder.event(event).map_err(|why| format!("line {}: {why}", span.start.line().max(1)))?;
        if last {
            break;
        }
    }
    Ok(builder.root.unwrap_or_default())
}

enum Open {
    List(usize, Vec<Value>),
    Map(usize, Map, Option<String>, Vec<Value>),
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Value>,
    anchors: HashMap<usize, (Value, usize)>,
    nodes: usize,
}

impl Builder {
    fn event(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = matches!(style, ScalarStyle::Plain);
                let null = plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let value = match tag.as_deref() {
                    Some(tag) if is_reset(tag) => Value::Null,
                    _ if null => Value::Null,
                    _ => Value::Scalar { text: text.into_owned(), plain },
                };
                self.count(1)?;
                self.put(value, anchor)
            }
            Event::Alias(anchor) => {
                let (value, weight) =
                    self.anchors.get(&anchor).cloned().ok_or("an alias inside its own anchor")?;
                self.count(weight)?;
                if depth(&value) + self.open.len() > MAX_DEPTH {
                    return Err(format!("nested more than {MAX_DEPTH} levels deep"));
                }
                self.put(value, 0)
            }
            Event::SequenceStart(anchor, _) => self.enter(Open::List(anchor, Vec::new())),
            Event::MappingStart(anchor, _) => {
                self.enter(Open::Map(anchor, Map::new(), None, Vec::new()))
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(anchor, items)) => self.put(Value::List(items), anchor),
                Some(Open::Map(anchor, map, _, merged)) => {
                    self.put(Value::Map(merge(map, &merged)), anchor)
                }
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn enter(&mut self, open: Open) -> Result<(), String> {
        self.count(1)?;
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("nested more than {MAX_DEPTH} levels deep"));
        }
        self.open.push(open);
        Ok(())
    }

    fn count(&mut self, weight: usize) -> Result<(), String> {
        self.nodes = self.nodes.saturating_add(weight);
        if self.nodes > MAX_NODES { Err(format!("more than {MAX_NODES} values")) } else { Ok(()) }
    }

    fn put(&mut self, value: Value, anchor: usize) -> Result<(), String> {
        if anchor != 0 {
            let weight = weight(&value);
            self.count(weight)?;
            self.anchors.insert(anchor, (value.clone(), weight));
        }
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some(Open::List(_, items)) => items.push(value),
            Some(Open::Map(_, map, key, merged)) => match key.take() {
                None => match value {
                    Value::Scalar { text, .. } => *key = Some(text),
                    Value::Null => *key = Some(String::new()),
                    _ => return Err("a key is a list or a mapping".to_owned()),
                },
                Some(name) if name == "<<" => merged.push(value),
                // the last one counts, as in most readers
                Some(name) => _ = map.insert(name, value),
            },
        }
        Ok(())
    }
}

fn is_reset(tag: &Tag) -> bool {
    tag.suffix == "reset"
}

/// Merge keys: what is written wins over what is merged, an earlier merge over a later one.
fn merge(mut map: Map, merged: &[Value]) -> Map {
    for value in merged.iter().flat_map(Value::items) {
        for (key, value) in value.as_map().into_iter().flatten() {
            if !map.contains_key(key) {
                map.insert(key.clone(), value.clone());
            }
        }
    }
    map
}

fn weight(value: &Value) -> usize {
    1 + match value {
        Value::List(items) => items.iter().map(weight).sum(),
        Value::Map(map) => map.values().map(|value| 1 + weight(value)).sum(),
        _ => 0,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Map(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_keep_their_text() {
        let value = read(b"a: 1.10\nb: 'null'\nc:\nd: 0022\ne: yes\n").unwrap();
        assert_eq!(value.text_of("a"), Some("1.10"));
        assert_eq!(value.text_of("b"), Some("null"));
        assert_eq!(value.get("c"), Some(&Value::Null));
        assert_eq!(value.text_of("d"), Some("0022"));
        assert!(value.get("e").unwrap().is_true());
    }

    #[test]
    fn anchors_and_merge_keys() {
        let text = b"x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], a: 0}\n";
        let value = read(text).unwrap();
        let z = value.get("z").unwrap();
        assert_eq!(["a", "b", "c"].map(|key| z.text_of(key).unwrap()), ["0", "1", "2"]);
    }

    #[test]
    fn hostile_texts() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let last = format!("*a{}", level - 1);
            bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![last; 10].join(", ")));
        }
        assert!(read(bomb.as_bytes()).is_err());
        assert!(read("[".repeat(500).as_bytes()).is_err());
        assert!(read(b"\xff\xfe").is_err());
        assert!(read(&vec![b'a'; MAX_BYTES + 1]).is_err());
        assert_eq!(read(b""), Ok(Value::Null));
    }
}
