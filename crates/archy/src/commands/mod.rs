//! One file per command, and the table that finds it.

pub(crate) mod adopt;
pub(crate) mod app;
pub(crate) mod cancel;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod dial;
pub(crate) mod doctor;
pub(crate) mod exec;
pub(crate) mod explain;
pub(crate) mod gate;
mod gating;
pub(crate) mod history;
pub(crate) mod install;
mod lifecycle;
pub(crate) mod list;
pub(crate) mod logs;
pub(crate) mod migrate;
pub(crate) mod outdated;
pub(crate) mod plan;
pub(crate) mod registry;
pub(crate) mod restart;
pub(crate) mod rollback;
pub(crate) mod source;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod support_bundle;
pub(crate) mod uninstall;
pub(crate) mod update;

use crate::cli::Command;
use crate::context::Context;
use crate::error::CommandError;

/// Runs a command: one line each.
pub(crate) async fn dispatch(context: &Context, command: Command) -> Result<(), CommandError> {
    match command {
        Command::App(command) => app::run(context, &command).await,
        Command::Registry(command) => registry::run(context, &command).await,
        Command::Gate(args) => gate::run(context, &args).await,
        Command::Dial(args) => dial::run(context, &args),
        Command::Install(args) => install::run(context, args).await,
        Command::List(args) => list::run(context, &args).await,
        Command::Outdated(args) => outdated::run(context, &args).await,
        Command::Source(command) => source::run(context, &command).await,
        Command::Status(args) => status::run(context, &args).await,
        Command::Plan(args) => plan::run(context, args).await,
        Command::Start(args) => start::run(context, &args).await,
        Command::Stop(args) => stop::run(context, &args).await,
        Command::Cancel(args) => cancel::run(context, &args).await,
        Command::Restart(args) => restart::run(context, &args).await,
        Command::Update(args) => update::run(context, args).await,
        Command::Rollback(args) => rollback::run(context, &args).await,
        Command::Uninstall(args) => uninstall::run(context, &args).await,
        Command::Adopt(args) => adopt::run(context, &args).await,
        Command::Migrate(args) => migrate::run(context, &args).await,
        Command::Logs(args) => logs::run(context, args).await,
        Command::Exec(args) => exec::run(context, args).await,
        Command::Config(command) => config::run(context, command).await,
        Command::History(args) => history::run(context, &args).await,
        Command::Explain(args) => explain::run(context, &args).await,
        Command::Doctor(args) => doctor::run(context, &args).await,
        Command::SupportBundle(args) => support_bundle::run(context, &args).await,
        Command::Completions(args) => completions::run(context, &args),
    }
}
