//! The user manager, connected when it is first needed and again when the bus went away.

use std::sync::Arc;
use std::time::Duration;

use archy_engine::ports::{HostError, HostResult};
use archy_systemd::{Manager, SystemdError};
use tokio::sync::Mutex;

/// How long a connection may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// A connection to the user manager that mends itself. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Bus {
    address: Arc<str>,
    manager: Arc<Mutex<Option<Manager>>>,
}

impl Bus {
    pub(super) fn new(address: &str) -> Self {
        Self { address: address.into(), manager: Arc::default() }
    }

    /// The manager; connects if need be.
    pub(super) async fn manager(&self) -> Result<Manager, SystemdError> {
        let mut held = self.manager.lock().await;
        if let Some(manager) = held.as_ref().filter(|manager| !manager.is_closed()) {
            return Ok(manager.clone());
        }
        let manager = Manager::connect(&self.address, CONNECT_DEADLINE).await?;
        *held = Some(manager.clone());
        Ok(manager)
    }

    /// The manager, its error in the engine's words.
    pub(super) async fn get(&self) -> HostResult<Manager> {
        self.manager().await.map_err(|error| systemd(&error))
    }
}

pub(super) fn systemd(error: &SystemdError) -> HostError {
    HostError { error: error.to_user_error(), retryable: true }
}
