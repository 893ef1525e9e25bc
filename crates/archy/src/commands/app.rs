//! `archy app`: manifests, without a daemon.

mod new;
mod render;
mod validate;

use clap::Subcommand;

use crate::context::Context;
use crate::error::CommandError;

/// What to do with manifests.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a first manifest for an app
    New(new::Args),
    /// Check manifests and show every finding with a mend
    Validate(validate::Args),
    /// Print the units that a manifest becomes
    Render(render::Args),
}

/// Runs it.
pub(crate) fn run(context: &Context, command: &Command) -> Result<(), CommandError> {
    match command {
        Command::New(args) => new::run(context, args),
        Command::Validate(args) => validate::run(context, args),
        Command::Render(args) => render::run(context, args),
    }
}
