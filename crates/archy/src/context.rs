//! What every command is given: the printer, the client, how to wait.

use std::path::{Path, PathBuf};
use std::time::Duration;

use archy_api::paths;
use archy_client::Client;

use crate::cli::Global;
use crate::environment::Environment;
use crate::ui::Ui;

/// What a command may use.
#[derive(Debug)]
pub(crate) struct Context {
    /// The printer.
    pub(crate) ui: Ui,
    /// The client; opens a connection only when it is used.
    pub(crate) client: Client,
    /// Wait for operations to end.
    pub(crate) wait: bool,
    /// Longest wait.
    pub(crate) timeout: Duration,
    /// The environment.
    pub(crate) environment: Environment,
    /// The daemon's socket.
    pub(crate) socket: PathBuf,
}

impl Context {
    /// From the global options.
    pub(crate) fn new(global: &Global, environment: Environment, ui: Ui) -> Self {
        let socket = global.socket.clone().unwrap_or_else(|| default_socket(&environment));
        Self {
            ui,
            client: Client::unix(&socket),
            wait: global.wait || !global.no_wait,
            timeout: Duration::from_secs(global.timeout),
            environment,
            socket,
        }
    }
}

/// The node's socket, or the user's own daemon's when only that one is there.
fn default_socket(environment: &Environment) -> PathBuf {
    let node = Path::new(paths::SOCKET);
    let user = environment.runtime_dir.as_ref().map(|dir| dir.join(paths::USER_SOCKET));
    match user {
        Some(user) if !node.exists() && user.exists() => user,
        _ => node.to_owned(),
    }
}
