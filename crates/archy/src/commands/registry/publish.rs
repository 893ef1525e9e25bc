//! `archy registry publish`.

use std::path::PathBuf;

use archy_registry::Project;

use crate::context::Context;
use crate::error::CommandError;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory of the registry
    dir: PathBuf,
    /// A private key that signs snapshot and timestamp; others sign what waits for them
    #[arg(long = "key", value_name = "FILE", required = true)]
    keys: Vec<PathBuf>,
}

/// Runs it.
pub(crate) fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let project = Project::open(&args.dir).map_err(super::failed)?;
    let keys = super::private_keys(&args.keys)?;
    project.sign(&keys).map_err(super::failed)?;
    let published = project.publish(&keys, super::now()).map_err(super::failed)?;
    context.ui.result(&published, |_| {
        format!(
            "Published in {}, good until {}.\nFingerprint for owners to compare: {}",
            project.public().display(),
            published.good_until,
            published.fingerprint
        )
    })
}
