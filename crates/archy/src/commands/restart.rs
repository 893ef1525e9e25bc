//! `archy restart`.

use archy_api::method::PackageRestart;

use super::lifecycle::{self, Words};
use crate::context::Context;
use crate::error::CommandError;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Apps
    #[arg(required = true, value_name = "APP")]
    apps: Vec<String>,
}

/// Runs it.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let words =
        Words { done: "is restarted", going: "is being restarted", already: "needs no restart" };
    lifecycle::run::<PackageRestart>(context, &args.apps, words).await
}
