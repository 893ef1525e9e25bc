//! `archy registry sign`.

use std::path::{Path, PathBuf};

use archy_registry::Project;
use archy_registry::project::{Staged, ceremony};
use serde_json::json;

use crate::context::Context;
use crate::error::{CommandError, Kind};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory of the registry, or one file of its `staged` directory that was carried here
    path: PathBuf,
    /// A private key
    #[arg(long = "key", value_name = "FILE", required_unless_present = "from")]
    keys: Vec<PathBuf>,
    /// Take over the signatures of a file that was signed elsewhere
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

/// Runs it.
pub(crate) fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let keys = super::private_keys(&args.keys)?;
    if args.path.is_file() {
        let signed = ceremony::sign_file(&args.path, &keys).map_err(super::failed)?;
        return context.ui.result(&signed, |_| {
            format!("{} carries {} new signatures.", args.path.display(), signed.by.len())
        });
    }
    let project = Project::open(&args.path).map_err(super::failed)?;
    if let Some(from) = &args.from {
        take_back(&project, from)?;
    }
    let signed = project.sign(&keys).map_err(super::failed)?;
    let waiting = project.waiting().map_err(super::failed)?;
    context.ui.result(&json!({"signed": signed, "waiting": waiting}), |_| table(&waiting))
}

fn take_back(project: &Project, from: &Path) -> Result<(), CommandError> {
    let mut last = None;
    for waiting in project.waiting().map_err(super::failed)? {
        match project.take_back(&waiting.role, from) {
            Ok(()) => return Ok(()),
            Err(error) => last = Some(error),
        }
    }
    let nothing = || CommandError::new(Kind::Refused, "registry-project", "Nothing waits here.");
    Err(last.map_or_else(nothing, super::failed))
}

/// What waits, in lines.
pub(super) fn table(waiting: &[Staged]) -> String {
    if waiting.is_empty() {
        return "Nothing waits.".to_owned();
    }
    let line = |it: &Staged| {
        let state = if it.is_ready() { "ready" } else { "signatures are missing" };
        format!(
            "{} version {}: {} of {} signatures, {state}\n",
            it.role, it.version, it.have, it.need
        )
    };
    waiting.iter().map(line).collect()
}
