//! `archy app import`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use archy_import::{Import, Kind as SourceKind, Source, Store};

use crate::context::Context;
use crate::error::{CommandError, Kind};

mod read;
mod report;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A compose file, the directory of an app, or that of a whole store
    path: PathBuf,
    /// Kind of the source [default: guessed]
    #[arg(long, value_enum, value_name = "KIND")]
    from: Option<From>,
    /// Write each app into a directory of its own below this one
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace manifests that are there
    #[arg(long, requires = "out")]
    force: bool,
    /// Form of the report
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    report: Form,
}

/// Kind of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum From {
    /// A compose file of its own
    Compose,
    /// umbrel-app.yml beside a compose file
    Umbrel,
    /// config.json beside a compose file, in YAML or JSON
    Runtipi,
    /// A compose file with x-casaos
    Casaos,
}

/// Form of the report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

impl From {
    const fn kind(self) -> SourceKind {
        match self {
            Self::Compose => SourceKind::Compose,
            Self::Umbrel => SourceKind::Umbrel,
            Self::Runtipi => SourceKind::Runtipi,
            Self::Casaos => SourceKind::Casaos,
        }
    }
}

/// What became of one app.
struct Outcome {
    source: Source,
    result: Result<Import, CommandError>,
    /// The manifest that was written.
    written: Option<PathBuf>,
}

/// Runs it.
pub(crate) fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let files = read::files(&args.path)?;
    let name = read::name(&args.path);
    let sources = archy_import::find(&files, &name, args.from.map(From::kind));
    if sources.is_empty() {
        let message = format!("{} holds no app that could be imported.", args.path.display());
        return Err(CommandError::new(Kind::NotFound, "import-nothing", message)
            .hint("An app is a directory with a compose file, for example docker-compose.yml."));
    }
    let store = Store::new(&sources);
    let mut outcomes = Vec::new();
    let mut ids: BTreeSet<String> = BTreeSet::new();
    for source in sources {
        let result = archy_import::import(&source, &store).map_err(|error| {
            let place = if source.path.is_empty() { &source.name } else { &source.path };
            let message = format!("{place} cannot be imported: {error}.");
            CommandError::new(Kind::Refused, error.code(), message).hint(error.hint())
        });
        let mut outcome = Outcome { source, result, written: None };
        let made = match (&outcome.result, &args.out) {
            (Ok(import), Some(out)) => Some(write(args, out, import, &mut ids)),
            _ => None,
        };
        match made {
            Some(Ok(path)) => outcome.written = Some(path),
            Some(Err(error)) => outcome.result = Err(error),
            None => {}
        }
        outcomes.push(outcome);
    }
    show(context, args, &outcomes)?;
    let bad = |outcome: &Outcome| !outcome.result.as_ref().is_ok_and(Import::is_valid);
    match outcomes.iter().find(|outcome| bad(outcome)) {
        None => Ok(()),
        Some(Outcome { result: Err(error), .. }) if outcomes.len() == 1 => Err(error.clone()),
        Some(_) => Err(CommandError::silent(Kind::Refused)),
    }
}

fn show(context: &Context, args: &Args, outcomes: &[Outcome]) -> Result<(), CommandError> {
    if args.report == Form::Json || context.ui.is_json() {
        return context.ui.raw(&report::json(outcomes));
    }
    for outcome in outcomes {
        if let (Err(error), true) = (&outcome.result, outcomes.len() > 1) {
            context.ui.error(error);
        }
    }
    match outcomes {
        [Outcome { result: Ok(import), written: None, .. }] => {
            context.ui.tell(&report::findings(import));
            context.ui.raw(&import.manifest)
        }
        [Outcome { result: Err(_), .. }] => Ok(()),
        _ => context.ui.raw(&report::text(outcomes)),
    }
}

/// Writes the package of an app.
fn write(
    args: &Args,
    out: &Path,
    import: &Import,
    ids: &mut BTreeSet<String>,
) -> Result<PathBuf, CommandError> {
    if !ids.insert(import.id.clone()) {
        let message =
            format!("{} has the id {}, which another app has too.", import.path, import.id);
        return Err(CommandError::new(Kind::Refused, "import-id-taken", message)
            .hint("Import it alone into another directory, and give it another id."));
    }
    let dir = out.join(&import.id);
    let manifest = dir.join("manifest.yml");
    if manifest.exists() && !args.force {
        let message = format!("{} is already there.", manifest.display());
        return Err(CommandError::new(Kind::Refused, "manifest-exists", message)
            .hint("Choose another directory with --out, or replace it with --force."));
    }
    let failed = |path: &Path, error: &std::io::Error| {
        let message = format!("{} cannot be written: {error}.", path.display());
        CommandError::new(Kind::Failed, "out-unwritable", message)
    };
    let all = import.files.iter().map(|(name, bytes)| (dir.join(name), bytes.as_slice()));
    // the manifest last: what it names is there when it is
    for (path, bytes) in all.chain([(manifest.clone(), import.manifest.as_bytes())]) {
        let parent = path.parent().unwrap_or(&dir);
        std::fs::create_dir_all(parent).map_err(|error| failed(parent, &error))?;
        std::fs::write(&path, bytes).map_err(|error| failed(&path, &error))?;
    }
    Ok(manifest)
}
