//! The engine's ledger over the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use archy_engine::Replacement;
use archy_engine::ports::{Ending, Ledger, OpenOperation, Previous};
use archy_manifest::Manifest;
use archy_manifest::model::Protocol;
use archy_plan::{DesiredApp, DesiredState, Plan};
use archy_store::{AppRecord, Desired, NewEvent, NewOperation, Phase, Replaced, Store, StoreError};
use archy_types::{Actor, AppId, Cause, Generation, OperationId, Timestamp, UserError};
use serde_json::json;

/// Operations of an app that are asked how long it was away.
const LOOKED_BACK: usize = 20;

/// Key of the store, before an app's id, of the containers in which its hooks have run.
const HOOKED: &str = "hooks-ran/";

/// The store as the engine sees it.
#[derive(Debug, Clone)]
pub struct StoreLedger {
    store: Store,
}

impl StoreLedger {
    /// Wraps the store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    async fn desired(&self, record: AppRecord) -> Result<DesiredApp, UserError> {
        let text = self.store.manifest(record.manifest).await.map_err(user)?.ok_or_else(|| {
            UserError::new("manifest-lost", format!("The manifest of {} is not kept.", record.app))
                .hint("Install the app again; its data is kept.")
        })?;
        let manifest = parsed(&record.app, &text)?;
        Ok(DesiredApp {
            manifest: Arc::new(manifest),
            digest: record.manifest,
            generation: record.generation,
            state: state(record.desired),
            actor: record.actor,
            since: record.since,
            settings: record.settings,
            port_overrides: ports(&record.ports),
            package_dir: record.package_dir,
            data_due: stored(&record.app, "What is due to the data", record.data_due)?,
            adopted: stored(&record.app, "What was adopted", record.adopted)?,
        })
    }
}

/// What an app left that was uninstalled with its data kept, and its generation then.
///
/// # Errors
/// The store cannot be read, or the kept manifest is not understood.
pub(crate) async fn left(
    store: &Store,
    app: &AppId,
) -> Result<Option<(Replacement, Generation)>, UserError> {
    let Some((record, text)) = store.uninstalled(app).await.map_err(user)? else {
        return Ok(None);
    };
    let manifest = parsed(app, &text)?;
    let left = Replacement {
        manifest: Arc::new(manifest),
        text: text.into(),
        digest: record.manifest,
        package_dir: record.package_dir,
        settings: record.settings,
        port_overrides: ports(&record.ports),
    };
    Ok(Some((left, record.generation)))
}

fn parsed(app: &AppId, text: &[u8]) -> Result<Manifest, UserError> {
    Manifest::parse(text).map_err(|diagnostics| {
        let message = format!("The kept manifest of {app} is refused: {diagnostics}");
        UserError::new("manifest-unreadable", message)
            .hint("Install the app again with a newer manifest; its data is kept.")
    })
}

fn ports(stored: &BTreeMap<String, u16>) -> BTreeMap<(u16, Protocol), u16> {
    stored.iter().filter_map(|(key, chosen)| Some((port(key)?, *chosen))).collect()
}

fn stored<T: serde::de::DeserializeOwned>(
    app: &AppId,
    what: &str,
    stored: Option<serde_json::Value>,
) -> Result<Option<T>, UserError> {
    stored.map(serde_json::from_value).transpose().map_err(|error| {
        UserError::new("record-unreadable", format!("{what} of {app}: {error}"))
            .hint("A newer version of Archipelago may have written it.")
    })
}

/// An error of the store; a disk that is full is told with its figures.
fn user(error: StoreError) -> UserError {
    let figures = match &error {
        StoreError::DiskFull { path } => path.parent().and_then(crate::host::facts::figures),
        _ => None,
    };
    let text = match figures {
        Some(figures) => format!("{error}: {figures}"),
        None => error.to_string(),
    };
    UserError::new(error.code(), text).hint(error.hint())
}

const fn state(desired: Desired) -> DesiredState {
    match desired {
        Desired::Running => DesiredState::Running,
        Desired::Stopped => DesiredState::Stopped,
        Desired::Removed => DesiredState::Removed,
        Desired::Purged => DesiredState::Purged,
    }
}

const fn desired(state: DesiredState) -> Desired {
    match state {
        DesiredState::Running => Desired::Running,
        DesiredState::Stopped => Desired::Stopped,
        DesiredState::Removed => Desired::Removed,
        DesiredState::Purged => Desired::Purged,
    }
}

/// `8080/tcp`.
fn port(text: &str) -> Option<(u16, Protocol)> {
    let (number, protocol) = text.split_once('/')?;
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    Some((number.parse().ok()?, protocol))
}

fn port_key((number, protocol): &(u16, Protocol)) -> String {
    let protocol = match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    format!("{number}/{protocol}")
}

/// A desired state as the store keeps it.
pub(crate) fn record(app: &DesiredApp) -> Result<AppRecord, UserError> {
    let due = app.data_due.map(serde_json::to_value).transpose();
    let due = due.map_err(|error| UserError::new("internal", error.to_string()))?;
    let adopted = app.adopted.as_ref().map(serde_json::to_value).transpose();
    let adopted = adopted.map_err(|error| UserError::new("internal", error.to_string()))?;
    Ok(AppRecord {
        app: app.manifest.id.clone(),
        generation: app.generation,
        manifest: app.digest,
        desired: desired(app.state),
        actor: app.actor.clone(),
        since: app.since,
        settings: app.settings.clone(),
        ports: app.port_overrides.iter().map(|(key, port)| (port_key(key), *port)).collect(),
        pinned_version: None,
        package_dir: app.package_dir.clone(),
        data_due: due,
        adopted,
    })
}

fn operation(app: &AppId, kind: &str, actor: &Actor, now: Timestamp) -> NewOperation {
    NewOperation {
        app: Some(app.clone()),
        kind: kind.to_owned(),
        actor: actor.clone(),
        params: json!({}),
        created: now,
    }
}

impl Ledger for StoreLedger {
    async fn load(&self) -> Result<Vec<DesiredApp>, UserError> {
        let mut apps = Vec::new();
        for record in self.store.apps().await.map_err(user)? {
            let app = record.app.clone();
            match self.desired(record).await {
                Ok(desired) => apps.push(desired),
                // one app's fault never holds the others; its units run on untouched
                Err(error) => tracing::error!(%app, %error, "an app could not be loaded"),
            }
        }
        Ok(apps)
    }

    async fn accept(
        &self,
        app: &DesiredApp,
        text: Option<&[u8]>,
        kind: &str,
        now: Timestamp,
    ) -> Result<OperationId, UserError> {
        let new = operation(&app.manifest.id, kind, &app.actor, now);
        let text = text.map(<[u8]>::to_vec);
        let replaced = match kind {
            "update" => Replaced::Keep,
            "rollback" => Replaced::Forget,
            _ => Replaced::AsItIs,
        };
        self.store.accept_replacing(record(app)?, text, new, replaced).await.map_err(user)
    }

    async fn former(&self, app: &AppId) -> Result<Vec<Arc<Manifest>>, UserError> {
        let texts = self.store.manifests().await.map_err(user)?;
        // what cannot be parsed any more named nothing that can be found
        let parsed = texts.iter().filter_map(|text| Manifest::parse(text).ok());
        Ok(parsed.filter(|manifest| manifest.id == *app).map(Arc::new).collect())
    }

    async fn previous(&self) -> Result<Vec<Previous>, UserError> {
        let mut all = Vec::new();
        for previous in self.store.previous().await.map_err(user)? {
            let app = previous.record.app.clone();
            let (replaced_by, replaced) = (previous.replaced_by, previous.replaced);
            match self.desired(previous.record).await {
                Ok(app) => all.push(Previous { app, replaced_by, replaced }),
                Err(error) => tracing::error!(%app, %error, "a former state could not be loaded"),
            }
        }
        Ok(all)
    }

    async fn forget_previous(&self, app: &AppId) -> Result<(), UserError> {
        self.store.forget_previous(app).await.map_err(user)
    }

    async fn turn_back(
        &self,
        operation: OperationId,
        app: &DesiredApp,
        error: &UserError,
    ) -> Result<(), UserError> {
        let cause = Cause { code: error.code.clone(), text: error.message.clone() };
        self.store.turn_back(record(app)?, operation, cause).await.map_err(user)
    }

    async fn forget(&self, app: &AppId) -> Result<(), UserError> {
        let none = serde_json::Value::Null;
        self.store.put_setting(&format!("{HOOKED}{app}"), none).await.map_err(user)?;
        match self.store.forget_app(app, None).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(user(error)),
        }
    }

    async fn open(
        &self,
        app: &AppId,
        kind: &str,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<OperationId, UserError> {
        self.store.queue_operation(operation(app, kind, actor, now)).await.map_err(user)
    }

    async fn planned(
        &self,
        operation: OperationId,
        plan: &Plan,
        now: Timestamp,
    ) -> Result<(), UserError> {
        let steps = plan.steps.iter().map(|planned| archy_plan::describe(&planned.step)).collect();
        let value = serde_json::to_value(plan).map_err(|error| {
            UserError::new("internal", format!("The plan could not be noted: {error}"))
        })?;
        self.store.plan_operation(operation, value, steps, now).await.map(drop).map_err(user)
    }

    async fn step(
        &self,
        operation: OperationId,
        _: u32,
        text: &str,
        now: Timestamp,
    ) -> Result<(), UserError> {
        self.store.next_step(operation, text, now).await.map(drop).map_err(user)
    }

    async fn said(&self, operation: OperationId, text: &str) -> Result<(), UserError> {
        self.store.note_step(operation, text).await.map_err(user)
    }

    async fn away_secs(&self, app: &AppId) -> Result<Option<u32>, UserError> {
        let last = self.store.history(Some(app), None, LOOKED_BACK).await.map_err(user)?;
        let done = last.into_iter().filter(|operation| operation.phase == Phase::Done);
        let mut away = done.map(|operation| {
            let timed = operation.steps.iter().filter_map(|step| {
                Some((step.description.as_str(), step.started?, step.finished?))
            });
            archy_plan::away(&timed.collect::<Vec<_>>())
        });
        Ok(away.find_map(|secs| secs))
    }

    async fn hooked(&self) -> Result<BTreeMap<AppId, BTreeMap<String, String>>, UserError> {
        let kept = self.store.settings(HOOKED).await.map_err(user)?;
        let known = kept.into_iter().filter_map(|(key, value)| {
            let app = AppId::new(key.strip_prefix(HOOKED)?).ok()?;
            // what cannot be read counts as not run
            Some((app, serde_json::from_value(value).ok()?))
        });
        Ok(known.collect())
    }

    async fn note_hooked(
        &self,
        app: &AppId,
        containers: &BTreeMap<String, String>,
    ) -> Result<(), UserError> {
        let value = json!(containers);
        self.store.put_setting(&format!("{HOOKED}{app}"), value).await.map_err(user)
    }

    async fn finish(
        &self,
        operation: OperationId,
        ending: &Ending,
        now: Timestamp,
    ) -> Result<(), UserError> {
        let because =
            |error: &UserError| Cause { code: error.code.clone(), text: error.message.clone() };
        let (phase, cause) = match ending {
            Ending::Done => (Phase::Done, None),
            Ending::Failed(error) => (Phase::Failed, Some(because(error))),
            Ending::RolledBack(error) => (Phase::RolledBack, Some(because(error))),
            Ending::Cancelled(error) => (Phase::Cancelled, Some(because(error))),
            Ending::Superseded => {
                let cause = Cause::new("superseded", "A newer wish took its place.");
                (Phase::Cancelled, Some(cause))
            }
        };
        self.store.finish_operation(operation, phase, cause, now).await.map_err(user)
    }

    async fn open_operations(&self) -> Result<Vec<OpenOperation>, UserError> {
        let open = self.store.open_operations().await.map_err(user)?;
        Ok(open
            .into_iter()
            .filter_map(|operation| {
                Some(OpenOperation {
                    id: operation.id,
                    app: operation.app?,
                    kind: operation.kind,
                    actor: operation.actor,
                    started: operation.created,
                    back: operation.cause.map(|cause| UserError {
                        code: cause.code,
                        message: cause.text,
                        hint: None,
                    }),
                })
            })
            .collect())
    }

    async fn event(
        &self,
        app: &AppId,
        cause: &Cause,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(), UserError> {
        let fields = match json!({ "actor": actor }) {
            serde_json::Value::Object(fields) => fields,
            _ => serde_json::Map::new(),
        };
        let event = NewEvent {
            app: Some(app.clone()),
            at: now,
            kind: cause.code.to_string(),
            text: cause.text.clone(),
            fields,
        };
        self.store.add_events(vec![event]).await.map(drop).map_err(user)
    }
}
