//! Ids: apps, services, operations, generations.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IdError {
    /// The text is empty.
    #[error("is empty")]
    Empty,
    /// The text is longer than a DNS label may be (63 bytes, RFC 1035 §2.3.4).
    #[error("is {0} characters long; at most 63 are allowed")]
    TooLong(usize),
    /// A character outside `a-z`, `0-9` and `-`.
    #[error("has the character {0:?}; only a-z, 0-9 and - are allowed")]
    Character(char),
    /// The first or last character is a hyphen.
    #[error("starts or ends with a hyphen")]
    Hyphen,
}

/// Checks that `text` is a lower-case DNS label (RFC 1123 §2.1).
///
/// # Errors
/// The first rule that the text breaks.
pub fn check_dns_label(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if let Some(c) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
        return Err(IdError::Character(c));
    }
    if text.len() > 63 {
        return Err(IdError::TooLong(text.len()));
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err(IdError::Hyphen);
    }
    Ok(())
}

macro_rules! label_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses a DNS label.
            ///
            /// # Errors
            /// The rule that the text breaks.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                check_dns_label(&text)?;
                Ok(Self(text))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

label_id! {
    /// Id of an app: a DNS label; also the name of its data directory and state key.
    AppId
}

label_id! {
    /// Name of one service (container) inside an app: a DNS label.
    ServiceName
}

impl ServiceName {
    /// The name of the only service of a one-container app, and of a stack's chief service.
    #[must_use]
    pub fn main() -> Self {
        Self("main".to_owned())
    }
}

/// How often an app's desired state was changed; older ones are refused.
#[derive(
    Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// The generation after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Id of one journaled operation (a row of the journal).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(pub i64);

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        for good in ["a", "a-b", "9", &"x".repeat(63)] {
            assert_eq!(check_dns_label(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("", IdError::Empty),
            ("A", IdError::Character('A')),
            ("a_b", IdError::Character('_')),
            ("-a", IdError::Hyphen),
            ("a-", IdError::Hyphen),
            ("é", IdError::Character('é')),
        ] {
            assert_eq!(check_dns_label(bad), Err(why), "{bad}");
        }
        assert_eq!(check_dns_label(&"x".repeat(64)), Err(IdError::TooLong(64)));
    }
}
