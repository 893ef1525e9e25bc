//! The catalog document: `{"apps": {"<id>": {"version": …, "manifest": {"app": {…}}}}}`.
//!
//! One bad entry costs only itself: it is left out and reported. An entry's digest is that of the
//! bytes of its `manifest` value as they stand in the document.

use std::fmt;

use archy_manifest::Diagnostics;
use archy_types::AppId;
use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::merge::Entry;

/// Largest document that is read, in bytes.
pub const MAX_BYTES: usize = 32 * 1024 * 1024;
/// Most apps of one document.
pub const MAX_APPS: usize = 20_000;

/// What a document holds.
#[derive(Debug, Clone, Default)]
pub struct CatalogDocument {
    /// The entries that can be used, in the order of the document.
    pub entries: Vec<Entry>,
    /// What was found about single entries; see [`Finding::is_error`].
    pub findings: Vec<Finding>,
}

/// Something about one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The entry's key as it is in the document, cut to a readable length.
    pub app: String,
    /// What it is.
    pub reason: Reason,
}

impl Finding {
    /// True when the entry was left out because of it.
    #[must_use]
    pub fn is_error(&self) -> bool {
        match &self.reason {
            Reason::Manifest(diagnostics) => diagnostics.has_errors(),
            Reason::Version { .. } => false,
            Reason::Key(_) | Reason::Twice | Reason::Shape(_) | Reason::OtherId(_) => true,
        }
    }

    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self.reason {
            Reason::Key(_) => "catalog-app-id",
            Reason::Twice => "catalog-app-twice",
            Reason::Shape(_) => "catalog-entry-shape",
            Reason::OtherId(_) => "catalog-other-id",
            Reason::Version { .. } => "catalog-other-version",
            Reason::Manifest(_) => "catalog-manifest",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let app = &self.app;
        match &self.reason {
            Reason::Key(error) => write!(f, "app id {app:?} {error}"),
            Reason::Twice => write!(f, "{app} is listed twice; the first one counts"),
            Reason::Shape(error) => write!(f, "{app}: {error}"),
            Reason::OtherId(id) => write!(f, "{app} holds the manifest of {id}"),
            Reason::Version { listed, manifest } => {
                write!(f, "{app} is listed as version {listed}, but its manifest says {manifest}")
            }
            Reason::Manifest(diagnostics) => write!(f, "{app}: {diagnostics}"),
        }
    }
}

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Its key is no app id.
    Key(archy_types::IdError),
    /// Its key is there already.
    Twice,
    /// It is not `{version, manifest}`.
    Shape(String),
    /// Its manifest is of another app.
    OtherId(AppId),
    /// Its version is not its manifest's; the manifest's counts.
    Version {
        /// As the document lists it.
        listed: String,
        /// As the manifest says.
        manifest: String,
    },
    /// Errors or warnings in its manifest.
    Manifest(Diagnostics),
}

/// The document as a whole cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// It is not the JSON that it should be.
    #[error("the catalog cannot be read: {0}")]
    Json(String),
    /// It is larger than [`MAX_BYTES`].
    #[error("the catalog has {0} bytes; at most {MAX_BYTES} are read")]
    TooLarge(usize),
    /// It has more than [`MAX_APPS`] apps.
    #[error("the catalog has more than {MAX_APPS} apps")]
    TooMany,
}

impl DocumentError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Json(_) => "catalog-json",
            Self::TooLarge(_) => "catalog-too-large",
            Self::TooMany => "catalog-too-many",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Json(_) => {
                "write {\"apps\": {\"<id>\": {\"version\": \"…\", \"manifest\": {\"app\": {…}}}}}"
            }
            Self::TooLarge(_) | Self::TooMany => "split it into several catalogs",
        }
    }
}

impl From<DocumentError> for archy_types::UserError {
    fn from(error: DocumentError) -> Self {
        Self::new(error.code(), error.to_string()).hint(error.hint())
    }
}

/// Reads a catalog document; unknown keys are ignored.
///
/// # Errors
/// [`DocumentError`] when the document as a whole cannot be used.
pub fn parse(text: &[u8]) -> Result<CatalogDocument, DocumentError> {
    parse_part(text, 0, 1)
}

/// Reads every entry whose place in the document, counted modulo `of`, is `part`: so that several
/// threads share a large document. What is found about keys belongs to the part of its entry.
///
/// # Errors
/// As [`parse`], for every part.
pub fn parse_part(text: &[u8], part: usize, of: usize) -> Result<CatalogDocument, DocumentError> {
    if text.len() > MAX_BYTES {
        return Err(DocumentError::TooLarge(text.len()));
    }
    let raw: Raw<'_> =
        serde_json::from_slice(text).map_err(|error| DocumentError::Json(error.to_string()))?;
    if raw.apps.0.len() > MAX_APPS {
        return Err(DocumentError::TooMany);
    }
    let mut document = CatalogDocument::default();
    let mut seen = std::collections::BTreeSet::new();
    for (place, (key, value)) in raw.apps.0.iter().enumerate() {
        let own = place % of.max(1) == part;
        let mut found = |reason| {
            if !own {
                return;
            }
            let app = key.chars().take(80).collect();
            document.findings.push(Finding { app, reason });
        };
        let id = match AppId::new(key.as_str()) {
            Ok(id) => id,
            Err(error) => {
                found(Reason::Key(error));
                continue;
            }
        };
        if !seen.insert(id.clone()) {
            found(Reason::Twice);
            continue;
        }
        let entry = if own { read_entry(&id, value, &mut found) } else { None };
        if let Some(entry) = entry {
            document.entries.push(entry);
        }
    }
    Ok(document)
}

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    apps: Apps<'a>,
}

#[derive(Deserialize)]
struct RawEntry<'a> {
    #[serde(default)]
    version: Option<String>,
    #[serde(borrow)]
    manifest: &'a RawValue,
}

fn read_entry(id: &AppId, value: &RawValue, found: &mut impl FnMut(Reason)) -> Option<Entry> {
    let raw: RawEntry<'_> = match serde_json::from_str(value.get()) {
        Ok(raw) => raw,
        Err(error) => {
            found(Reason::Shape(error.to_string()));
            return None;
        }
    };
    let text = raw.manifest.get();
    let parsed = archy_manifest::parse(text.as_bytes());
    if !parsed.diagnostics.0.is_empty() {
        found(Reason::Manifest(parsed.diagnostics));
    }
    let manifest = parsed.manifest?;
    if manifest.id != *id {
        found(Reason::OtherId(manifest.id));
        return None;
    }
    if let Some(listed) = raw.version.filter(|listed| *listed != manifest.version) {
        found(Reason::Version { listed, manifest: manifest.version.clone() });
    }
    Some(Entry::new(manifest, text))
}

/// Keys and raw values in the order of the document, keys that come twice among them.
struct Apps<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Apps<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AppsVisitor)
    }
}

struct AppsVisitor;

impl<'de> Visitor<'de> for AppsVisitor {
    type Value = Apps<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of apps by id")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Apps<'de>, A::Error> {
        let mut apps = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if apps.len() > MAX_APPS {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            apps.push((key, map.next_value::<&'de RawValue>()?));
        }
        Ok(Apps(apps))
    }
}
