//! `cargo xtask corpora --path DIR`: imports every app below a directory, checks the manifest,
//! renders the units, shows them to Podman's own generator, and writes the scorecard in
//! `docs/importers.md`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use archy_import::{Files, Import, Source, Store};

use crate::cache::{Cache, write_whole};
use crate::{node, sh, workspace};

mod card;
mod render;

/// How long the generator may take for one app.
const GENERATOR_LIMIT: Duration = Duration::from_secs(20);
/// Largest file that is handed to the importer.
const MAX_FILE: u64 = 1 << 20;

/// What to import.
#[derive(Debug, clap::Args)]
pub struct CorporaArgs {
    /// A directory of stores, or a store: every app below it is imported.
    #[arg(long)]
    pub path: PathBuf,
    /// Podman's Quadlet generator [default: this machine's, else that of the nodes].
    #[arg(long)]
    pub generator: Option<PathBuf>,
    /// Leave the document alone.
    #[arg(long)]
    pub draft: bool,
    /// Print the findings of this app.
    #[arg(long, value_name = "ID")]
    pub show: Option<String>,
    /// Print the apps with this reason.
    #[arg(long, value_name = "CODE")]
    pub reason: Option<String>,
}

/// How far one app came.
pub(crate) struct Outcome {
    /// Name of its store: the directory above it.
    pub(crate) store: String,
    /// Name of its directory.
    pub(crate) name: String,
    /// What the importer made, or why it could not.
    pub(crate) import: Result<Import, String>,
    /// Why no units came out, or what the generator said of them.
    pub(crate) units: Result<usize, String>,
}

impl Outcome {
    pub(crate) fn valid(&self) -> bool {
        self.import.as_ref().is_ok_and(Import::is_valid)
    }

    pub(crate) fn complete(&self) -> bool {
        self.no_edit() && self.import.as_ref().is_ok_and(|import| !import.needs_files())
    }

    pub(crate) fn no_edit(&self) -> bool {
        self.units.is_ok() && self.import.as_ref().is_ok_and(|import| !import.needs_edit())
    }
}

/// Imports all apps and writes the scorecard.
///
/// # Errors
/// The directory cannot be read, there is no generator, or the document cannot be written.
pub fn run(args: &CorporaArgs) -> anyhow::Result<ExitCode> {
    let generator = match &args.generator {
        Some(path) => path.clone(),
        None => generator()?,
    };
    let outcomes = all(&args.path, &generator)?;
    if outcomes.is_empty() {
        bail!("no app was found below {}", args.path.display());
    }
    for outcome in &outcomes {
        let shown = args.show.as_deref() == Some(outcome.name.as_str());
        let has = |import: &Import| {
            import.findings.iter().any(|finding| Some(finding.reason) == args.reason.as_deref())
        };
        if shown {
            sh::print(&card::detail(outcome));
        } else if outcome.import.as_ref().is_ok_and(has) {
            sh::print(&card::reasons(outcome, args.reason.as_deref().unwrap_or_default()));
        }
    }
    let card = card::Card::of(&outcomes);
    sh::print(&card.summary());
    if !args.draft {
        let path = workspace::root().join("docs/importers.md");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        write_whole(&path, card.put_into(&text)?.as_bytes())?;
    }
    Ok(if card.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Podman's generator: of this machine, else of the nodes' base root file system.
fn generator() -> anyhow::Result<PathBuf> {
    if let Ok(found) = archy_systemd::find_generator() {
        return Ok(found);
    }
    let base = node::ensure_base(&Cache::locate()?)?;
    let places =
        archy_systemd::GENERATORS.iter().map(|place| base.join(place.trim_start_matches('/')));
    let found = places.into_iter().find(|path| path.is_file());
    found.context("the nodes' root file system has no Quadlet generator")
}

/// Every store below a directory: the directory itself when apps lie right below it.
fn all(root: &Path, generator: &Path) -> anyhow::Result<Vec<Outcome>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let scratch = workspace::target_dir()?.join("corpora");
    fs::create_dir_all(&scratch)?;
    let mut outcomes = Vec::new();
    for (store, dir) in stores(root)? {
        let files = read(&dir)?;
        let sources = archy_import::find(&files, &store, None);
        let index = Store::new(&sources);
        for source in &sources {
            let import = one(source, &index);
            let units = match &import {
                Ok(import) => runtime.block_on(render::check(import, generator, &scratch)),
                Err(why) => Err(why.clone()),
            };
            outcomes.push(Outcome {
                store: store.clone(),
                name: source.name.clone(),
                import,
                units,
            });
        }
    }
    Ok(outcomes)
}

/// Imports one app; a crash counts as a failure of that app alone.
fn one(source: &Source, store: &Store) -> Result<Import, String> {
    let work = || archy_import::import(source, store).map_err(|error| error.to_string());
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err("the importer crashed".to_owned()))
}

fn stores(root: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let name = |path: &Path| {
        path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let mut dirs = Vec::new();
    for entry in fs::read_dir(root).with_context(|| root.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            dirs.push(path);
        }
    }
    dirs.sort();
    let is_app = |dir: &PathBuf| {
        fs::read_dir(dir).is_ok_and(|entries| {
            entries
                .flatten()
                .any(|entry| entry.path().is_file() && entry.file_name() != "README.md")
        })
    };
    if dirs.iter().any(is_app) {
        return Ok(vec![(name(root), root.to_path_buf())]);
    }
    Ok(dirs.into_iter().map(|dir| (name(&dir), dir)).collect())
}

/// All files below a directory that an importer may want.
fn read(dir: &Path) -> anyhow::Result<Files> {
    let mut files = BTreeMap::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(&at).with_context(|| at.display().to_string())? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() && entry.file_name() != ".git" {
                open.push(path);
            } else if kind.is_file() && entry.metadata()?.len() <= MAX_FILE {
                let relative = path.strip_prefix(dir)?.to_string_lossy().into_owned();
                files.insert(relative, fs::read(&path)?);
            }
        }
    }
    Ok(files)
}
