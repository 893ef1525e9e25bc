//! What is wrong with a manifest: a stable code, the place, the line, and how to mend it.

use std::fmt;

use archy_types::UserError;
use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The manifest is refused.
    Error,
    /// The manifest is accepted; the author should look.
    Warning,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable code, one of [`crate::codes::CODES`].
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Place in the document, for example `app.services.web.ports[0].host`; empty for the whole.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line of the document, at most 160 characters of it.
    pub snippet: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub mend: String,
}

impl Diagnostic {
    /// The finding for a terminal, several lines, without a newline at the end. `name` is the
    /// file's name.
    #[must_use]
    pub fn render(&self, name: &str) -> String {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let place = if self.path.is_empty() { String::new() } else { format!(" ({})", self.path) };
        let caret = " ".repeat(self.column.saturating_sub(1).min(160));
        format!(
            "{word}[{}]: {}\n{gutter}--> {name}:{}:{}{place}\n{gutter} |\n{number} | {}\n\
             {gutter} | {caret}^\n{gutter} = mend: {}",
            self.code, self.message, self.line, self.column, self.snippet, self.mend
        )
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} [{}]", self.line, self.column, self.message, self.code)
    }
}

/// All findings about one manifest, errors and warnings, in the order of their lines.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// True when at least one is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }

    /// The errors.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter().filter(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// The warnings.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter().filter(|diagnostic| diagnostic.severity == Severity::Warning)
    }

    /// All findings for a terminal, with a line of counts at the end. `name` is the file's name.
    #[must_use]
    pub fn render(&self, name: &str) -> String {
        let mut out = String::new();
        for diagnostic in &self.0 {
            out.push_str(&diagnostic.render(name));
            out.push_str("\n\n");
        }
        out.push_str(&self.summary());
        out
    }

    /// All findings as a JSON array.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(&self.0).unwrap_or_default()
    }

    /// The first error as an error of the API, with the number of further ones in the message.
    #[must_use]
    pub fn to_user_error(&self) -> Option<UserError> {
        let first = self.errors().next()?;
        let more = self.errors().count() - 1;
        let rest = if more == 0 { String::new() } else { format!(" (and {more} more)") };
        let place = if first.path.is_empty() { String::new() } else { format!("{}: ", first.path) };
        let message =
            format!("Invalid manifest: line {}: {place}{}{rest}", first.line, first.message);
        Some(UserError::new("manifest-invalid", message).hint(first.mend.clone()))
    }

    fn summary(&self) -> String {
        let count = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
        format!(
            "{}, {}",
            count(self.errors().count(), "error"),
            count(self.warnings().count(), "warning")
        )
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.0.iter();
        if let Some(first) = lines.next() {
            write!(f, "{first}")?;
        }
        for line in lines {
            write!(f, "\n{line}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
