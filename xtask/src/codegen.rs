//! Generated files that are checked in: the manifest's schema and reference, the API's.
use std::fs;

use anyhow::Context;

use crate::{sh, workspace};

/// A generated file: its place, and the pure function that makes it.
type Generated = (&'static str, fn() -> String);

/// The table of generated files.
const FILES: &[Generated] = &[
    ("docs/manifest.schema.json", archy_manifest::docs::json_schema),
    ("docs/manifest.md", archy_manifest::docs::reference),
    ("docs/openrpc.json", archy_api::document::openrpc_document),
    ("docs/api.md", archy_api::document::reference_markdown),
    ("web/src/api/types.ts", archy_api::document::typescript),
];

/// Places of the files that differ from what would be generated.
///
/// # Errors
/// A file cannot be read.
pub fn stale() -> anyhow::Result<Vec<String>> {
    let mut stale = Vec::new();
    for (place, make) in FILES {
        let text = fs::read_to_string(workspace::root().join(place)).unwrap_or_default();
        if text != make() {
            stale.push((*place).to_owned());
        }
    }
    Ok(stale)
}

/// Says which files are stale.
///
/// # Errors
/// A file cannot be read.
pub fn check() -> anyhow::Result<std::process::ExitCode> {
    let stale = stale()?;
    for place in &stale {
        sh::print(&format!("{place} is stale: run `cargo xtask codegen`"));
    }
    Ok(if stale.is_empty() {
        std::process::ExitCode::SUCCESS
    } else {
        std::process::ExitCode::FAILURE
    })
}

/// Writes the generated files.
///
/// # Errors
/// A file cannot be written.
pub fn write() -> anyhow::Result<()> {
    for (place, make) in FILES {
        let path = workspace::root().join(place);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, make()).with_context(|| format!("writing {}", path.display()))?;
        sh::print(&format!("wrote {place}"));
    }
    Ok(())
}
