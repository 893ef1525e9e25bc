//! The node that is tested, behind a narrow port: its daemon, programs on it, reboot, power.

mod bridge;
mod chosen;
mod local;
mod program;
mod run;
mod stream;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use archy_client::Client;

pub use chosen::Chosen;
pub use local::{Local, ServiceUser};
pub use program::Program;
pub use stream::Io;

use crate::phase::Capability;

/// How long a program on the node may take when nothing else is said.
pub const CALL_LIMIT: Duration = Duration::from_secs(60);

/// As whom a program runs on the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The service user.
    User,
    /// Root.
    Root,
}

/// A program to run on the node; no shell is involved.
#[derive(Debug, Clone)]
pub struct Call {
    /// As whom.
    pub who: Who,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// What it reads on standard input.
    pub input: Option<Vec<u8>>,
    /// How long it may take.
    pub limit: Duration,
}

impl Call {
    /// A program as the service user.
    pub fn user<S: AsRef<str>>(argv: impl IntoIterator<Item = S>) -> Self {
        let argv = argv.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        Self { who: Who::User, argv, input: None, limit: CALL_LIMIT }
    }

    /// A program as root.
    pub fn root<S: AsRef<str>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self { who: Who::Root, ..Self::user(argv) }
    }

    /// With input.
    #[must_use]
    pub fn input(self, input: Vec<u8>) -> Self {
        Self { input: Some(input), ..self }
    }
}

/// What a program has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Exit status; 128 and the number of a signal that ended it.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// It ended with 0.
    #[must_use]
    pub const fn ok(&self) -> bool {
        self.status == 0
    }

    /// What it said, on one line, for a message.
    #[must_use]
    pub fn said(&self) -> String {
        let all = format!("{} {}", self.stdout, self.stderr);
        let line = all.split_whitespace().collect::<Vec<_>>().join(" ");
        let cut: String = line.chars().take(400).collect();
        format!("exit {}: {cut}", self.status)
    }

    /// Lines of its output without white space around them, empty ones left out.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.stdout.lines().map(str::trim).filter(|line| !line.is_empty())
    }
}

/// Why the node did not do what it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// This driver cannot do that.
    #[error("{0}")]
    Incapable(String),
    /// The driver or the node failed.
    #[error("{0}")]
    Failed(String),
    /// It took too long.
    #[error("{what} did not end within {} s", .limit.as_secs())]
    Timeout {
        /// What.
        what: String,
        /// The deadline.
        limit: Duration,
    },
}

/// A node. Answers of [`Node::exec`] with an exit status other than 0 are no errors.
pub trait Node {
    /// How it is reached, for the record.
    fn driver(&self) -> String;

    /// Whether it allows something.
    ///
    /// # Errors
    /// Why not, in words.
    fn can(&self, capability: Capability) -> Result<(), String>;

    /// A client of its daemon; each call opens a connection of its own.
    fn client(&self) -> Client;

    /// Runs a program on it.
    fn exec(&self, call: Call) -> impl Future<Output = Result<Output, NodeError>>;

    /// Opens a connection to an address as the node itself sees it.
    fn connect(&self, to: SocketAddr) -> impl Future<Output = Result<Box<dyn Io>, NodeError>>;

    /// Restarts its daemon; the daemon need not answer yet.
    fn restart_daemon(&self) -> impl Future<Output = Result<(), NodeError>>;

    /// Reboots it in good order, until programs run on it again.
    fn reboot(&self) -> impl Future<Output = Result<(), NodeError>>;

    /// Cuts its power and boots it again, until programs run on it again.
    fn power_cut(&self) -> impl Future<Output = Result<(), NodeError>>;
}

/// Writes a file as the service user; its directory is there.
///
/// # Errors
/// It cannot be written.
pub async fn put<N: Node>(node: &N, path: &str, bytes: Vec<u8>) -> Result<(), NodeError> {
    must(node, Call::user(writer(path)).input(bytes)).await.map(drop)
}

/// A program that writes what it reads into a file, synced. It reads the stream that it has: one that was opened by
/// somebody else cannot be opened again by name.
pub(crate) fn writer(path: &str) -> Vec<String> {
    let to = format!("of={path}");
    ["dd", &to, "conv=fsync", "status=none"].map(str::to_owned).to_vec()
}

/// Runs a program that must work.
///
/// # Errors
/// It could not be run, or ended with another status than 0.
pub async fn must<N: Node>(node: &N, call: Call) -> Result<Output, NodeError> {
    let what = call.argv.join(" ");
    let output = node.exec(call).await?;
    if output.ok() {
        return Ok(output);
    }
    let what: String = what.chars().take(160).collect();
    Err(NodeError::Failed(format!("`{what}`: {}", output.said())))
}
