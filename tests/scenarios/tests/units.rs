//! The units of every first-party manifest, as text beside it: a change of a renderer shows as a diff.
//!
//! `ARCHY_UPDATE=1` rewrites them. Podman's own generator looks at the same units on a real node.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use archy_manifest::Manifest;
use archy_quadlet::RenderInput;
use archy_types::{Digest, Generation};

fn manifests() -> anyhow::Result<Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../apps");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&root)? {
        let path = entry?.path().join("manifest.yml");
        if path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn render(text: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let manifest = Manifest::parse(text.as_bytes()).map_err(|found| anyhow::anyhow!("{found}"))?;
    let host = archy_testkit::host::facts();
    let defaults = manifest.config.iter();
    let config = defaults.filter_map(|(key, s)| Some((key.clone(), s.default.clone()?))).collect();
    let input = RenderInput {
        digest: Digest::of(text.as_bytes()),
        generation: Generation(1),
        enabled: true,
        host: &host,
        config,
        port_overrides: BTreeMap::new(),
        secrets_hash: (!manifest.secrets.is_empty()).then(|| "0123456789abcdef".to_owned()),
        package_dir: None,
        contexts: BTreeMap::new(),
        local_images: std::collections::BTreeSet::new(),
        after_units: Vec::new(),
        manifest: &manifest,
    };
    let deployment = archy_quadlet::render(&input)?;
    Ok(deployment.files.into_iter().map(|file| (file.file_name, file.text)).collect())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the person at the keyboard asks for new files by it"
)]
fn rewrites() -> bool {
    std::env::var_os("ARCHY_UPDATE").is_some()
}

#[test]
fn every_manifest_becomes_the_units_beside_it() -> anyhow::Result<()> {
    let update = rewrites();
    let all = manifests()?;
    ensure!(all.len() >= 12, "only {} manifests were found", all.len());
    for manifest in all {
        let text = std::fs::read_to_string(&manifest)?;
        let units = render(&text).with_context(|| manifest.display().to_string())?;
        let dir = manifest.with_file_name("units");
        if update {
            std::fs::create_dir_all(&dir)?;
            for entry in std::fs::read_dir(&dir)? {
                std::fs::remove_file(entry?.path())?;
            }
            for (name, text) in &units {
                std::fs::write(dir.join(name), text)?;
            }
        }
        let mut kept = BTreeMap::new();
        for entry in std::fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            kept.insert(name, std::fs::read_to_string(entry.path())?);
        }
        ensure!(kept.keys().eq(units.keys()), "{}: other files: {:?}", dir.display(), units.keys());
        for (name, text) in &units {
            let diff = similar::TextDiff::from_lines(&kept[name], text);
            ensure!(
                kept[name] == *text,
                "{}/{name} differs (ARCHY_UPDATE=1 rewrites it):\n{}",
                dir.display(),
                diff.unified_diff()
            );
        }
    }
    Ok(())
}
