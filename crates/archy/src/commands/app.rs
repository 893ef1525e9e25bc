//! `archy app`: manifests, and the test of an app.

mod import;
mod new;
mod render;
pub(super) mod test;
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
    /// Make manifests of a compose file, or of the apps of another store
    Import(import::Args),
    /// Print the units that a manifest becomes
    Render(render::Args),
    /// Run an app's whole life on a node, and give a signed result
    Test(Box<test::Args>),
}

/// Runs it.
pub(crate) async fn run(context: &Context, command: &Command) -> Result<(), CommandError> {
    match command {
        Command::New(args) => new::run(context, args),
        Command::Validate(args) => validate::run(context, args),
        Command::Import(args) => import::run(context, args),
        Command::Render(args) => render::run(context, args),
        Command::Test(args) => test::run(context, args).await,
    }
}
