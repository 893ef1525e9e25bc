//! Results for people and for machines.

mod junit;
mod markdown;
mod table;
mod tap;

pub use junit::junit;
pub use markdown::{Summary, markdown};
pub use table::table;
pub use tap::tap;

use crate::document::Document;

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// The signed document.
    Json,
    /// JUnit's XML, as build servers read it.
    Junit,
    /// Test Anything Protocol, version 14.
    Tap,
}

impl Format {
    /// Ending of a file in this form.
    #[must_use]
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Table => "txt",
            Self::Json => "json",
            Self::Junit => "xml",
            Self::Tap => "tap",
        }
    }

    /// All forms.
    pub const ALL: [Self; 4] = [Self::Table, Self::Json, Self::Junit, Self::Tap];

    /// The documents in this form; one document is an object in JSON, several are a list.
    ///
    /// # Errors
    /// serde's.
    pub fn write(self, documents: &[Document]) -> Result<String, serde_json::Error> {
        Ok(match self {
            Self::Table => documents.iter().map(table).collect::<Vec<_>>().join("\n"),
            Self::Json => match documents {
                [one] => serde_json::to_string_pretty(one)? + "\n",
                several => serde_json::to_string_pretty(several)? + "\n",
            },
            Self::Junit => junit(documents),
            Self::Tap => tap(documents),
        })
    }
}

/// Seconds with one digit after the point.
fn seconds(millis: u64) -> String {
    format!("{}.{}", millis / 1000, millis % 1000 / 100)
}

#[cfg(test)]
mod tests;
