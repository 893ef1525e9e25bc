//! Collects findings, gives them their line, and leaves out what only follows from others.

use std::collections::HashMap;

use crate::diagnostic::{Diagnostic, Severity};
use crate::path::{Path, Segment};
use crate::yaml::{Finding, Kind, Node, Position};

/// Most findings that are reported.
pub(crate) const MAX_FINDINGS: usize = 100;
const SNIPPET: usize = 160;

/// Collects the findings of one document.
#[derive(Debug)]
pub(crate) struct Sink<'a> {
    text: &'a str,
    root: Option<&'a Node>,
    /// Keys written by an older name, by their present path.
    renamed: HashMap<Path, String>,
    found: Vec<(Option<Path>, Diagnostic)>,
    dropped: bool,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, root: None, renamed: HashMap::new(), found: Vec::new(), dropped: false }
    }

    /// Sets the tree that paths are looked up in.
    pub(crate) fn set_root(&mut self, root: &'a Node) {
        self.root = Some(root);
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.dropped
            || self.found.iter().any(|(_, diagnostic)| diagnostic.severity == Severity::Error)
    }

    /// True when no further finding is taken.
    pub(crate) fn is_full(&self) -> bool {
        self.dropped
    }

    /// Notes that the key at `path` was written by an older name.
    pub(crate) fn rename(&mut self, path: Path, written: &str) {
        self.renamed.insert(path, written.to_owned());
    }

    /// Adds a finding of the reader.
    pub(crate) fn reader(&mut self, finding: Finding) {
        if self.full() {
            return;
        }
        let Finding { code, at, message, mend } = finding;
        let diagnostic = self.diagnostic(Severity::Error, code, String::new(), at, message, mend);
        self.found.push((None, diagnostic));
    }

    /// Adds a finding at a path, unless an error at that path or above it is known already.
    pub(crate) fn report(
        &mut self,
        severity: Severity,
        code: &'static str,
        path: &Path,
        message: impl Into<String>,
        mend: impl Into<String>,
    ) {
        if self.full() {
            return;
        }
        let known = self.found.iter().any(|(known, diagnostic)| {
            diagnostic.severity == Severity::Error
                && known.as_ref().is_some_and(|known| known.covers(path))
        });
        if !known {
            let written = self.written(path);
            let at = self.locate(&written, code == "unknown-key");
            let shown = written.to_string();
            let diagnostic =
                self.diagnostic(severity, code, shown, at, message.into(), mend.into());
            self.found.push((Some(path.clone()), diagnostic));
        }
    }

    /// The path with the keys that the author wrote.
    fn written(&self, path: &Path) -> Path {
        if self.renamed.is_empty() {
            return path.clone();
        }
        let (mut present, mut written) = (Path::root(), Path::root());
        for segment in path.segments() {
            match segment {
                Segment::Index(index) => {
                    (present, written) = (present.index(*index), written.index(*index));
                }
                Segment::Key(key) => {
                    present = present.key(key);
                    written = written.key(self.renamed.get(&present).unwrap_or(key));
                }
            }
        }
        written
    }

    fn diagnostic(
        &self,
        severity: Severity,
        code: &'static str,
        path: String,
        at: Position,
        message: String,
        mend: String,
    ) -> Diagnostic {
        let snippet = self.line(at.line);
        Diagnostic {
            code,
            severity,
            path,
            line: at.line,
            column: at.column,
            snippet,
            message,
            mend,
        }
    }

    /// Notes that a finding is dropped when there are enough.
    fn full(&mut self) -> bool {
        self.dropped = self.found.len() >= MAX_FINDINGS;
        self.dropped
    }

    /// The findings in the order of their lines.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        if self.dropped {
            let message = format!("more than {MAX_FINDINGS} findings; the rest is not shown");
            let at = Position { line: 1, column: 1 };
            let mend = "mend these first".to_owned();
            let code = "too-many-findings";
            let diagnostic =
                self.diagnostic(Severity::Error, code, String::new(), at, message, mend);
            self.found.push((None, diagnostic));
        }
        let mut found: Vec<_> = self.found.into_iter().map(|(_, diagnostic)| diagnostic).collect();
        found.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column, diagnostic.severity));
        found
    }

    fn line(&self, line: usize) -> String {
        let text = line.checked_sub(1).and_then(|index| self.text.lines().nth(index)).unwrap_or("");
        text.chars().take(SNIPPET).map(|c| if c == '\t' { ' ' } else { c }).collect()
    }

    /// The position of a path: of a scalar's value, of a collection's key, or of the nearest thing
    /// above when the path is not there. `of_key` asks for the key in any case.
    fn locate(&self, path: &Path, of_key: bool) -> Position {
        let start = Position { line: 1, column: 1 };
        let Some(mut node) = self.root else { return start };
        let mut at = node.at;
        for segment in path.segments() {
            let next = match segment {
                Segment::Key(key) => node.entry(key).map(|entry| (entry.at, &entry.value)),
                Segment::Index(index) => match &node.kind {
                    Kind::List(items) => items.get(*index).map(|item| (item.at, item)),
                    _ => None,
                },
            };
            let Some((key_at, value)) = next else { return at };
            at = match value.kind {
                Kind::Scalar { .. } if !of_key && !value.is_null() => value.at,
                _ => key_at,
            };
            node = value;
        }
        at
    }
}
