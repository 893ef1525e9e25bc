//! Typed client of the daemon over its unix socket or HTTPS.
//!
//! [`Client::call`] makes one call with a deadline; [`Client::logs`] streams log lines;
//! [`Client::watch`] follows the state and goes on by sequence number after a lost connection.
//! Every call opens a connection of its own, so a client is cheap to clone and holds nothing.

mod call;
mod connect;
mod error;
mod logs;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use error::ClientError;
pub use logs::LogStream;
pub use watch::{StateUpdate, StateWatch};

use connect::{Https, Target};

/// Deadline of a call unless another one is chosen.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(15);

/// A session over HTTPS.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// Value of the `session` cookie.
    pub token: String,
    /// Value of the `csrf_token` cookie.
    pub csrf: String,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session(…)")
    }
}

/// A client of one daemon.
#[derive(Debug, Clone)]
pub struct Client {
    target: Arc<Target>,
    session: Option<Session>,
    deadline: Duration,
}

impl Client {
    /// A client over the daemon's unix socket. Nothing is opened yet.
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self {
            target: Arc::new(Target::Unix(path.into())),
            session: None,
            deadline: DEFAULT_DEADLINE,
        }
    }

    /// A client over HTTPS that trusts the certificates in `ca_pem` (the node's CA) and no other.
    ///
    /// # Errors
    /// [`ClientError::Address`] when `url` is not `https://host[:port]` or `ca_pem` holds no
    /// certificate.
    pub fn https(url: &str, ca_pem: &[u8], session: Option<Session>) -> Result<Self, ClientError> {
        let https = Https::new(url, ca_pem)?;
        Ok(Self { target: Arc::new(Target::Https(https)), session, deadline: DEFAULT_DEADLINE })
    }

    /// The same client with another deadline per call.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The session, if there is one.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }
}
