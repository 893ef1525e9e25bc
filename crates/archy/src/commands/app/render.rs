//! `archy app render`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use archy_manifest::Manifest;
use archy_manifest::model::RequirementTarget;
use archy_manifest::template::Placeholder;
use archy_quadlet::{Deployment, HostFacts, RenderInput};
use archy_types::{Digest, Generation, PodmanVersion, UserError};
use serde_json::json;

use crate::context::Context;
use crate::error::{CommandError, Kind};
use crate::manifest_file;
use crate::settings;
use crate::ui::Style;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The manifest, or the directory that holds it
    path: PathBuf,
    /// Version of Podman to render for
    #[arg(long, default_value = "5.4.0", value_name = "VERSION")]
    podman: PodmanVersion,
    /// Cgroup controllers that the host delegates
    #[arg(long, value_delimiter = ',', default_value = "cpu,memory,pids", value_name = "LIST")]
    controllers: Vec<String>,
    /// Data directory of the platform
    #[arg(long, default_value = "/var/lib/archipelago", value_name = "PATH")]
    data_dir: PathBuf,
    /// Path of the health probe on the host
    #[arg(long, default_value = "/usr/libexec/archipelago/archy-health", value_name = "PATH")]
    health_probe: PathBuf,
    /// A setting, as KEY=VALUE
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Value of a placeholder, as NAME=VALUE, for example HOST_IP=10.0.0.5
    #[arg(long = "value", value_name = "NAME=VALUE")]
    values: Vec<String>,
    /// Write the units into this directory instead of printing them
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
}

/// Runs it.
pub(crate) fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let file = manifest_file::read(&args.path)?;
    let manifest = file.valid()?;
    let host = HostFacts {
        podman: args.podman,
        controllers: args.controllers.clone(),
        data_dir: args.data_dir.clone(),
        health_probe: args.health_probe.clone(),
        values: values(manifest, &args.values)?,
    };
    let input = RenderInput {
        manifest,
        digest: Digest::of(&file.bytes),
        generation: Generation(1),
        enabled: true,
        host: &host,
        config: config(manifest, &args.settings)?,
        port_overrides: BTreeMap::new(),
        secrets_hash: None,
        package_dir: Some(file.package_dir()?),
        contexts: BTreeMap::new(),
        local_images: BTreeSet::new(),
        after_units: Vec::new(),
    };
    let deployment = archy_quadlet::render(&input).map_err(|error| {
        let error = UserError::from(error);
        let mut refused = CommandError::new(Kind::Refused, error.code.as_str(), error.message);
        refused.hints.extend(error.hint);
        refused
    })?;
    for left_out in &deployment.not_enforced {
        context.ui.warn(&format!(
            "the {} limit of {} is not enforced here",
            left_out.controller, left_out.service
        ));
    }
    match &args.out {
        Some(dir) => write(context, dir, &deployment),
        None => print(context, &deployment),
    }
}

fn print(context: &Context, deployment: &Deployment) -> Result<(), CommandError> {
    let json: Vec<_> = deployment
        .files
        .iter()
        .map(|file| json!({"file": file.file_name, "unit": file.unit, "text": file.text}))
        .collect();
    context.ui.result(&json, |paint| {
        let mut out = String::new();
        for file in &deployment.files {
            let head = format!("# {} ({})", file.file_name, file.unit);
            out.push_str(&format!(
                "{}\n{}\n",
                paint.paint(Style::Strong, &head),
                file.text.trim_end()
            ));
            out.push('\n');
        }
        out
    })
}

fn write(context: &Context, dir: &Path, deployment: &Deployment) -> Result<(), CommandError> {
    let failed = |error: std::io::Error| {
        let text = format!("{} cannot be written: {error}.", dir.display());
        CommandError::new(Kind::Failed, "out-unwritable", text)
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    let mut paths = Vec::new();
    for file in &deployment.files {
        let path = dir.join(&file.file_name);
        std::fs::write(&path, &file.text).map_err(failed)?;
        paths.push(path);
    }
    context.ui.result(&paths, |_| {
        let lines: Vec<_> = paths.iter().map(|path| format!("Wrote {}.", path.display())).collect();
        lines.join("\n")
    })
}

/// Values of placeholders: the given ones, else stand-ins that are plainly examples.
fn values(
    manifest: &Manifest,
    given: &[String],
) -> Result<BTreeMap<Placeholder, String>, CommandError> {
    let mut values = BTreeMap::from([
        (Placeholder::HostIp, "192.0.2.10".to_owned()),
        (Placeholder::HostMdns, "node.local".to_owned()),
        (Placeholder::DiskGb, "100".to_owned()),
        (Placeholder::PublicHost, "192.0.2.10".to_owned()),
        (Placeholder::BitcoinHost, "bitcoin".to_owned()),
        (Placeholder::NodeIdentityPubkeys, "0".repeat(64)),
        (Placeholder::NodeNostrPubkey, "0".repeat(64)),
    ]);
    for requirement in &manifest.requires {
        if let RequirementTarget::Role(role) = &requirement.target {
            values.insert(Placeholder::RoleHost(role.clone()), role.clone());
        }
    }
    for text in given {
        let (name, value) = settings::pair(text)?;
        let known = values.keys().find(|key| key.to_string() == name).cloned();
        let Some(key) = known else {
            let names: Vec<_> = values.keys().map(ToString::to_string).collect();
            return Err(CommandError::new(
                Kind::Usage,
                "placeholder-unknown",
                format!("{name} is no placeholder of this manifest."),
            )
            .hint(format!("Known are {}.", names.join(", "))));
        };
        values.insert(key, value);
    }
    Ok(values)
}

/// Settings: the given ones, else defaults.
fn config(
    manifest: &Manifest,
    given: &[String],
) -> Result<BTreeMap<String, serde_json::Value>, CommandError> {
    let kind = |key: &str| {
        manifest.config.get(key).map(|setting| super::super::install::kind(&setting.kind))
    };
    let chosen = settings::collect(given, kind)?;
    let mut config: BTreeMap<_, _> = manifest
        .config
        .iter()
        .filter_map(|(key, setting)| Some((key.clone(), setting.default.clone()?)))
        .collect();
    for (key, value) in chosen {
        let setting = manifest.config.get(&key).ok_or_else(|| {
            CommandError::new(
                Kind::NotFound,
                "setting-unknown",
                format!("There is no setting {key}."),
            )
        })?;
        setting.kind.check(&value).map_err(|why| {
            CommandError::new(
                Kind::Refused,
                "setting-invalid",
                format!("The value of {key} {why}."),
            )
        })?;
        config.insert(key, value);
    }
    Ok(config)
}
