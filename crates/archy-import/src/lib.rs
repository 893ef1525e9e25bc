//! Other stores' apps and compose files to app manifests.
//!
//! Ring 0: files are handed in as a map of path to bytes, a manifest and a report come out. Everything
//! in the source is carried over or has a finding; nothing is left out in silence.
//!
//! An import goes in four steps: `source` finds the apps and their kinds; a `store` says what its
//! descriptions and variables mean; `compose` carries each key of each service over into a draft;
//! `finish` settles what concerns the whole and `emit` writes the manifest, which is then checked.

mod compose;
mod draft;
mod emit;
mod expr;
mod finish;
mod interpolate;
pub mod report;
pub mod source;
mod store;
mod value;

use archy_manifest::Diagnostic;
use serde::Serialize;

pub use report::{Finding, REASONS, Reason, Severity};
pub use source::{Files, Kind, Source, find, guess};
pub use store::Store;

/// An app that was imported.
#[derive(Debug, Clone, PartialEq)]
pub struct Import {
    /// Id of the app.
    pub id: String,
    /// Kind of the source.
    pub kind: Kind,
    /// Path of the app in what was handed in.
    pub path: String,
    /// Text of `manifest.yml`.
    pub manifest: String,
    /// Files of the package that the manifest names, by path relative to it.
    pub files: Files,
    /// The manifest, when it is valid.
    pub parsed: Option<archy_manifest::Manifest>,
    /// What the manifest's own check found.
    pub diagnostics: Vec<Diagnostic>,
    /// What was found on the way, the weightiest first.
    pub findings: Vec<Finding>,
}

impl Import {
    /// True when the manifest is valid.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.parsed.is_some()
    }

    /// True when a person has to change the manifest before the app can do its work.
    #[must_use]
    pub fn needs_edit(&self) -> bool {
        !self.is_valid() || self.findings.iter().any(|f| f.severity == Severity::Edit)
    }

    /// True when the app needs a file that was not in the package handed in.
    #[must_use]
    pub fn needs_files(&self) -> bool {
        self.findings.iter().any(|f| f.severity == Severity::Supply)
    }

    /// The report as it is printed with `--report json`.
    #[must_use]
    pub fn report(&self) -> AppReport {
        AppReport {
            id: self.id.clone(),
            kind: self.kind,
            path: self.path.clone(),
            valid: self.is_valid(),
            needs_edit: self.needs_edit(),
            needs_files: self.needs_files(),
            findings: self.findings.clone(),
            diagnostics: self.diagnostics.clone(),
        }
    }
}

/// The report of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AppReport {
    /// Id of the app.
    pub id: String,
    /// Kind of the source.
    pub kind: Kind,
    /// Path of the app in what was imported.
    pub path: String,
    /// The manifest is valid.
    pub valid: bool,
    /// A person has to change the manifest.
    pub needs_edit: bool,
    /// A file has to be put beside the manifest.
    pub needs_files: bool,
    /// What was found on the way, the weightiest first.
    pub findings: Vec<Finding>,
    /// What the manifest's own check found.
    pub diagnostics: Vec<Diagnostic>,
}

/// Why a source is no app.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// A file that has to be there cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// There is no service in it.
    #[error("there is no service in it")]
    Empty,
}

impl ImportError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "import-unreadable",
            Self::Empty => "import-empty",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "mend the file, or name the kind with --from",
            Self::Empty => "the compose file needs at least one service with an image",
        }
    }
}

/// Imports one app. `store` holds what its neighbours say; an app of its own has an empty one.
///
/// # Errors
/// The source holds no app that could be read.
pub fn import(source: &Source, store: &Store) -> Result<Import, ImportError> {
    let draft = store::import(source, store)?;
    let head = format!(
        "Imported from a {} source by `archy app import`; see docs/importers.md.",
        source.kind.as_str()
    );
    let manifest = emit::manifest(&draft.app, &head);
    let archy_manifest::Parsed { manifest: parsed, diagnostics } =
        archy_manifest::parse(manifest.as_bytes());
    let mut findings = draft.findings;
    if parsed.is_none() {
        for error in diagnostics.errors() {
            findings.add(
                "invalid-manifest",
                &error.path,
                format!("{}: {}", error.code, error.message),
            );
        }
    }
    Ok(Import {
        id: draft.app.id.clone(),
        kind: source.kind,
        path: source.path.clone(),
        manifest,
        files: draft.package,
        parsed,
        diagnostics: diagnostics.0,
        findings: findings.sorted(),
    })
}
