//! Which wishes are taken, which are already true, which are denied. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use archy_manifest::Manifest;
use archy_manifest::model::Protocol;
use archy_plan::{DataDue, DesiredApp, DesiredState};
use archy_types::{Actor, AppId, AppState, Digest, Generation, Timestamp, UserError};

use crate::handle::{Replacement, RequestKind};
use crate::operation::OperationKind;
use crate::ports::Previous;

/// What becomes of a request.
#[derive(Debug, Clone)]
pub(crate) enum Decision {
    /// Becomes an operation towards this desired state.
    Do(Box<DesiredApp>, OperationKind),
    /// Nothing to do.
    AlreadySo,
}

/// What is known of the app that a request names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Current<'a> {
    pub(crate) desired: &'a DesiredApp,
    pub(crate) state: AppState,
    /// An operation is at work or waits.
    pub(crate) busy: bool,
    /// An update or a rollback is at work or waits.
    pub(crate) transaction: bool,
    /// What it was before its last update.
    pub(crate) previous: Option<&'a Previous>,
}

/// A request with who makes it and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) kind: &'a RequestKind,
    pub(crate) actor: &'a Actor,
    pub(crate) now: Timestamp,
}

/// The app that a request is about.
pub(crate) fn target(kind: &RequestKind) -> &AppId {
    match kind {
        RequestKind::Install { manifest, .. } => &manifest.id,
        RequestKind::Update { to, .. } | RequestKind::Adopt { to } => &to.manifest.id,
        RequestKind::PurgeLeft { left, .. } => &left.manifest.id,
        RequestKind::Rollback { app, .. } => app,
        RequestKind::Start(app) | RequestKind::Stop(app) | RequestKind::Restart(app) => app,
        RequestKind::Migrate { app, .. }
        | RequestKind::MigrateBack(app)
        | RequestKind::MigrateCommit(app) => app,
        RequestKind::Uninstall { app, .. } | RequestKind::Configure { app, .. } => app,
    }
}

/// Decides on a request. `keep` is how long an update can be taken back.
///
/// # Errors
/// The request is denied; the reason is for people.
pub(crate) fn decide(
    current: Option<Current<'_>>,
    wish: &Wish<'_>,
    keep: Duration,
) -> Result<Decision, UserError> {
    let Wish { kind, actor, now } = *wish;
    let changes = !matches!(
        kind,
        RequestKind::Start(_)
            | RequestKind::Stop(_)
            | RequestKind::Restart(_)
            | RequestKind::Uninstall { .. }
            | RequestKind::PurgeLeft { .. }
    );
    if changes && current.is_some_and(|current| current.transaction) {
        return Err(busy(target(kind)));
    }
    if let Some(decision) = crate::adopt::decide(current, wish) {
        return decision;
    }
    if let RequestKind::Install { .. } = kind {
        return Ok(install(current, wish));
    }
    if let (None, RequestKind::PurgeLeft { left, generation }) = (current, kind) {
        let app = purge_left(left, generation.next(), wish);
        return Ok(Decision::Do(Box::new(app), OperationKind::Uninstall));
    }
    let Some(current) = current.filter(|c| !c.desired.is_leaving() || retries_removal(kind)) else {
        return Err(not_installed(target(kind)));
    };
    let towards = |state, kind| {
        let app = DesiredApp {
            generation: current.desired.generation.next(),
            state,
            actor: actor.clone(),
            since: now,
            ..current.desired.clone()
        };
        Ok(Decision::Do(Box::new(app), kind))
    };
    let settled = !current.busy;
    match kind {
        RequestKind::Start(_) if settled && current.runs() => Ok(Decision::AlreadySo),
        RequestKind::Start(_) => towards(DesiredState::Running, OperationKind::Start),
        RequestKind::Stop(_) if settled && current.rests() => Ok(Decision::AlreadySo),
        RequestKind::Stop(_) => towards(DesiredState::Stopped, OperationKind::Stop),
        RequestKind::Restart(_) => towards(DesiredState::Running, OperationKind::Restart),
        RequestKind::Uninstall { purge, .. } => {
            let state = if *purge { DesiredState::Purged } else { DesiredState::Removed };
            towards(state, OperationKind::Uninstall)
        }
        RequestKind::PurgeLeft { .. } => towards(DesiredState::Purged, OperationKind::Uninstall),
        RequestKind::Configure { settings, .. } => configure(current, settings, actor, now),
        RequestKind::Update { .. } => Ok(install(Some(current), wish)),
        RequestKind::Rollback { keep_data, .. } => rollback(current, *keep_data, wish, keep),
        RequestKind::Install { .. }
        | RequestKind::Adopt { .. }
        | RequestKind::Migrate { .. }
        | RequestKind::MigrateBack(_)
        | RequestKind::MigrateCommit(_) => Ok(Decision::AlreadySo),
    }
}

fn busy(app: &AppId) -> UserError {
    UserError::new("busy", format!("An update of {app} is under way."))
        .hint(format!("Wait for it; `archy status {app}` shows it."))
}

/// Back to what the app was before its last update.
fn rollback(
    current: Current<'_>,
    keep_data: bool,
    wish: &Wish<'_>,
    keep: Duration,
) -> Result<Decision, UserError> {
    let id = &current.desired.manifest.id;
    let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
    let within = |previous: &&Previous| previous.replaced.plus_millis(keep) > wish.now;
    let Some(previous) = current.previous.filter(within) else {
        let message = format!("{id} has no update that can be taken back.");
        return Err(UserError::new("rollback-impossible", message)
            .hint("An update can be taken back as long as its snapshot is kept: 7 days unless configured."));
    };
    let generation = current.desired.generation.next();
    let snapshot = previous.replaced_by;
    let app = DesiredApp {
        generation,
        state: current.desired.state,
        actor: wish.actor.clone(),
        since: wish.now,
        data_due: (!keep_data).then_some(DataDue::Restore { snapshot, wish: generation }),
        // a way back from a migration that was given up since stays given up
        adopted: current.desired.adopted.clone(),
        ..previous.app.clone()
    };
    Ok(Decision::Do(Box::new(app), OperationKind::Rollback))
}

impl Current<'_> {
    fn runs(&self) -> bool {
        self.desired.state == DesiredState::Running && self.state == AppState::Running
    }

    fn rests(&self) -> bool {
        self.desired.state == DesiredState::Stopped && self.state == AppState::Stopped
    }
}

/// An app that is not there any more, so that what it left goes.
fn purge_left(left: &Replacement, generation: Generation, wish: &Wish<'_>) -> DesiredApp {
    DesiredApp {
        manifest: left.manifest.clone(),
        digest: left.digest,
        generation,
        state: DesiredState::Purged,
        actor: wish.actor.clone(),
        since: wish.now,
        settings: left.settings.clone(),
        port_overrides: left.port_overrides.clone(),
        package_dir: left.package_dir.clone(),
        data_due: None,
        adopted: None,
    }
}

fn retries_removal(kind: &RequestKind) -> bool {
    matches!(kind, RequestKind::Uninstall { .. } | RequestKind::PurgeLeft { .. })
}

fn not_installed(app: &AppId) -> UserError {
    UserError::new("app-not-installed", format!("Not found: the app {app} is not installed."))
        .hint("`archy list` shows the installed apps.")
}

/// What an install or an update brings an app to.
struct To<'a> {
    manifest: &'a Arc<Manifest>,
    digest: Digest,
    package_dir: Option<&'a PathBuf>,
    settings: &'a BTreeMap<String, serde_json::Value>,
    ports: &'a BTreeMap<(u16, Protocol), u16>,
}

impl<'a> To<'a> {
    fn of(kind: &'a RequestKind) -> Option<Self> {
        match kind {
            RequestKind::Install {
                manifest,
                digest,
                package_dir,
                settings,
                port_overrides,
                ..
            } => Some(Self {
                manifest,
                digest: *digest,
                package_dir: package_dir.as_ref(),
                settings,
                ports: port_overrides,
            }),
            RequestKind::Update { to, .. } => Some(Self {
                manifest: &to.manifest,
                digest: to.digest,
                package_dir: to.package_dir.as_ref(),
                settings: &to.settings,
                ports: &to.port_overrides,
            }),
            _ => None,
        }
    }
}

fn install(current: Option<Current<'_>>, wish: &Wish<'_>) -> Decision {
    let Some(to) = To::of(wish.kind) else { return Decision::AlreadySo };
    let before = current.map(|c| c.desired);
    let updates = matches!(wish.kind, RequestKind::Update { .. });
    let generation = before.map_or(Generation(1), |d| d.generation.next());
    let replaces = before.is_some_and(|d| !d.is_leaving() && d.digest != to.digest);
    let mut app = DesiredApp {
        manifest: to.manifest.clone(),
        digest: to.digest,
        generation,
        // an update leaves an app stopped that is stopped
        state: before.filter(|_| updates).map_or(DesiredState::Running, |d| d.state),
        actor: wish.actor.clone(),
        since: wish.now,
        settings: before.map(|d| d.settings.clone()).unwrap_or_default(),
        port_overrides: before.map(|d| d.port_overrides.clone()).unwrap_or_default(),
        package_dir: to.package_dir.cloned(),
        data_due: match before {
            Some(_) if replaces => Some(DataDue::Snapshot { generation }),
            Some(before) if !before.is_leaving() => before.data_due,
            _ => None,
        },
        // what was migrated keeps its way back
        adopted: before.filter(|d| !d.is_leaving()).and_then(|d| d.adopted.clone()),
    };
    merge_settings(&mut app, to.settings);
    app.port_overrides.extend(to.ports.iter().map(|(key, port)| (*key, *port)));
    let same = current.is_some_and(|c| {
        !c.busy
            && (c.runs() || (updates && c.rests()))
            && c.desired.digest == app.digest
            && c.desired.settings == app.settings
            && c.desired.port_overrides == app.port_overrides
    });
    if same {
        return Decision::AlreadySo;
    }
    let kind = if replaces { OperationKind::Update } else { OperationKind::Install };
    Decision::Do(Box::new(app), kind)
}

fn configure(
    current: Current<'_>,
    settings: &BTreeMap<String, serde_json::Value>,
    actor: &Actor,
    now: Timestamp,
) -> Result<Decision, UserError> {
    let before = current.desired;
    // a setting does not stop a stopped app anew
    let stopped = before.state == DesiredState::Stopped;
    let since = if stopped { before.since } else { now };
    let (generation, actor) = (before.generation.next(), actor.clone());
    let mut app = DesiredApp { generation, actor, since, ..before.clone() };
    if let Some(key) = settings.keys().find(|key| !app.manifest.config.contains_key(*key)) {
        let known: Vec<&str> = app.manifest.config.keys().map(String::as_str).collect();
        return Err(UserError::new(
            "setting-unknown",
            format!("Invalid setting: {} has no setting {key:?}.", app.manifest.id),
        )
        .hint(format!("Its settings are: {}.", known.join(", "))));
    }
    merge_settings(&mut app, settings);
    if app.settings == current.desired.settings {
        return Ok(Decision::AlreadySo);
    }
    Ok(Decision::Do(Box::new(app), OperationKind::Configure))
}

/// `null` puts a setting back to its default.
fn merge_settings(app: &mut DesiredApp, settings: &BTreeMap<String, serde_json::Value>) {
    for (key, value) in settings {
        if value.is_null() {
            app.settings.remove(key);
        } else {
            app.settings.insert(key.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests;
