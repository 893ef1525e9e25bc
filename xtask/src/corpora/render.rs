//! Units of an imported app, and what Podman's generator says of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use archy_import::Import;
use archy_manifest::Manifest;
use archy_manifest::model::{RequirementTarget, SettingKind};
use archy_manifest::template::Placeholder;
use archy_quadlet::{HostFacts, RenderInput};
use archy_types::{Digest, Generation, PodmanVersion};
use serde_json::{Value, json};

use super::GENERATOR_LIMIT;

/// Renders the units as for a node, and asks the generator. The number of units, or what is wrong.
pub(super) async fn check(
    import: &Import,
    generator: &Path,
    scratch: &Path,
) -> Result<usize, String> {
    let manifest = import.parsed.as_ref().ok_or("the manifest is not valid")?;
    let host = HostFacts {
        podman: PodmanVersion { major: 5, minor: 4, patch: 2 },
        controllers: ["cpu", "memory", "pids"].map(str::to_owned).to_vec(),
        data_dir: PathBuf::from(archy_manifest::DATA_ROOT),
        health_probe: PathBuf::from("/usr/libexec/archipelago/archy-health"),
        values: values(manifest),
    };
    let input = RenderInput {
        manifest,
        digest: Digest::of(import.manifest.as_bytes()),
        generation: Generation(1),
        enabled: true,
        host: &host,
        config: answers(manifest),
        port_overrides: BTreeMap::new(),
        secrets_hash: Some("0".repeat(64)),
        package_dir: Some(PathBuf::from("/var/lib/archipelago/packages/imported")),
        contexts: BTreeMap::new(),
        local_images: BTreeSet::new(),
        after_units: Vec::new(),
    };
    let deployment = archy_quadlet::render(&input).map_err(|error| error.to_string())?;
    let files: Vec<(String, String)> =
        deployment.files.into_iter().map(|file| (file.file_name, file.text)).collect();
    let count = files.len();
    let report = archy_systemd::check_files(files, scratch, generator, GENERATOR_LIMIT)
        .await
        .map_err(|error| error.to_string())?;
    let mut said: Vec<String> = report.general.clone();
    for (name, file) in &report.files {
        let all = file.errors.iter().chain(&file.warnings);
        said.extend(all.map(|line| format!("{name}: {line}")));
    }
    if said.is_empty() { Ok(count) } else { Err(said.join("; ")) }
}

fn values(manifest: &Manifest) -> BTreeMap<Placeholder, String> {
    let mut values = BTreeMap::from([
        (Placeholder::HostIp, "192.0.2.10".to_owned()),
        (Placeholder::HostMdns, "node.local".to_owned()),
        (Placeholder::DiskGb, "100".to_owned()),
        (Placeholder::PublicHost, "192.0.2.10".to_owned()),
        (Placeholder::BitcoinHost, "bitcoin".to_owned()),
    ]);
    for requirement in &manifest.requires {
        if let RequirementTarget::Role(role) = &requirement.target {
            values.insert(Placeholder::RoleHost(role.clone()), role.clone());
        }
    }
    values
}

/// What an owner would answer: something for every required field.
fn answers(manifest: &Manifest) -> BTreeMap<String, Value> {
    let answer = |kind: &SettingKind| match kind {
        SettingKind::Number { min, .. } => json!(min.unwrap_or(1.0)),
        SettingKind::Boolean => json!(true),
        SettingKind::Choice(choices) => json!(choices.first().cloned().unwrap_or_default()),
        SettingKind::Port => json!(20_000),
        SettingKind::Text { .. } | SettingKind::Secret | SettingKind::Path => json!("example"),
    };
    manifest
        .config
        .iter()
        .filter(|(_, setting)| setting.required && setting.default.is_none())
        .map(|(key, setting)| (key.clone(), answer(&setting.kind)))
        .collect()
}
