//! Invariant 2: what an app needs is in its manifest, so no app's id stands in the code.
use std::path::Path;

use super::Finding;

/// Directories with manifests whose ids must not stand in `crates/`.
const MANIFESTS: &[&str] = &["apps", "tests/apps"];

/// Ids that are words of the code as well.
const COMMON_WORDS: &[&str] =
    &["probe", "files", "web", "git", "website", "sync", "metrics", "objects", "relay"];

/// No quoted string of the crates, tests apart, is an app's id.
pub(super) fn check(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let mut ids = Vec::new();
    for place in MANIFESTS {
        let Ok(entries) = std::fs::read_dir(root.join(place)) else { continue };
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !COMMON_WORDS.contains(&name.as_str()) {
                ids.push(name);
            }
        }
    }
    let mut findings = Vec::new();
    for file in super::rust_files(&root.join("crates"))? {
        let text = std::fs::read_to_string(&file)?;
        for (number, line) in super::files::code_lines(&file, &text) {
            if line.trim_start().starts_with("//") {
                continue;
            }
            if let Some(id) = ids.iter().find(|id| line.contains(&format!("\"{id}\""))) {
                let place = format!("{}:{number}", super::relative(root, &file));
                let text = format!("names the app {id}: say it in the manifest's schema instead");
                findings.push(Finding { place, text });
            }
        }
    }
    Ok(findings)
}
