//! Escaping of values in unit files, and reading them back.
//!
//! A Quadlet value passes two readers. Podman's generator takes it either as it stands (*raw* keys
//! such as `Volume=`) or as words (`Exec=`, `Environment=`, `Label=`, `Secret=`, `PodmanArgs=`),
//! and writes an `ExecStart=` line; systemd then expands `%` specifiers and `$` variables in that
//! line. So `%` and `$` are doubled in every value that ends there, and words are quoted in the C
//! style of systemd.syntax(7).
//!
//! Two words need a detour: the generator drops an `Exec=` from an empty word on, and writes a word
//! `;` without quotes, which systemd takes for the end of the command. Both are written as variables
//! that the unit sets itself ([`EMPTY`], [`SEMICOLON`]): systemd replaces `${X}` by exactly one word.

use std::fmt;

/// Variable of the unit that holds an empty text.
pub const EMPTY: &str = "ARCHY_EMPTY";
/// Variable of the unit that holds a semicolon.
pub const SEMICOLON: &str = "ARCHY_SEMICOLON";

/// Why a text cannot be the value of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EscapeError {
    /// A character that this kind of key cannot hold.
    #[error("has the character {0:?}, which a unit file cannot hold here")]
    Character(char),
    /// White space or a backslash at an end, where the readers cut it off or go on to the next line.
    #[error("begins or ends with white space or ends with a backslash")]
    Edge,
    /// An empty text, which would reset the key.
    #[error("is empty")]
    Empty,
}

/// Why a text in a unit file cannot be read as words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// A quote without its partner.
    #[error("a quote is not closed")]
    Quote,
    /// An escape sequence that systemd.syntax(7) does not know.
    #[error("unknown escape sequence \\{0}")]
    Escape(String),
}

/// A value as it stands in a unit file: one line, escaped for the key's reader.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(String);

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value {
    /// A value known at compile time, written as it stands.
    #[must_use]
    pub fn fixed(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    /// A whole number.
    #[must_use]
    pub fn number(number: impl Into<u64>) -> Self {
        Self(number.into().to_string())
    }

    /// Seconds as a time span.
    #[must_use]
    pub fn seconds(number: impl Into<u64>) -> Self {
        Self(format!("{}s", number.into()))
    }

    /// Text for people (`Description=`): `%` doubled, white space and control characters made
    /// single spaces, backslashes made slashes.
    #[must_use]
    pub fn prose(text: &str) -> Self {
        let spaced: String = text
            .chars()
            .map(|c| if c.is_control() || c.is_whitespace() { ' ' } else { c })
            .map(|c| if c == '\\' { '/' } else { c })
            .collect();
        let words: Vec<&str> = spaced.split(' ').filter(|word| !word.is_empty()).collect();
        Self(words.join(" ").replace('%', "%%"))
    }

    /// The value of a raw key that ends on the generator's command line; `%` and `$` doubled.
    ///
    /// # Errors
    /// Control characters, white space or a backslash at an end, quotes around it, an empty text.
    pub fn raw(text: &str) -> Result<Self, EscapeError> {
        if text.is_empty() {
            return Err(EscapeError::Empty);
        }
        if let Some(c) = text.chars().find(|c| c.is_control()) {
            return Err(EscapeError::Character(c));
        }
        if let Some(quote @ ('"' | '\'')) = text.chars().next() {
            return Err(EscapeError::Character(quote));
        }
        if text.trim() != text || text.ends_with(['\\', '"']) {
            return Err(EscapeError::Edge);
        }
        Ok(Self(double(text, &['%', '$'])))
    }

    /// Words that end on the generator's command line, except the arguments of `Exec=`.
    ///
    /// # Errors
    /// A NUL character.
    pub fn words<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> Result<Self, EscapeError> {
        let quoted: Result<Vec<String>, _> =
            words.into_iter().map(|word| quote(word.as_ref(), &['%', '$'])).collect();
        Ok(Self(quoted?.join(" ")))
    }

    /// A command line: `Exec=`, `ExecStartPre=`. Needs [`EMPTY`] and [`SEMICOLON`] in the unit's
    /// environment when [`Value::needs_variables`] says so.
    ///
    /// # Errors
    /// A NUL character.
    pub fn command<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> Result<Self, EscapeError> {
        let quoted: Result<Vec<String>, _> = words
            .into_iter()
            .map(|word| match word.as_ref() {
                "" => Ok(format!("${{{EMPTY}}}")),
                ";" => Ok(format!("${{{SEMICOLON}}}")),
                word => quote(word, &['%', '$']),
            })
            .collect();
        Ok(Self(quoted?.join(" ")))
    }

    /// Words that systemd itself reads without expanding variables (`After=`,
    /// `RequiresMountsFor=`, `Environment=` of `[Service]`): only `%` is doubled.
    ///
    /// # Errors
    /// Control characters, which these readers do not unescape.
    pub fn list<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> Result<Self, EscapeError> {
        let mut quoted = Vec::new();
        for word in words {
            if let Some(c) = word.as_ref().chars().find(|c| c.is_control()) {
                return Err(EscapeError::Character(c));
            }
            quoted.push(quote(word.as_ref(), &['%'])?);
        }
        Ok(Self(quoted.join(" ")))
    }

    /// A JSON array of strings for a raw key (`Entrypoint=`, `HealthCmd=`), which Podman splits.
    ///
    /// # Errors
    /// A NUL character.
    pub fn json<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> Result<Self, EscapeError> {
        let mut items = Vec::new();
        for word in words {
            refuse_nul(word.as_ref())?;
            items.push(json_string(word.as_ref()));
        }
        Ok(Self(double(&format!("[{}]", items.join(",")), &['%', '$'])))
    }

    /// The text as it stands in the file.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True when a command uses [`EMPTY`] or [`SEMICOLON`].
    #[must_use]
    pub fn needs_variables(&self) -> bool {
        self.0.split(' ').any(|word| is_variable(word, EMPTY) || is_variable(word, SEMICOLON))
    }

    /// The text of a raw key: `%%` and `$$` made single again.
    #[must_use]
    pub fn read_raw(&self) -> String {
        undouble(&self.0)
    }

    /// The words of a list, unquoted and unescaped, `%%` and `$$` made single again.
    ///
    /// # Errors
    /// An open quote or an unknown escape sequence.
    pub fn read_words(&self) -> Result<Vec<String>, WordError> {
        Ok(split(&self.0)?.iter().map(|word| undouble(word)).collect())
    }

    /// The words of a command, [`EMPTY`] and [`SEMICOLON`] filled in.
    ///
    /// # Errors
    /// An open quote or an unknown escape sequence.
    pub fn read_command(&self) -> Result<Vec<String>, WordError> {
        let fill = |word: &String| match word.as_str() {
            word if is_variable(word, EMPTY) => String::new(),
            word if is_variable(word, SEMICOLON) => ";".to_owned(),
            word => undouble(word),
        };
        Ok(split(&self.0)?.iter().map(fill).collect())
    }

    /// A line of a file that was read; the caller has cut it off at the line's end.
    pub(crate) fn verbatim(text: &str) -> Self {
        Self(text.trim().to_owned())
    }
}

fn is_variable(word: &str, name: &str) -> bool {
    word.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) == Some(name)
}

fn double(text: &str, which: &[char]) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if which.contains(&c) {
            out.push(c);
        }
        out.push(c);
    }
    out
}

fn undouble(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if matches!(c, '%' | '$') && chars.peek() == Some(&c) {
            chars.next();
        }
        out.push(c);
    }
    out
}

fn refuse_nul(text: &str) -> Result<(), EscapeError> {
    if text.contains('\0') { Err(EscapeError::Character('\0')) } else { Ok(()) }
}

fn json_string(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}

/// One word, in quotes unless it is plain.
fn quote(text: &str, doubled: &[char]) -> Result<String, EscapeError> {
    refuse_nul(text)?;
    let text = double(text, doubled);
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:=,@+-%$[]".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return Ok(text);
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    Ok(out)
}

/// Splits at white space, taking off quotes and C escapes (systemd.syntax(7), "Quoting").
fn split(text: &str) -> Result<Vec<String>, WordError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut open: Option<char> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (open, c) {
            (Some(quote), c) if c == quote => open = None,
            (None, '"' | '\'') => {
                open = Some(c);
                word.get_or_insert_default();
            }
            (_, '\\') => word.get_or_insert_default().push(unescape(&mut chars)?),
            (None, ' ' | '\t' | '\n' | '\r') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if open.is_some() {
        return Err(WordError::Quote);
    }
    words.extend(word);
    Ok(words)
}

fn unescape(chars: &mut std::str::Chars<'_>) -> Result<char, WordError> {
    let Some(kind) = chars.next() else { return Err(WordError::Escape(String::new())) };
    let mut number = |digits: usize, radix: u32, first: Option<char>| {
        let mut text: String = first.into_iter().collect();
        text.extend(chars.by_ref().take(digits - text.len()));
        u32::from_str_radix(&text, radix)
            .ok()
            .filter(|&code| code != 0 && text.len() == digits)
            .and_then(char::from_u32)
            .ok_or(WordError::Escape(format!("{kind}{text}")))
    };
    Ok(match kind {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        's' => ' ',
        '\\' | '"' | '\'' => kind,
        'x' => number(2, 16, None)?,
        'u' => number(4, 16, None)?,
        'U' => number(8, 16, None)?,
        '0'..='7' => number(3, 8, Some(kind))?,
        other => return Err(WordError::Escape(other.to_string())),
    })
}

#[cfg(test)]
mod tests;
