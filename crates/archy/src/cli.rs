//! Arguments: what belongs to every command, and the list of commands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    adopt, app, cancel, completions, config, dial, doctor, exec, explain, gate, history, install,
    list, logs, migrate, outdated, plan, registry, restart, rollback, source, start, status, stop,
    support_bundle, uninstall, update,
};

/// Runs apps on this machine from their manifests.
#[derive(Debug, Parser)]
#[command(name = "archy", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 refused or invalid manifest, \
4 not found, 5 daemon unreachable, 6 timeout, 7 unauthorized.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print results and errors only
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Socket of the daemon
    #[arg(long, global = true, value_name = "PATH", env = "ARCHY_SOCKET", hide_env_values = true)]
    pub(crate) socket: Option<PathBuf>,
    /// Wait until the work has ended (the default)
    #[arg(long, global = true, overrides_with = "no_wait")]
    pub(crate) wait: bool,
    /// Return as soon as the work is accepted
    #[arg(long, global = true, overrides_with = "wait")]
    pub(crate) no_wait: bool,
    /// Give up waiting after so many seconds; the work itself goes on
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 3600)]
    pub(crate) timeout: u64,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write, check, render and test manifests
    #[command(subcommand)]
    App(app::Command),
    /// Make, sign, publish and serve a catalog of apps
    #[command(subcommand)]
    Registry(registry::Command),
    /// Run the whole life of several apps together on a node, several times
    Gate(Box<gate::Args>),
    /// Connect standard input and output to the daemon
    #[command(hide = true)]
    Dial(dial::Args),
    /// Install an app, or bring an installed one to a manifest
    Install(install::Args),
    /// List apps
    List(list::Args),
    /// List apps of which a newer version is offered
    Outdated(outdated::Args),
    /// List, add, remove and refresh the catalogs that apps come from
    #[command(subcommand)]
    Source(source::Command),
    /// Show the node, or one app in detail
    Status(status::Args),
    /// Show what an action would do, without doing it
    Plan(plan::Args),
    /// Start apps
    Start(start::Args),
    /// Stop apps; they stay stopped
    Stop(stop::Args),
    /// Restart apps with environment and files resolved afresh
    Restart(restart::Args),
    /// Update apps; what fails is taken back with its data
    Update(update::Args),
    /// Bring back what an app was before its last update
    Rollback(rollback::Args),
    /// Cancel an installation, update or migration at work; the app goes back to what it was
    Cancel(cancel::Args),
    /// Uninstall apps; their data stays unless --purge is given
    Uninstall(uninstall::Args),
    /// Adopt containers that Archipelago did not make, as they are; without an app list them
    Adopt(adopt::Args),
    /// Make an adopted app Archipelago's own, with its data and ports; --rollback takes that back
    Migrate(migrate::Args),
    /// Show an app's log
    Logs(logs::Args),
    /// Run a command in an app's container; its exit code is returned
    Exec(exec::Args),
    /// Show or change an app's settings
    #[command(subcommand)]
    Config(config::Command),
    /// Show what was done, newest first
    History(history::Args),
    /// Say in sentences why an app is as it is, and what comes next
    Explain(explain::Args),
    /// Look for what is wrong with this machine, say how to mend it, and mend it with --fix
    Doctor(doctor::Args),
    /// Write one file for somebody who helps, without secrets
    SupportBundle(support_bundle::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
}
