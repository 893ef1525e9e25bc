//! `archy registry`: a signed catalog, from its first key to a served directory. Needs no daemon.

mod add;
mod init;
mod key;
mod publish;
mod rotate;
mod serve;
mod sign;
mod verify;

use std::path::{Path, PathBuf};

use archy_registry::schema::Key;
use archy_registry::{Moment, PrivateKey, RegistryError};
use archy_types::UserError;
use clap::Subcommand;

use crate::context::Context;
use crate::error::{CommandError, Kind};

/// What to do with a registry.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Begin a registry in a directory
    Init(init::Args),
    /// Make a signing key, or show one
    Key(key::Args),
    /// Add apps to the catalog, or take one out
    Add(add::Args),
    /// Sign what waits, or one file that was carried here
    Sign(sign::Args),
    /// Publish what waits and is signed; renew the dates when nothing waits
    Publish(publish::Args),
    /// Change the keys of a role; let a publisher in, or revoke one
    Rotate(rotate::Args),
    /// Check a registry as a node would: a directory or an address
    Verify(verify::Args),
    /// Serve a registry's public directory over HTTP
    Serve(serve::Args),
}

/// Runs it.
pub(crate) async fn run(context: &Context, command: &Command) -> Result<(), CommandError> {
    match command {
        Command::Init(args) => init::run(context, args),
        Command::Key(args) => key::run(context, args),
        Command::Add(args) => add::run(context, args),
        Command::Sign(args) => sign::run(context, args),
        Command::Publish(args) => publish::run(context, args),
        Command::Rotate(args) => rotate::run(context, args),
        Command::Verify(args) => verify::run(context, args).await,
        Command::Serve(args) => serve::run(context, args).await,
    }
}

/// Now.
fn now() -> Moment {
    Moment(jiff::Timestamp::now().as_second())
}

/// Private keys from their files.
fn private_keys(paths: &[PathBuf]) -> Result<Vec<PrivateKey>, CommandError> {
    paths.iter().map(|path| PrivateKey::read(path).map_err(failed)).collect()
}

/// Public keys from files: of a private key's own public half, or a `.pub` file.
fn public_keys(paths: &[PathBuf]) -> Result<Vec<Key>, CommandError> {
    paths.iter().map(|path| public_key(path)).collect()
}

fn public_key(path: &Path) -> Result<Key, CommandError> {
    if path.extension().is_some_and(|it| it == "pub") {
        return Key::read(path).map_err(failed);
    }
    PrivateKey::read(path).map(|key| key.public().clone()).map_err(failed)
}

/// A registry's error as a command's.
fn failed(error: RegistryError) -> CommandError {
    let kind = match &error {
        RegistryError::Unreachable(_) | RegistryError::Io { .. } => Kind::Failed,
        RegistryError::Slow { .. } => Kind::Timeout,
        RegistryError::Missing(_) => Kind::NotFound,
        _ => Kind::Refused,
    };
    let error = UserError::from(error);
    let mut out = CommandError::new(kind, error.code.as_str(), error.message);
    out.hints.extend(error.hint);
    out
}
