//! The command line `archy`.
//!
//! Reads arguments, runs one command, prints through one [`ui::Ui`], and turns the kind of a
//! failure into an exit code. It talks to the daemon through `archy-client` alone; `app new`,
//! `app validate` and `app render` need no daemon.

mod cli;
mod commands;
mod context;
mod environment;
mod error;
mod manifest_file;
mod settings;
mod ui;
mod wait;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::Cli;
use crate::context::Context;
use crate::environment::Environment;
use crate::error::{CommandError, Kind};
use crate::ui::Ui;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let environment = Environment::read();
    let ui = Ui::new(&cli.global, &environment);
    let context = Context::new(&cli.global, environment, ui);
    let outcome = run(&context, cli.command);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            context.ui.error(&error);
            ExitCode::from(error.kind.exit_code())
        }
    }
}

fn run(context: &Context, command: cli::Command) -> Result<(), CommandError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
            CommandError::new(Kind::Failed, "runtime", format!("Cannot start: {error}."))
        })?;
    runtime.block_on(commands::dispatch(context, command))
}
