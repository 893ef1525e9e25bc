//! A value that does not print, and how such values are made.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Kind of a generated secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SecretKind {
    /// 16 random bytes as hex.
    Hex16,
    /// 32 random bytes as hex.
    Hex32,
    /// 32 random bytes as base64.
    Base64,
    /// A bcrypt hash in `<name>`, its plaintext in `<name>.pw`.
    Bcrypt,
    /// Not generated: the owner supplies it.
    Supplied,
}

/// Secret bytes: neither `Debug` nor `Display` shows them, and they are not serializable.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Wraps secret bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes; name it at the one place that hands them over.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as text without surrounding white space, or nothing when they are not UTF-8.
    #[must_use]
    pub fn expose_trimmed(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok().map(str::trim)
    }
}

/// Values that are shorter stay in a text: to strike them out would leave little of it.
const SHORTEST_STRUCK: usize = 4;

impl Secret {
    /// A text with this value struck out, whole and line by line.
    #[must_use]
    pub fn strike_from(&self, text: &str) -> String {
        let Some(value) = self.expose_trimmed() else { return text.to_owned() };
        let parts = std::iter::once(value).chain(value.lines().map(str::trim));
        let parts = parts.filter(|part| part.len() >= SHORTEST_STRUCK);
        parts.fold(text.to_owned(), |text, part| text.replace(part, "•••"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Drop for Secret {
    /// Best effort: without `unsafe` the compiler may still elide it.
    fn drop(&mut self) {
        self.0.fill(0);
        std::hint::black_box(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_struck_out_of_a_text() {
        for (value, text, expected) in [
            ("s3cr3t\n", "login with s3cr3t failed, s3cr3t", "login with ••• failed, •••"),
            ("first line\nlast line", "it says: last line", "it says: •••"),
            ("abc", "abc stays", "abc stays"),
            ("", "nothing", "nothing"),
        ] {
            assert_eq!(Secret::new(value).strike_from(text), expected);
        }
        assert_eq!(Secret::new([0xff; 8]).strike_from("text"), "text");
    }
}
