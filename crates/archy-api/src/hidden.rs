//! Text that travels on the wire and is never printed.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A password, a code, a token: `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[serde(transparent)]
#[schemars(inline)]
#[ts(type = "string")]
pub struct Hidden(String);

impl Hidden {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text; name it at the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The text, given away.
    #[must_use]
    pub fn into_inner(self) -> String {
        self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_travels_and_is_not_printed() {
        let hidden: Hidden = serde_json::from_str("\"correct horse\"").unwrap();
        assert_eq!(format!("{hidden:?}"), "Hidden(…)");
        assert_eq!(serde_json::to_string(&hidden).unwrap(), "\"correct horse\"");
    }
}
