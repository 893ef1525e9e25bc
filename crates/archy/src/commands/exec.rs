//! `archy exec`.

use std::time::Duration;

use archy_api::method::PackageExec;
use archy_api::package::ExecParams;

use crate::context::Context;
use crate::error::{CommandError, Kind};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The app
    app: String,
    /// The service [default: the chief one]
    #[arg(long, short, value_name = "NAME")]
    service: Option<String>,
    /// User in the container
    #[arg(long, short, value_name = "NAME")]
    user: Option<String>,
    /// Seconds that the command may take
    #[arg(long, default_value_t = 60, value_name = "SECONDS",
        value_parser = clap::value_parser!(u32).range(1..=3_600))]
    limit: u32,
    /// The command, after `--`
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs it.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), CommandError> {
    let params = ExecParams {
        id: args.app,
        service: args.service,
        command: args.command,
        user: args.user,
        timeout_secs: Some(args.limit),
    };
    // the daemon's own deadline comes first
    let deadline = Duration::from_secs(u64::from(args.limit) + 10);
    let client = context.client.clone().with_deadline(deadline);
    let result = client.call::<PackageExec>(params).await?;
    if context.ui.is_json() {
        context.ui.result(&result, |_| String::new())?;
    } else {
        context.ui.raw(&result.output)?;
    }
    match result.exit_code {
        0 => Ok(()),
        code => Err(CommandError::silent(Kind::Exit(u8::try_from(code).unwrap_or(1)))),
    }
}
