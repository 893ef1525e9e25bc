//! What the owner wants otherwise than a manifest says, kept in the store.

use std::sync::{PoisonError, RwLock};

use archy_api::gate::{GateAccess, SetAccessParams};
use archy_proxy::Access;
use archy_types::UserError;
use tokio::sync::Notify;

use super::rules::{self, Exceptions};
use crate::app::App;

/// Key of an exception in the settings, before app and port.
const KEY: &str = "gate.access.";

/// The exceptions as they are, and a bell for whoever follows them.
#[derive(Debug, Default)]
pub(super) struct Kept {
    now: RwLock<Exceptions>,
    pub(super) changed: Notify,
}

impl Kept {
    pub(super) fn now(&self) -> Exceptions {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads them from the store.
    pub(super) async fn load(&self, app: &App) -> Result<(), UserError> {
        let settings = app.store.settings(KEY).await?;
        let read = settings.iter().filter_map(|(key, value)| {
            let (id, port) = key.strip_prefix(KEY)?.rsplit_once('.')?;
            let access: GateAccess = serde_json::from_value(value.clone()).ok()?;
            Some(((id.to_owned(), port.parse().ok()?), of(access)))
        });
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = read.collect();
        Ok(())
    }

    /// Makes an exception, or takes it back.
    pub(super) async fn set(&self, app: &App, params: SetAccessParams) -> Result<(), UserError> {
        let SetAccessParams { app: id, port, access } = params;
        if access.is_some() {
            check(app, &id, port)?;
        }
        let value = serde_json::to_value(access).unwrap_or_default();
        app.store.put_setting(&format!("{KEY}{id}.{port}"), value).await?;
        {
            let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
            match access {
                Some(access) => drop(now.insert((id, port), of(access))),
                None => drop(now.remove(&(id, port))),
            }
        }
        self.changed.notify_one();
        Ok(())
    }
}

const fn of(access: GateAccess) -> Access {
    match access {
        GateAccess::Gated => Access::Gated,
        GateAccess::Open => Access::Open,
    }
}

/// Only a port that the gate stands before can have an exception.
fn check(app: &App, id: &str, port: u16) -> Result<(), UserError> {
    let snapshot = app.backends.engine.snapshot();
    let found = rules::staying(&snapshot)
        .find(|view| view.manifest.id.as_str() == id)
        .and_then(|view| view.ports.iter().find(|seen| seen.host == port));
    match found {
        Some(port) if rules::is_ours(port) => Ok(()),
        Some(_) => {
            let message = format!("The app {id} publishes port {port} past the gate.");
            Err(UserError::new("port-past-gate", message).hint(
                "Its manifest says so (`auth: none` or `local`); the app must bind it to 127.0.0.1 and declare `gated` or `open`.",
            ))
        }
        None => {
            let message = format!("The app {id} has no port {port}.");
            Err(UserError::new("port-unknown", message)
                .hint("`archy gate status` lists the ports."))
        }
    }
}
