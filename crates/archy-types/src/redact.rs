//! Texts that leave the node: without the values of secrets, and without what looks like one.

use crate::Secret;

/// What stands in the place of a struck value.
pub const STRUCK: &str = "•••";
/// Values that are shorter stay in a text: to strike them out would leave little of it.
const SHORTEST: usize = 4;
/// Ends of names whose value is struck wherever it is written as `name=value` or `name: value`.
const NAMES: [&str; 17] = [
    "password",
    "passwd",
    "passphrase",
    "token",
    "apikey",
    "api_key",
    "api-key",
    "secret_key",
    "secret-key",
    "access_key",
    "access-key",
    "private_key",
    "private-key",
    "client_secret",
    "credential",
    "credentials",
    "session",
];
/// Headers whose value goes on to the end of the line.
const HEADERS: [&str; 5] =
    ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-csrf-token"];
/// Words before a token, as in `Authorization: Bearer …`.
const SCHEMES: [&str; 2] = ["bearer ", "basic "];

/// Strikes secrets out of texts: known values in every form in which they are written, and what the
/// text itself calls a password, a token, a cookie or a private key.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    /// The longest first, so that a value within another leaves no rest of it.
    values: Vec<Secret>,
    /// Texts of the node that are given another name: a path, a host.
    names: Vec<(String, &'static str)>,
}

impl Redactor {
    /// Knows these values.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut values: Vec<Vec<u8>> = secrets.into_iter().flat_map(forms).collect();
        values.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        values.dedup();
        Self { values: values.into_iter().map(Secret::new).collect(), names: Vec::new() }
    }

    /// Also gives a text of the node another name.
    #[must_use]
    pub fn rename(mut self, text: impl Into<String>, name: &'static str) -> Self {
        let text = text.into();
        if text.len() > 1 {
            self.names.push((text, name));
        }
        self
    }

    /// The text as it may leave.
    #[must_use]
    pub fn clean(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for value in &self.values {
            if let Some(value) = value.expose_trimmed().filter(|value| out.contains(value)) {
                out = out.replace(value, STRUCK);
            }
        }
        for (text, name) in &self.names {
            out = out.replace(text.as_str(), name);
        }
        let mut clean = String::with_capacity(out.len());
        let mut in_key = false;
        for line in out.split_inclusive('\n') {
            in_key |= line.contains("-----BEGIN ") && line.contains("PRIVATE KEY-----");
            if in_key {
                in_key = !(line.contains("-----END ") && line.contains("PRIVATE KEY-----"));
                clean.push_str(STRUCK);
                clean.push_str(if line.ends_with('\n') { "\n" } else { "" });
            } else {
                clean.push_str(&line_without(line));
            }
        }
        clean
    }
}

/// A value as it is, line by line, and in the encodings in which programs write it.
fn forms(secret: &Secret) -> Vec<Vec<u8>> {
    let Some(value) = secret.expose_trimmed() else { return Vec::new() };
    let parts = std::iter::once(value).chain(value.lines().map(str::trim));
    let mut out = Vec::new();
    for part in parts.filter(|part| part.len() >= SHORTEST) {
        let bytes = part.as_bytes();
        let escaped = part.replace('\\', "\\\\").replace('"', "\\\"");
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let base64 = base64(bytes);
        let url = base64.trim_end_matches('=').replace('+', "-").replace('/', "_");
        let plain = base64.trim_end_matches('=').to_owned();
        out.push(bytes.to_vec());
        out.extend([escaped, percent(bytes), hex, base64, url, plain].map(String::into_bytes));
    }
    out
}

fn percent(bytes: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let one = |byte: &u8| match plain(*byte) {
        true => char::from(*byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    bytes.iter().map(one).collect()
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let at = |index: usize| chunk.get(index).copied().map_or(0, u32::from);
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for index in 0..4 {
            let letter = (word >> (18 - 6 * index)) as usize & 63;
            out.push(if index <= chunk.len() { char::from(LETTERS[letter]) } else { '=' });
        }
    }
    out
}

/// A line without the values of what it calls secret.
fn line_without(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(found) = next_value(rest) {
        out.push_str(&rest[..found.start]);
        out.push_str(STRUCK);
        rest = &rest[found.end..];
    }
    out.push_str(rest);
    out
}

/// The first value to strike in a text of one line.
fn next_value(text: &str) -> Option<std::ops::Range<usize>> {
    let named = separators(text).find_map(|at| value_after(text, at));
    let scheme = SCHEMES.iter().filter_map(|word| {
        let start = find_word(text, word)? + word.len();
        let range = start..start + token_length(&text[start..]);
        // a word of prose is no token
        (range.len() >= 16).then_some(range)
    });
    let found = named.into_iter().chain(scheme).chain(user_info(text)).chain(nostr_key(text));
    found.min_by_key(|range| range.start)
}

/// Places of `=` and `:`.
fn separators(text: &str) -> impl Iterator<Item = usize> {
    text.match_indices(['=', ':']).map(|(at, _)| at)
}

/// The value behind a separator whose name is one of a secret.
fn value_after(text: &str, at: usize) -> Option<std::ops::Range<usize>> {
    let before = text[..at].trim_end_matches(['"', '\'', ' ', '\\']);
    let name_start = before
        .rfind(|c: char| !is_name(c))
        .map_or(0, |place| place + before[place..].chars().next().map_or(1, char::len_utf8));
    let name = before[name_start..].to_ascii_lowercase();
    let rest = &text[at + 1..];
    let lead = rest.len() - rest.trim_start_matches([' ', '"', '\'', '\\']).len();
    let start = at + 1 + lead;
    let length = if HEADERS.iter().any(|header| name == *header) {
        text[start..].find(['"', '\'', '\n', '\r']).unwrap_or(text.len() - start)
    } else if NAMES.iter().any(|end| name.ends_with(end)) {
        token_length(&text[start..])
    } else {
        return None;
    };
    let value = &text[start..start + length];
    let harmless = matches!(value, "" | "true" | "false" | "null" | "{" | "[" | STRUCK);
    (!harmless && !value.starts_with(STRUCK)).then(|| start..start + length)
}

const fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

fn token_length(text: &str) -> usize {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | '&' | '}' | ')');
    text.find(ends).unwrap_or(text.len())
}

fn find_word(text: &str, word: &str) -> Option<usize> {
    text.to_ascii_lowercase().find(word)
}

/// The password of `scheme://user:password@host`.
fn user_info(text: &str) -> Option<std::ops::Range<usize>> {
    let mut from = 0;
    while let Some(found) = text[from..].find("://") {
        let start = from + found + 3;
        let end =
            start + text[start..].find(['/', ' ', '"', '\n', '?']).unwrap_or(text.len() - start);
        if let Some((user, password)) =
            text[start..end].rsplit_once('@').and_then(|(info, _)| info.split_once(':'))
            && !password.is_empty()
            && password != STRUCK
        {
            let begin = start + user.len() + 1;
            return Some(begin..begin + password.len());
        }
        from = start;
    }
    None
}

/// A Nostr secret key (NIP-19, `nsec1…`).
fn nostr_key(text: &str) -> Option<std::ops::Range<usize>> {
    let start = text.find("nsec1")?;
    let length = text[start..].find(|c: char| !c.is_ascii_alphanumeric());
    let end = length.map_or(text.len(), |length| start + length);
    (end - start >= 32).then_some(start..end)
}

#[cfg(test)]
mod tests;
