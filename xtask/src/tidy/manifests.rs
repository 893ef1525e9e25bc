//! First-party manifests are uniform: one form, no finding, the id of their directory.
use std::path::Path;

use archy_manifest::Manifest;

use super::Finding;

/// Directories with one directory for each app.
const PLACES: &[&str] = &["apps", "tests/apps"];
/// How every manifest begins.
const HEAD: &[&str] = &["id:", "name:", "version:", "description:", "category:"];

/// Every manifest parses without a finding and looks like the others.
pub(super) fn check(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for place in PLACES {
        let Ok(entries) = std::fs::read_dir(root.join(place)) else { continue };
        for entry in entries {
            let dir = entry?.path();
            if dir.is_dir() {
                let path = dir.join("manifest.yml");
                let place = super::relative(root, &path);
                let texts = look(&dir, &path).into_iter();
                findings.extend(texts.map(|text| Finding { place: place.clone(), text }));
            }
        }
    }
    Ok(findings)
}

fn look(dir: &Path, path: &Path) -> Vec<String> {
    let Ok(text) = std::fs::read_to_string(path) else {
        return vec!["is missing, or is not UTF-8".to_owned()];
    };
    let parsed = archy_manifest::parse(text.as_bytes());
    let mut found: Vec<String> =
        parsed.diagnostics.0.iter().map(|d| format!("{}: {}", d.code, d.message)).collect();
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    if parsed.manifest.as_ref().is_some_and(|Manifest { id, .. }| id.as_str() != name) {
        found.push(format!("its id is not {name}, the name of its directory"));
    }
    let mut lines = text.lines().map(str::trim_start).filter(|line| !line.starts_with('#'));
    let begins = lines.next() == Some("app:")
        && HEAD.iter().all(|key| lines.next().is_some_and(|line| line.starts_with(key)));
    if !begins {
        found.push(format!("does not begin with app: {}", HEAD.join(" ")));
    }
    found
}
