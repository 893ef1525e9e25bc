//! Starts the daemon. Exit codes: 0 told to stop, 1 failed, 2 the configuration is wrong.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use archipelago::config::{Config, ConfigError, Flags, Sources, User};
use archipelago::net::activation::Handed;
use archipelago::net::serve::Limits;
use archipelago::{Daemon, connect, logging, recovery};
use archy_types::UserError;
use clap::Parser as _;
use tokio::task::JoinHandle;

fn main() -> ExitCode {
    let flags = Flags::parse();
    let env: Vec<_> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let journal = env.iter().find(|(name, _)| name == "JOURNAL_STREAM").map(|(_, v)| v.clone());
    let config = match read(&flags, env) {
        Ok(config) => config,
        Err(error) => {
            complain(&format!("configuration: {error}"));
            return ExitCode::from(2);
        }
    };
    if flags.check_config {
        config.warnings.iter().for_each(|warning| complain(&format!("warning: {warning}")));
        return ExitCode::SUCCESS;
    }
    if flags.rebuild_store {
        return rebuild(&config, flags.even_if_whole);
    }
    match run(config, journal.is_some_and(|stream| logging::is_stderr(&stream))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Builds the store again and says on standard output, as JSON, what was done.
fn rebuild(config: &Config, even_if_whole: bool) -> ExitCode {
    let work = async {
        connect::prepare(config)?;
        recovery::open(config, even_if_whole).await
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.map_err(|error| UserError::new("runtime", error.to_string()));
    let report = outcome.and_then(|runtime| runtime.block_on(work)).map(|opened| opened.report);
    let (text, code) = match &report {
        Ok(report) => (serde_json::to_string(report), ExitCode::SUCCESS),
        Err(error) => (serde_json::to_string(error), ExitCode::FAILURE),
    };
    // nobody is left to tell when standard output is gone
    _ = writeln!(std::io::stdout(), "{}", text.unwrap_or_default());
    code
}

fn read(flags: &Flags, env: Vec<(String, String)>) -> Result<Config, ConfigError> {
    Config::read(Sources::new(env, flags.settings()), flags.config.clone(), &User::current())
}

/// Writes a line for the person or unit that started the daemon.
fn complain(text: &str) {
    // nobody is left to tell when standard error is gone
    if writeln!(std::io::stderr(), "archipelago: {text}").is_err() {}
}

fn run(config: Config, under_systemd: bool) -> anyhow::Result<()> {
    logging::init(&config.logging, under_systemd).context("logging")?;
    // two crypto back ends may be linked; name the one that is used
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a crypto provider was installed before");
    }
    tracing::info!(version = archipelago::app::VERSION, file = %config.file.display(), "starting");
    config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    // before any thread exists, since it takes variables out of the environment
    let handed = Handed::take().context("sockets handed over by systemd")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(config, handed))
}

async fn serve(config: Config, handed: Handed) -> anyhow::Result<()> {
    connect::prepare(&config).map_err(told)?;
    let opened = recovery::open(&config, false).await.map_err(told)?;
    let (backends, engine) = connect::connect(&config, opened.store.clone()).await.map_err(told)?;
    let daemon = Daemon::start(config, backends, opened, handed, Limits::default());
    let daemon = daemon.await.map_err(told)?;
    tokio::select! {
        outcome = daemon.run() => outcome.context("signals"),
        reason = failed(engine) => Err(anyhow!("the engine failed: {reason}")),
    }
}

/// Waits for the engine's task to fail; its end in good order is part of stopping.
async fn failed(engine: JoinHandle<()>) -> String {
    match engine.await {
        Ok(()) => std::future::pending().await,
        Err(error) => error.to_string(),
    }
}

/// An error with its hint on one line.
fn told(error: UserError) -> anyhow::Error {
    match &error.hint {
        Some(hint) => anyhow!("{} [{}] ({hint})", error.message, error.code),
        None => anyhow!("{} [{}]", error.message, error.code),
    }
}
