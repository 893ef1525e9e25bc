//! Which wishes are taken, which are already true, which are denied. Pure.

use archy_plan::{DesiredApp, DesiredState};
use archy_types::{Actor, AppId, AppState, Generation, Timestamp, UserError};

use crate::handle::RequestKind;
use crate::operation::OperationKind;

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
}

/// The app that a request is about.
pub(crate) fn target(kind: &RequestKind) -> &AppId {
    match kind {
        RequestKind::Install { manifest, .. } => &manifest.id,
        RequestKind::Start(app) | RequestKind::Stop(app) | RequestKind::Restart(app) => app,
        RequestKind::Uninstall { app, .. } | RequestKind::Configure { app, .. } => app,
    }
}

/// Decides on a request.
///
/// # Errors
/// The request is denied; the reason is for people.
pub(crate) fn decide(
    current: Option<Current<'_>>,
    kind: &RequestKind,
    actor: &Actor,
    now: Timestamp,
) -> Result<Decision, UserError> {
    if let RequestKind::Install { .. } = kind {
        return Ok(install(current, kind, actor, now));
    }
    let Some(current) = current.filter(|c| !c.desired.is_leaving() || retries_removal(kind)) else {
        return Err(not_installed(target(kind)));
    };
    let wish = |state, kind| {
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
        RequestKind::Start(_) => wish(DesiredState::Running, OperationKind::Start),
        RequestKind::Stop(_) if settled && current.rests() => Ok(Decision::AlreadySo),
        RequestKind::Stop(_) => wish(DesiredState::Stopped, OperationKind::Stop),
        RequestKind::Restart(_) => wish(DesiredState::Running, OperationKind::Restart),
        RequestKind::Uninstall { purge, .. } => {
            let state = if *purge { DesiredState::Purged } else { DesiredState::Removed };
            wish(state, OperationKind::Uninstall)
        }
        RequestKind::Configure { settings, .. } => configure(current, settings, actor, now),
        RequestKind::Install { .. } => Ok(Decision::AlreadySo),
    }
}

impl Current<'_> {
    fn runs(&self) -> bool {
        self.desired.state == DesiredState::Running && self.state == AppState::Running
    }

    fn rests(&self) -> bool {
        self.desired.state == DesiredState::Stopped && self.state == AppState::Stopped
    }
}

fn retries_removal(kind: &RequestKind) -> bool {
    matches!(kind, RequestKind::Uninstall { .. })
}

fn not_installed(app: &AppId) -> UserError {
    UserError::new("app-not-installed", format!("Not found: the app {app} is not installed."))
        .hint("`archy list` shows the installed apps.")
}

fn install(
    current: Option<Current<'_>>,
    kind: &RequestKind,
    actor: &Actor,
    now: Timestamp,
) -> Decision {
    let RequestKind::Install { manifest, digest, package_dir, settings, port_overrides, .. } = kind
    else {
        return Decision::AlreadySo;
    };
    let before = current.map(|c| c.desired);
    let mut app = DesiredApp {
        manifest: manifest.clone(),
        digest: *digest,
        generation: before.map_or(Generation(1), |d| d.generation.next()),
        state: DesiredState::Running,
        actor: actor.clone(),
        since: now,
        settings: before.map(|d| d.settings.clone()).unwrap_or_default(),
        port_overrides: before.map(|d| d.port_overrides.clone()).unwrap_or_default(),
        package_dir: package_dir.clone(),
    };
    merge_settings(&mut app, settings);
    app.port_overrides.extend(port_overrides.iter().map(|(key, port)| (*key, *port)));
    let same = current.is_some_and(|c| {
        !c.busy
            && c.runs()
            && c.desired.digest == app.digest
            && c.desired.settings == app.settings
            && c.desired.port_overrides == app.port_overrides
    });
    if same { Decision::AlreadySo } else { Decision::Do(Box::new(app), OperationKind::Install) }
}

fn configure(
    current: Current<'_>,
    settings: &std::collections::BTreeMap<String, serde_json::Value>,
    actor: &Actor,
    now: Timestamp,
) -> Result<Decision, UserError> {
    let mut app = DesiredApp {
        generation: current.desired.generation.next(),
        actor: actor.clone(),
        since: now,
        ..current.desired.clone()
    };
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
fn merge_settings(
    app: &mut DesiredApp,
    settings: &std::collections::BTreeMap<String, serde_json::Value>,
) {
    for (key, value) in settings {
        if value.is_null() {
            app.settings.remove(key);
        } else {
            app.settings.insert(key.clone(), value.clone());
        }
    }
}
