//! `archy registry rotate`.

use std::path::PathBuf;

use archy_registry::Project;
use archy_registry::project::Change;
use serde_json::json;

use crate::context::Context;
use crate::error::CommandError;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory of the registry
    dir: PathBuf,
    /// `root`, `targets`, `snapshot`, `timestamp`, or a publisher, who is let in when new
    role: String,
    /// A key to add, `.pub` or private
    #[arg(long = "add", value_name = "FILE")]
    add: Vec<PathBuf>,
    /// Id of a key to take away, or its beginning
    #[arg(long = "remove", value_name = "ID")]
    remove: Vec<String>,
    /// Signatures needed
    #[arg(long, value_name = "N")]
    threshold: Option<u32>,
    /// An app that the publisher may offer; `*` and `?` stand for others
    #[arg(long = "app", value_name = "PATTERN")]
    apps: Vec<String>,
    /// Take the publisher away, with all apps
    #[arg(long, conflicts_with_all = ["add", "remove", "threshold", "apps"])]
    revoke: bool,
}

/// Runs it.
pub(crate) fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let project = Project::open(&args.dir).map_err(super::failed)?;
    let change = Change {
        role: args.role.clone(),
        add: super::public_keys(&args.add)?,
        remove: args.remove.clone(),
        threshold: args.threshold,
        apps: (!args.apps.is_empty()).then(|| args.apps.clone()),
        revoke: args.revoke,
    };
    project.rotate(&change, super::now()).map_err(super::failed)?;
    let waiting = project.waiting().map_err(super::failed)?;
    context.ui.result(&json!({"waiting": waiting}), |_| super::sign::table(&waiting))
}
