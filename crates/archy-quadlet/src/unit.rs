//! A unit file: sections in order, keys that may repeat, comments kept.
//!
//! Parsing follows systemd.syntax(7): a line that ends with an odd number of backslashes goes on in
//! the next one, comments between such lines are skipped, an empty value resets a key. A parsed unit
//! prints as it was read, except that continued lines become one line.

use std::fmt;

use crate::escape::Value;

/// A unit file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unit {
    /// Comments and empty lines before the first section.
    head: Vec<Line>,
    sections: Vec<Section>,
}

/// A section and its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    name: String,
    lines: Vec<Line>,
}

/// A line of a unit file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A comment with its `#` or `;`.
    Comment(String),
    /// An empty line.
    Blank,
    /// An assignment.
    Entry {
        /// Key.
        key: String,
        /// Escaped value.
        value: Value,
    },
}

/// Why a text is not a unit file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub kind: ParseErrorKind,
}

/// What is wrong in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseErrorKind {
    /// A line without `=` that is neither a comment nor a section.
    #[error("is not of the form key=value")]
    NoEquals,
    /// An assignment before the first section.
    #[error("an assignment outside of a section")]
    NoSection,
    /// A section without a name or closing bracket.
    #[error("is not of the form [Section]")]
    Section,
    /// A key that is empty or holds white space.
    #[error("the key is empty or has white space in it")]
    Key,
    /// A NUL character.
    #[error("has a NUL character")]
    Nul,
}

impl Unit {
    /// A unit that begins with a comment of one or more lines.
    #[must_use]
    pub fn with_head(comment: &str) -> Self {
        let head = comment.lines().map(|line| Line::Comment(format!("# {line}"))).collect();
        Self { head, sections: Vec::new() }
    }

    /// The last section of this name, added at the end when there is none.
    pub fn section(&mut self, name: &'static str) -> &mut Section {
        let index = match self.sections.iter().rposition(|section| section.name == name) {
            Some(index) => index,
            None => {
                match self.sections.last_mut() {
                    Some(last) => last.lines.push(Line::Blank),
                    None if !self.head.is_empty() => self.head.push(Line::Blank),
                    None => {}
                }
                self.sections.push(Section { name: name.to_owned(), lines: Vec::new() });
                self.sections.len() - 1
            }
        };
        &mut self.sections[index]
    }

    /// The sections in order.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// All values of a key, in order, since the last empty one.
    #[must_use]
    pub fn values(&self, section: &str, key: &str) -> Vec<&Value> {
        let mut values = Vec::new();
        for section in self.sections.iter().filter(|found| found.name == section) {
            for (_, value) in section.entries().filter(|(found, _)| *found == key) {
                if value.as_str().is_empty() {
                    values.clear();
                } else {
                    values.push(value);
                }
            }
        }
        values
    }

    /// The last value of a key.
    #[must_use]
    pub fn value(&self, section: &str, key: &str) -> Option<&Value> {
        self.values(section, key).pop()
    }

    /// The value of `name` in a key that holds `name=value` words (`Label=`, `Environment=`);
    /// a later one wins. Words that cannot be read are passed over.
    #[must_use]
    pub fn assignment(&self, section: &str, key: &str, name: &str) -> Option<String> {
        let words = self.values(section, key).into_iter().filter_map(|v| v.read_words().ok());
        words
            .flatten()
            .filter_map(|word| {
                let (found, value) = word.split_once('=')?;
                (found == name).then(|| value.to_owned())
            })
            .next_back()
    }

    /// Reads a unit file.
    ///
    /// # Errors
    /// The first line that is not understood.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut unit = Self::default();
        let mut lines = text.lines().enumerate();
        while let Some((index, first)) = lines.next() {
            let first = first.trim();
            let mut logical = first.to_owned();
            if !is_comment(first) {
                while is_continued(&logical) {
                    logical.pop();
                    let Some((_, next)) = lines.find(|(_, line)| !is_comment(line.trim())) else {
                        break;
                    };
                    logical.push(' ');
                    logical.push_str(next.trim());
                }
            }
            unit.add(&logical).map_err(|kind| ParseError { line: index + 1, kind })?;
        }
        Ok(unit)
    }

    fn add(&mut self, text: &str) -> Result<(), ParseErrorKind> {
        if text.contains('\0') {
            return Err(ParseErrorKind::Nul);
        }
        if let Some(rest) = text.strip_prefix('[') {
            let name = rest.strip_suffix(']').unwrap_or_default();
            if name.is_empty() {
                return Err(ParseErrorKind::Section);
            }
            self.sections.push(Section { name: name.to_owned(), lines: Vec::new() });
            return Ok(());
        }
        let line = if text.is_empty() {
            Line::Blank
        } else if is_comment(text) {
            Line::Comment(text.to_owned())
        } else {
            entry(text)?
        };
        match (self.sections.last_mut(), &line) {
            (Some(section), _) => section.lines.push(line),
            (None, Line::Entry { .. }) => return Err(ParseErrorKind::NoSection),
            (None, _) => self.head.push(line),
        }
        Ok(())
    }
}

fn is_comment(line: &str) -> bool {
    line.starts_with(['#', ';'])
}

fn is_continued(line: &str) -> bool {
    line.chars().rev().take_while(|&c| c == '\\').count() % 2 == 1
}

fn entry(text: &str) -> Result<Line, ParseErrorKind> {
    let (key, value) = text.split_once('=').ok_or(ParseErrorKind::NoEquals)?;
    let key = key.trim();
    if key.is_empty() || key.contains(char::is_whitespace) {
        return Err(ParseErrorKind::Key);
    }
    Ok(Line::Entry { key: key.to_owned(), value: Value::verbatim(value) })
}

impl Section {
    /// Its name without brackets.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its lines.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Its assignments in order.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.lines.iter().filter_map(|line| match line {
            Line::Entry { key, value } => Some((key.as_str(), value)),
            Line::Comment(_) | Line::Blank => None,
        })
    }

    /// Adds an assignment.
    pub fn push(&mut self, key: &'static str, value: Value) -> &mut Self {
        self.lines.push(Line::Entry { key: key.to_owned(), value });
        self
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Comment(text) => writeln!(f, "{text}"),
            Self::Blank => writeln!(f),
            Self::Entry { key, value } => writeln!(f, "{key}={value}"),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.head {
            line.fmt(f)?;
        }
        for section in &self.sections {
            writeln!(f, "[{}]", section.name)?;
            for line in &section.lines {
                line.fmt(f)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
