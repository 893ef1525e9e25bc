//! YAML text to a tree with positions, in bounded work.
//!
//! The only module that knows the YAML library. Limits: [`MAX_BYTES`] of text, [`MAX_DEPTH`]
//! levels, [`MAX_NODES`] nodes (aliases count as what they stand for), [`MAX_KEY`] characters per
//! key. JSON is read as YAML. Source: YAML 1.2.2, core schema.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

/// Largest document in bytes: 1 MiB.
pub const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting.
pub const MAX_DEPTH: usize = 48;
/// Most nodes in a document, aliases expanded.
pub const MAX_NODES: usize = 20_000;
/// Longest key in characters.
pub const MAX_KEY: usize = 128;

/// A position: line and column in characters, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// A value with its position.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) kind: Kind,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// Text as written; `plain` when it had no quotes, so that it may be a number or `null`.
    Scalar { text: String, plain: bool },
    /// A list.
    List(Vec<Node>),
    /// A mapping in the order of its text.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: Position,
    pub(crate) value: Node,
}

impl Node {
    /// True for `null`, `~` and nothing at all.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry of a key.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }
}

/// A finding of the reader: code, position, message, mend.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    pub(crate) code: &'static str,
    pub(crate) at: Position,
    pub(crate) message: String,
    pub(crate) mend: String,
}

impl Finding {
    fn new(
        code: &'static str,
        at: Position,
        message: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self { code, at, message: message.into(), mend: mend.into() }
    }
}

/// What the reader made of a text.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// The tree; nothing when the text could not be read to its end.
    pub(crate) root: Option<Node>,
    /// What is wrong.
    pub(crate) findings: Vec<Finding>,
}

/// Checks size and characters and gives the text without byte order mark.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Finding> {
    let start = Position { line: 1, column: 1 };
    if bytes.len() > MAX_BYTES {
        let message =
            format!("the document has {} bytes; at most {MAX_BYTES} are read", bytes.len());
        return Err(Finding::new(
            "too-large",
            start,
            message,
            "move long content into files beside the manifest",
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = position_of(bytes, error.valid_up_to());
        Finding::new("not-utf8", at, "the text is not UTF-8", "save the file as UTF-8")
    })?;
    if let Some(nul) = text.bytes().position(|byte| byte == 0) {
        let at = position_of(bytes, nul);
        return Err(Finding::new("nul-byte", at, "the text has a NUL byte", "delete the NUL byte"));
    }
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

fn position_of(bytes: &[u8], offset: usize) -> Position {
    let before = bytes.get(..offset).unwrap_or(bytes);
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column =
        String::from_utf8_lossy(before.get(line_start..).unwrap_or(&[])).chars().count() + 1;
    Position { line, column }
}

/// Reads one document.
pub(crate) fn read(text: &str) -> Document {
    let mut builder = Builder::default();
    let outcome = builder.run(&mut Parser::new_from_str(text), text);
    let mut findings = builder.findings;
    match outcome {
        Ok(root) => Document { root: Some(root), findings },
        Err(finding) => {
            findings.push(finding);
            Document { root: None, findings }
        }
    }
}

/// Reads any YAML document as JSON, within the limits of this module; plain scalars have the types of the core
/// schema.
///
/// # Errors
/// Where and why it cannot be read.
pub fn to_json(bytes: &[u8]) -> Result<serde_json::Value, String> {
    let told = |finding: &Finding| {
        format!("line {}, column {}: {}", finding.at.line, finding.at.column, finding.message)
    };
    let document = read(text(bytes).map_err(|finding| told(&finding))?);
    match (document.root, document.findings.first()) {
        (Some(root), None) => Ok(value(root)),
        (_, Some(finding)) => Err(told(finding)),
        (None, None) => Err("the document is empty".to_owned()),
    }
}

fn value(node: Node) -> serde_json::Value {
    use serde_json::Value;
    let null = node.is_null();
    match node.kind {
        Kind::Scalar { .. } if null => Value::Null,
        Kind::Scalar { text, plain: false } => Value::String(text),
        Kind::Scalar { text, plain: true } => match text.as_str() {
            "true" | "True" | "TRUE" => Value::Bool(true),
            "false" | "False" | "FALSE" => Value::Bool(false),
            _ => text.parse::<i64>().map_or_else(|_| Value::String(text), Value::from),
        },
        Kind::List(items) => items.into_iter().map(value).collect(),
        Kind::Map(entries) => {
            entries.into_iter().map(|entry| (entry.key, value(entry.value))).collect()
        }
    }
}

/// A collection under construction.
enum Open {
    List {
        at: Position,
        anchor: usize,
        items: Vec<Node>,
    },
    Map {
        at: Position,
        anchor: usize,
        entries: Vec<Entry>,
        seen: HashSet<String>,
        key: Option<(String, Position)>,
    },
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    documents: usize,
    findings: Vec<Finding>,
}

impl Builder {
    fn run(&mut self, parser: &mut Parser<'_, StrInput<'_>>, text: &str) -> Result<Node, Finding> {
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| syntax(&error, text))?;
            if matches!(event, Event::StreamEnd) {
                break;
            }
            self.event(event, span)?;
        }
        match self.root.take() {
            Some(root) if !root.is_null() => Ok(root),
            _ => Err(Finding::new(
                "empty-document",
                Position { line: 1, column: 1 },
                "the document is empty",
                "start with `app:`; `archy app new` writes a first manifest",
            )),
        }
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Finding> {
        let at = position(&span);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Finding::new(
                        "many-documents",
                        at,
                        "the text holds more than one document",
                        "keep one manifest per file; delete the line `---`",
                    ));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, _) => {
                let plain = matches!(style, ScalarStyle::Plain);
                let node = Node { at, kind: Kind::Scalar { text: text.into_owned(), plain } };
                self.budget(1, at)?;
                self.put(node, anchor)
            }
            Event::Alias(anchor) => self.alias(anchor, at),
            Event::SequenceStart(anchor, _) => {
                self.enter(Open::List { at, anchor, items: Vec::new() }, at)
            }
            Event::MappingStart(anchor, _) => {
                let (entries, seen) = (Vec::new(), HashSet::new());
                self.enter(Open::Map { at, anchor, entries, seen, key: None }, at)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            _ => Ok(()),
        }
    }

    fn enter(&mut self, open: Open, at: Position) -> Result<(), Finding> {
        self.budget(1, at)?;
        if self.open.len() >= MAX_DEPTH {
            let message = format!("nested more than {MAX_DEPTH} levels deep");
            return Err(Finding::new("too-deep", at, message, "flatten the structure"));
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Finding> {
        match self.open.pop() {
            Some(Open::List { at, anchor, items }) => {
                self.put(Node { at, kind: Kind::List(items) }, anchor)
            }
            Some(Open::Map { at, anchor, entries, .. }) => {
                self.put(Node { at, kind: Kind::Map(entries) }, anchor)
            }
            None => Ok(()),
        }
    }

    fn alias(&mut self, anchor: usize, at: Position) -> Result<(), Finding> {
        let Some((_, weight)) = self.anchors.get(&anchor) else {
            return Err(Finding::new(
                "yaml-syntax",
                at,
                "the alias stands inside its own anchor",
                "write the value out",
            ));
        };
        let weight = *weight;
        self.budget(weight, at)?;
        let copy = self.anchors.get(&anchor).map(|(node, _)| node.clone());
        match copy {
            Some(copy) if depth(&copy) + self.open.len() > MAX_DEPTH => Err(Finding::new(
                "too-deep",
                at,
                format!("the alias nests more than {MAX_DEPTH} levels deep"),
                "write the value out",
            )),
            Some(copy) => self.put(copy, 0),
            None => Ok(()),
        }
    }

    fn budget(&mut self, weight: usize, at: Position) -> Result<(), Finding> {
        self.nodes = self.nodes.saturating_add(weight);
        if self.nodes > MAX_NODES {
            let message =
                format!("more than {MAX_NODES} values (an alias counts as all that it stands for)");
            return Err(Finding::new("too-many-values", at, message, "shorten the manifest"));
        }
        Ok(())
    }

    fn put(&mut self, node: Node, anchor: usize) -> Result<(), Finding> {
        if anchor != 0 {
            let weight = weight(&node);
            self.budget(weight, node.at)?;
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, seen, key, .. }) => match key.take() {
                None => *key = Some(key_text(node)?),
                Some((name, at)) => {
                    if seen.insert(name.clone()) {
                        entries.push(Entry { key: name, at, value: node });
                    } else if self.findings.len() <= crate::sink::MAX_FINDINGS {
                        self.findings.push(Finding::new(
                            "duplicate-key",
                            at,
                            format!("the key `{name}` is written twice"),
                            "keep one of the two",
                        ));
                    }
                }
            },
        }
        Ok(())
    }
}

fn key_text(node: Node) -> Result<(String, Position), Finding> {
    let at = node.at;
    match node.kind {
        Kind::Scalar { text, .. } if text.chars().nth(MAX_KEY).is_none() => Ok((text, at)),
        Kind::Scalar { .. } => Err(Finding::new(
            "key-too-long",
            at,
            format!("a key is longer than {MAX_KEY} characters"),
            "shorten the key",
        )),
        _ => Err(Finding::new(
            "yaml-syntax",
            at,
            "a key is a list or a mapping",
            "quote the key; `{{…}}` at the start of a value needs quotes as well",
        )),
    }
}

fn weight(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::Scalar { .. } => 0,
        Kind::List(items) => items.iter().map(weight).sum(),
        Kind::Map(entries) => entries.iter().map(|entry| 1 + weight(&entry.value)).sum(),
    }
}

fn depth(node: &Node) -> usize {
    match &node.kind {
        Kind::Scalar { .. } => 0,
        Kind::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Kind::Map(entries) => {
            1 + entries.iter().map(|entry| depth(&entry.value)).max().unwrap_or(0)
        }
    }
}

fn position(span: &Span) -> Position {
    Position { line: span.start.line().max(1), column: span.start.col() + 1 }
}

fn syntax(error: &ScanError, text: &str) -> Finding {
    let at = Position { line: error.marker().line().max(1), column: error.marker().col() + 1 };
    let tabbed = |line: usize| {
        let text = line.checked_sub(1).and_then(|index| text.lines().nth(index)).unwrap_or("");
        let margin = text.len() - text.trim_start().len();
        text.get(..margin).is_some_and(|margin| margin.contains('\t'))
    };
    if let Some(line) =
        [at.line, at.line + 1, at.line.saturating_sub(1)].into_iter().find(|line| tabbed(*line))
    {
        return Finding::new(
            "tab-indentation",
            Position { line, column: 1 },
            "the line is indented with a tab",
            "indent with spaces",
        );
    }
    Finding::new(
        "yaml-syntax",
        at,
        format!("not valid YAML: {}", error.info()),
        "check indentation, quotes and brackets around this place",
    )
}
