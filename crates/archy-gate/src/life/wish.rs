//! Wishes to the daemon, asked for until they are fulfilled.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use archy_api::method::{
    PackageConfigSet, PackageHistory, PackageInstall, PackageRestart, PackageRollback,
    PackageStart, PackageStop, PackageUninstall, PackageUpdate,
};
use archy_api::package::{
    AppParams, HistoryParams, InstallParams, OperationRecord, Outcome, RollbackParams,
    SetConfigParams, UninstallParams, UpdateParams,
};
use archy_api::state::{PackageData, StateData};
use archy_client::ClientError;
use archy_types::{AppState, Health};
use serde_json::Value;

use super::{Stage, Subject};
use crate::node::{Call, Node, must, put};
use crate::outcome::Fault;

/// How long an app may take to become as wished, beside its grace and soak.
const SETTLE: Duration = Duration::from_secs(420);
/// How long the daemon may be away when nothing was done to it.
const AWAY: Duration = Duration::from_secs(20);
/// Pause between two questions.
const PAUSE: Duration = Duration::from_millis(500);
/// The journal is read at least this often while an operation is waited for.
const LOOK: Duration = Duration::from_secs(2);
/// How often is asked after a harm: the first request may have been lost or taken back.
const MOST_REQUESTS: u32 = 4;
/// Exit status of Podman itself: not the app's.
const PODMAN_STATUS: i32 = 125;

/// What is wished of an app.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wish {
    Install,
    Stop,
    Start,
    Restart,
    Configure(BTreeMap<String, Value>),
    Update,
    BackOut,
    Uninstall { purge: bool },
}

impl Wish {
    const fn word(&self) -> &'static str {
        match self {
            Self::Install => "installed",
            Self::Stop => "stopped",
            Self::Start => "started",
            Self::Restart => "restarted",
            Self::Configure(_) => "configured",
            Self::Update => "updated",
            Self::BackOut => "back at its version",
            Self::Uninstall { .. } => "gone",
        }
    }

    /// What is seen instead of what was wished; nothing when it is fulfilled.
    pub(super) fn lacks(&self, app: Option<&PackageData>, subject: &Subject) -> Option<String> {
        let Some(app) = app else {
            let gone = matches!(self, Self::Uninstall { .. });
            return (!gone).then(|| "it is not installed".to_owned());
        };
        let wished = match self {
            Self::Uninstall { .. } => return Some(told(app)),
            Self::Stop => AppState::Stopped,
            _ => AppState::Running,
        };
        let digest = match self {
            Self::Install | Self::BackOut => Some(subject.spec.digest.clone()),
            Self::Update => Some(next_digest(subject)),
            _ => None,
        };
        let open = app.operation.as_ref().is_some_and(|operation| operation.error.is_none());
        let other = digest.is_some_and(|digest| digest != app.digest);
        match app.status.state == wished && !open && !other {
            true => None,
            false if other => Some(format!("another version: {}", told(app))),
            false => Some(told(app)),
        }
    }
}

pub(super) fn next_digest(subject: &Subject) -> String {
    archy_types::Digest::of(subject.spec.next.as_bytes()).to_string()
}

/// An app's state in words.
fn told(app: &PackageData) -> String {
    let status = &app.status;
    let mut text = format!("{:?} ({}: {})", status.state, status.cause.code, status.cause.text);
    if let Some(operation) = &app.operation {
        text.push_str(&format!("; {}: {}", operation.kind, operation.text));
        if let Some(error) = &operation.error {
            text.push_str(&format!(" ({}: {})", error.code, error.message));
        }
    }
    text
}

/// A container of the app ended by itself, or its health check fails.
fn sick(app: &PackageData) -> bool {
    app.services.iter().any(|service| {
        let ended = service.exit_status.is_some_and(|s| s != 0 && s != PODMAN_STATUS);
        (service.unit_state == "failed" && ended) || service.health == Health::Unhealthy
    })
}

/// Refusals that a harm explains: the world is looked at again, and asked again.
fn passes(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. }
        | ClientError::Timeout { .. }
        | ClientError::Protocol(_) => true,
        ClientError::Rejected(_) => !matches!(error.code(), "manifest-invalid" | "invalid-params"),
        _ => false,
    }
}

fn refused(error: &ClientError) -> Fault {
    match error {
        ClientError::Unreachable { .. } | ClientError::Timeout { .. } => {
            Fault::DaemonAway(error.to_string())
        }
        other => Fault::Refused { code: other.code().to_owned(), message: other.to_string() },
    }
}

impl<N: Node> Stage<'_, N> {
    /// The app as last heard of.
    pub(super) fn app(&self, id: &str) -> Option<PackageData> {
        let heard = self.watch.heard().borrow().clone();
        heard.data.and_then(|data| data.package_data.get(id).cloned())
    }

    /// Asks for a wish and waits until it is fulfilled; gives how often it was asked for. After a harm (`rough`) it
    /// may have been lost or taken back, and is asked for again.
    pub(super) async fn reach(
        &self,
        subject: &Subject,
        wish: &Wish,
        rough: bool,
    ) -> Result<u32, Fault> {
        let soak = subject.spec.manifest.update.soak_secs;
        let extra = subject.spec.grace_secs().saturating_add(soak);
        let end = Instant::now() + SETTLE + Duration::from_secs(u64::from(extra));
        let mut requests = 0;
        loop {
            if requests > 0 {
                self.rest(subject, end).await;
                if wish.lacks(self.app(subject.spec.id()).as_ref(), subject).is_none() {
                    return Ok(requests);
                }
            }
            requests += 1;
            let again = rough && requests < MOST_REQUESTS && Instant::now() < end;
            let fault = match self.ask(subject, wish).await {
                Err(error) if again && passes(&error) => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Err(error) => return Err(refused(&error)),
                Ok(operation) => {
                    let ended = match operation {
                        Some(id) => self.ended(subject, id, end, rough).await,
                        None => Ok(()),
                    };
                    match ended {
                        Ok(()) => match self.settled(subject, wish, end).await {
                            Ok(()) => return Ok(requests),
                            Err(fault) => fault,
                        },
                        Err(fault) => fault,
                    }
                }
            };
            if !again {
                return Err(fault);
            }
        }
    }

    async fn ask(&self, subject: &Subject, wish: &Wish) -> Result<Option<i64>, ClientError> {
        let id = subject.spec.id().to_owned();
        let client = &self.client;
        let app = AppParams { id: id.clone() };
        Ok(match wish {
            Wish::Install => {
                let params = self.target(subject, &subject.spec.text).await?;
                client.call::<PackageInstall>(params).await?.operation
            }
            Wish::Update => {
                let target = self.target(subject, &subject.spec.next).await?;
                let consent = Some(next_digest(subject));
                client.call::<PackageUpdate>(UpdateParams { target, consent }).await?.operation
            }
            Wish::Stop => client.call::<PackageStop>(app).await?.operation,
            Wish::Start => client.call::<PackageStart>(app).await?.operation,
            Wish::Restart => client.call::<PackageRestart>(app).await?.operation,
            Wish::Configure(settings) => {
                let params = SetConfigParams { id, settings: settings.clone() };
                client.call::<PackageConfigSet>(params).await?.operation
            }
            Wish::BackOut => {
                let params = RollbackParams { id, keep_data: false };
                client.call::<PackageRollback>(params).await?.operation
            }
            Wish::Uninstall { purge } => {
                let params = UninstallParams { id, purge: *purge };
                client.call::<PackageUninstall>(params).await?.operation
            }
        })
    }

    async fn target(&self, subject: &Subject, text: &str) -> Result<InstallParams, ClientError> {
        let spec = &subject.spec;
        let mut params = InstallParams {
            id: spec.id().to_owned(),
            manifest: Some(text.to_owned()),
            path: spec.directory.clone(),
            ..InstallParams::default()
        };
        if !spec.files.is_empty() {
            let directory = format!("/var/tmp/archy-gate-{}", spec.id());
            let manifest = [("manifest.yml".to_owned(), spec.text.clone().into_bytes())];
            for (path, bytes) in spec.files.iter().chain(&manifest) {
                let to = format!("{directory}/{path}");
                let parent = to.rsplit_once('/').map_or(directory.as_str(), |(parent, _)| parent);
                // without its files the daemon refuses the package, and says which one is missing
                let _made = must(self.node, Call::user(["mkdir", "-p", "--", parent])).await;
                let _put = put(self.node, &to, bytes.clone()).await;
            }
            params.path = Some(directory);
        }
        Ok(params)
    }

    /// Waits for the end of an operation.
    async fn ended(
        &self,
        subject: &Subject,
        id: i64,
        end: Instant,
        rough: bool,
    ) -> Result<(), Fault> {
        let mut heard = self.watch.heard();
        let mut away: Option<Instant> = None;
        loop {
            let data = heard.borrow_and_update().data.clone();
            if !at_work(data.as_ref(), subject.spec.id(), id) {
                match self.record(subject.spec.id(), id).await {
                    Ok(Some(record)) if record.outcome == Outcome::Running => away = None,
                    Ok(Some(record)) => return self.outcome(subject, &record),
                    Ok(None) => return Err(unknown_operation(id)),
                    Err(error) => {
                        let since = *away.get_or_insert_with(Instant::now);
                        if !rough && since.elapsed() > AWAY {
                            return Err(refused(&error));
                        }
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
            if Instant::now() >= end {
                return Err(self.late(subject, "at an end of its operation"));
            }
            // nothing heard for a while is no failure: the journal is read
            let _heard = tokio::time::timeout(LOOK, heard.changed()).await;
        }
    }

    async fn record(&self, app: &str, id: i64) -> Result<Option<OperationRecord>, ClientError> {
        let mine = Some(app.to_owned());
        let params = HistoryParams { id: mine, limit: Some(50), ..HistoryParams::default() };
        let history = self.client.call::<PackageHistory>(params).await?;
        Ok(history.operations.into_iter().find(|record| record.id == id))
    }

    fn outcome(&self, subject: &Subject, record: &OperationRecord) -> Result<(), Fault> {
        if record.outcome == Outcome::Done {
            return Ok(());
        }
        let (code, message) = match &record.error {
            Some(error) => (error.code.to_string(), error.message.clone()),
            None => (format!("{:?}", record.outcome).to_lowercase(), String::new()),
        };
        let app_sick = self.app(subject.spec.id()).is_some_and(|app| sick(&app));
        Err(Fault::Operation { kind: record.kind.clone(), code, message, app_sick })
    }

    /// Waits until a wish is fulfilled and nothing is under way.
    pub(super) async fn settled(
        &self,
        subject: &Subject,
        wish: &Wish,
        end: Instant,
    ) -> Result<(), Fault> {
        let mut heard = self.watch.heard();
        loop {
            let now = heard.borrow_and_update().clone();
            let app = now.data.as_ref().and_then(|data| data.package_data.get(subject.spec.id()));
            if now.live && now.data.is_some() && wish.lacks(app, subject).is_none() {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(self.late(subject, wish.word()));
            }
            let _heard = tokio::time::timeout(LOOK, heard.changed()).await;
        }
    }

    /// As [`Self::settled`] with the usual deadline.
    pub(super) async fn settles(&self, subject: &Subject, wish: &Wish) -> Result<(), Fault> {
        self.settled(subject, wish, Instant::now() + SETTLE).await
    }

    /// Waits until no operation on the app is under way.
    async fn rest(&self, subject: &Subject, end: Instant) {
        let mut heard = self.watch.heard();
        while Instant::now() < end {
            let now = heard.borrow_and_update().clone();
            let app = now.data.as_ref().and_then(|data| data.package_data.get(subject.spec.id()));
            let busy = app.is_some_and(|app| {
                app.operation.as_ref().is_some_and(|operation| operation.error.is_none())
                    || app.status.state.is_transient()
            });
            if now.live && !busy {
                return;
            }
            let _heard = tokio::time::timeout(LOOK, heard.changed()).await;
        }
    }

    fn late(&self, subject: &Subject, wished: &str) -> Fault {
        let app = self.app(subject.spec.id());
        let mut seen = app.as_ref().map_or_else(|| "it is not installed".to_owned(), told);
        if !self.watch.heard().borrow().live {
            seen.push_str("; the daemon does not answer");
        }
        let app_sick = app.is_some_and(|app| sick(&app));
        Fault::NotSettled { wished: wished.to_owned(), seen, app_sick }
    }
}

fn at_work(data: Option<&Arc<StateData>>, app: &str, id: i64) -> bool {
    let app = data.and_then(|data| data.package_data.get(app));
    app.and_then(|app| app.operation.as_ref())
        .is_some_and(|operation| operation.id == id && operation.error.is_none())
}

fn unknown_operation(id: i64) -> Fault {
    Fault::Operation {
        kind: "operation".to_owned(),
        code: "operation-unknown".to_owned(),
        message: format!("the journal does not know the operation {id} that was accepted"),
        app_sick: false,
    }
}
