//! The units of every first-party manifest, as text beside it: a change of a renderer shows as a diff.
//!
//! `ARCHY_UPDATE=1` rewrites them. Podman's own generator looks at the same units on a real node.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use archy_manifest::Manifest;
use archy_manifest::model::{RequirementTarget, Setting};
use archy_manifest::template::Placeholder;
use archy_quadlet::RenderInput;
use archy_types::{Digest, Generation};

/// The catalog's apps and the test apps.
const PLACES: [&str; 2] = ["../../apps", "../apps"];

fn manifests() -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for place in PLACES {
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(place))? {
            let path = entry?.path().join("manifest.yml");
            if path.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn render(id: &str, text: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let manifest = Manifest::parse(text.as_bytes()).map_err(|found| anyhow::anyhow!("{found}"))?;
    let mut host = archy_testkit::host::facts();
    host.values.insert(Placeholder::NodeIdentityPubkeys, "0".repeat(64));
    host.values.insert(Placeholder::BitcoinHost, "bitcoin-node".to_owned());
    for requirement in &manifest.requires {
        if let RequirementTarget::Role(role) = &requirement.target {
            host.values.insert(Placeholder::RoleHost(role.clone()), role.clone());
        }
    }
    // what an owner must fill in
    let example = |setting: &Setting| setting.required.then(|| "example.org".into());
    let value = |setting: &Setting| setting.default.clone().or_else(|| example(setting));
    let settings = manifest.config.iter();
    let config = settings.filter_map(|(key, one)| Some((key.clone(), value(one)?))).collect();
    let input = RenderInput {
        digest: Digest::of(text.as_bytes()),
        generation: Generation(1),
        enabled: true,
        host: &host,
        config,
        port_overrides: BTreeMap::new(),
        secrets_hash: (!manifest.secrets.is_empty()).then(|| "0123456789abcdef".to_owned()),
        package_dir: Some(Path::new("/opt/archipelago/apps").join(id)),
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
    ensure!(all.len() >= 12 + 45, "only {} manifests were found", all.len());
    for manifest in all {
        let text = std::fs::read_to_string(&manifest)?;
        let place = || manifest.display().to_string();
        let id = manifest.parent().and_then(Path::file_name).with_context(place)?;
        let units = render(&id.to_string_lossy(), &text).with_context(place)?;
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
