//! `archy registry add`.

use std::path::{Path, PathBuf};

use archy_registry::Project;
use archy_registry::project::AppFiles;
use archy_types::AppId;
use serde_json::json;

use crate::context::Context;
use crate::error::{CommandError, Kind};
use crate::manifest_file;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory of the registry
    dir: PathBuf,
    /// Manifests, or directories of packages; an icon (`icon.svg`, `.png`, `.webp`) comes along
    #[arg(value_name = "PATH", required_unless_present = "remove")]
    apps: Vec<PathBuf>,
    /// Add them to this publisher's part
    #[arg(long, value_name = "NAME", default_value = "targets", hide_default_value = true)]
    publisher: String,
    /// Result of the gate (JSON); with one app only
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// Take an app out
    #[arg(long, value_name = "APP", conflicts_with = "apps")]
    remove: Option<String>,
    /// Sign at once with this key
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
}

/// An app's files, read.
struct Package {
    manifest: Vec<u8>,
    icon: Option<(&'static str, Vec<u8>)>,
    test: Option<Vec<u8>>,
}

/// Runs it.
pub(crate) fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let project = Project::open(&args.dir).map_err(super::failed)?;
    let now = super::now();
    if let Some(app) = &args.remove {
        let id = AppId::new(app.clone()).map_err(|error| {
            CommandError::new(Kind::Usage, "id-invalid", format!("The id {app:?} {error}."))
        })?;
        project.remove(&args.publisher, &id, now).map_err(super::failed)?;
        sign(&project, args)?;
        return context
            .ui
            .result(&json!({"removed": id}), |_| format!("{id} is out of the catalog."));
    }
    if args.test.is_some() && args.apps.len() > 1 {
        let text = "A test result belongs to one app.";
        return Err(CommandError::new(Kind::Usage, "registry-test", text));
    }
    let packages: Result<Vec<Package>, CommandError> =
        args.apps.iter().map(|path| read(context, args, path)).collect();
    let packages = packages?;
    let files = packages.iter().map(|package| AppFiles {
        manifest: &package.manifest,
        icon: package.icon.as_ref().map(|(kind, icon)| (*kind, icon.as_slice())),
        test: package.test.as_deref(),
    });
    let added = project.add(&args.publisher, files, now).map_err(super::failed)?;
    sign(&project, args)?;
    let rows = added.iter();
    let rows: Vec<_> =
        rows.map(|it| json!({"id": it.id, "version": it.version, "before": it.before})).collect();
    context.ui.result(&json!({"added": rows}), |_| {
        let line = |it: &archy_registry::project::Added| match &it.before {
            Some(before) => format!("{} {} (was {before})\n", it.id, it.version),
            None => format!("{} {}\n", it.id, it.version),
        };
        added.iter().map(line).collect()
    })
}

fn sign(project: &Project, args: &Args) -> Result<(), CommandError> {
    let keys = super::private_keys(&args.keys)?;
    project.sign(&keys).map(drop).map_err(super::failed)
}

fn read(context: &Context, args: &Args, path: &Path) -> Result<Package, CommandError> {
    let file = manifest_file::read(path)?;
    file.valid()?;
    for warning in file.diagnostics.warnings() {
        context.ui.warn(&format!("{}:{warning}", file.name()));
    }
    let dir = file.package_dir()?;
    let mut icon = None;
    for kind in ["svg", "png", "webp"] {
        let path = dir.join(format!("icon.{kind}"));
        if icon.is_none() && path.is_file() {
            icon = Some((kind, bytes(&path)?));
        }
    }
    let test = args.test.as_deref().map(bytes).transpose()?;
    Ok(Package { manifest: file.bytes, icon, test })
}

fn bytes(path: &Path) -> Result<Vec<u8>, CommandError> {
    std::fs::read(path).map_err(|error| {
        let text = format!("{} cannot be read: {error}.", path.display());
        CommandError::new(Kind::NotFound, "registry-io", text)
    })
}
