//! `package.*`: what changes apps, and what tells about them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use archy_api::package::{
    AcceptedResult, AppParams, AvailableApp, AvailableResult, BrokenManifest, CancelParams,
    ExecParams, ExecResult, HistoryParams, HistoryResult, InstallParams, InstallResult,
    OperationRecord, Outcome, PortChoice, UninstallParams,
};
use archy_api::rpc::{ErrorObject, FORBIDDEN, ManifestFinding, NoParams};
use archy_catalog::Entry;
use archy_engine::{Accepted, AppView, Cancel, Request, RequestKind};
use archy_manifest::Manifest;
use archy_manifest::model::ImageSource;
use archy_plan::DesiredState;
use archy_store::{Operation, Phase, StepState};
use archy_types::{Actor, AppId, OperationId, ServiceName, UserError};

use super::table::{Answer, Call};
use super::{config, ports, rights};
use crate::app::App;
use crate::catalog::{self, Refusal};
use crate::net::Peer;
use crate::pictures;

/// Operations in one answer when no limit is given, and at most.
const HISTORY: (u32, u32) = (50, 500);
/// Deadline of a command in seconds when none is given, and at most.
const EXEC: (u32, u32) = (60, 3600);

pub(super) async fn available(app: &App, _: &Call, _: NoParams) -> Answer<AvailableResult> {
    tokio::task::block_in_place(|| app.catalog.refresh());
    let snapshot = app.backends.engine.snapshot();
    let apps = app.catalog.offers().into_iter().map(|offer| {
        let manifest = offer.manifest();
        AvailableApp {
            id: manifest.id.to_string(),
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            description: manifest.description.clone(),
            category: manifest.category.clone(),
            source: match catalog::source_of(app, &offer).as_str() {
                source @ ("local" | "bundled") => source.to_owned(),
                _ => "registry".to_owned(),
            },
            registry: app.registries.has(&offer.source).then(|| offer.source.to_string()),
            stale: app.registries.stale(&offer.source).is_some(),
            installed: snapshot.apps.contains_key(&manifest.id),
            icon: pictures::icon(manifest),
            screenshots: pictures::screenshots(manifest),
            needs: rights::needs(manifest),
            rights: rights::of(manifest),
        }
    });
    let broken = app.catalog.broken().into_iter();
    Ok(AvailableResult {
        apps: apps.collect(),
        broken: broken.map(|b| BrokenManifest { name: b.name, error: b.error }).collect(),
    })
}

pub(super) async fn install(
    app: &App,
    call: &Call,
    params: InstallParams,
) -> Answer<InstallResult> {
    let (id, asked) = (params.id.clone(), params.docker_image.clone());
    let own = params.path.is_some();
    let mut kind = install_kind(app, call, params).await?;
    let mut warning = None;
    if let RequestKind::Install { manifest, settings, .. } = &mut kind {
        warning = asked.and_then(|asked| other_image(manifest, &asked));
        *settings = config::keep_secrets(app, manifest, std::mem::take(settings)).await?;
    }
    let package = own.then(|| package_of(&kind)).flatten();
    let accepted = submit(app, call, kind, "install").await?;
    if let Some(package) = package {
        keep(app, &package);
    }
    Ok(InstallResult {
        package_id: id,
        status: "installing".to_owned(),
        operation: operation(accepted),
        warning,
    })
}

/// The package of a request.
pub(super) fn package_of(kind: &RequestKind) -> Option<Entry> {
    let (manifest, text, digest, dir) = match kind {
        RequestKind::Install { manifest, text, digest, package_dir, .. } => {
            (manifest, text, digest, package_dir)
        }
        RequestKind::Update { to, .. } => (&to.manifest, &to.text, &to.digest, &to.package_dir),
        _ => return None,
    };
    let (manifest, text) = (manifest.clone(), text.clone());
    Some(Entry { manifest, text, digest: *digest, dir: dir.clone() })
}

/// Keeps what the owner installed from a path.
pub(super) fn keep(app: &App, package: &Entry) {
    if let Err(error) = tokio::task::block_in_place(|| app.catalog.keep(package)) {
        tracing::warn!(app = %package.manifest.id, %error, "the owner's manifest was not kept");
    }
}

/// The engine's request for an install.
pub(super) async fn install_kind(
    app: &App,
    call: &Call,
    params: InstallParams,
) -> Answer<RequestKind> {
    let id = app_id(&params.id)?;
    let package = find_package(app, call, &id, params.manifest, params.path).await?;
    if package.manifest.id != id {
        let manifest = &package.manifest;
        let message = format!("Invalid id: the manifest's id is {}, not {id}.", manifest.id);
        let error = UserError::new("id-mismatch", message).hint("Give the manifest's own id.");
        return Err(error.into());
    }
    let (settings, ports) = (params.config.unwrap_or_default(), params.ports.unwrap_or_default());
    request_of(app, package, settings, ports).await
}

/// The request for an install of a package with the owner's choices.
pub(super) async fn request_of(
    app: &App,
    package: Entry,
    settings: BTreeMap<String, serde_json::Value>,
    chosen: Vec<PortChoice>,
) -> Answer<RequestKind> {
    let manifest = &package.manifest;
    config::check(manifest, &settings)?;
    let mut port_overrides = ports::chosen(manifest, chosen)?;
    // one that was uninstalled is found again where it was
    match crate::ledger::left(&app.store, &manifest.id).await {
        Ok(Some((left, _))) => ports::remember(manifest, &left.port_overrides, &mut port_overrides),
        Ok(None) => {}
        Err(error) => {
            tracing::warn!(app = %manifest.id, %error, "its former ports are not known");
        }
    }
    Ok(RequestKind::Install {
        manifest: package.manifest,
        text: package.text,
        digest: package.digest,
        package_dir: package.dir,
        settings,
        port_overrides,
    })
}

async fn find_package(
    app: &App,
    call: &Call,
    id: &AppId,
    manifest: Option<String>,
    path: Option<String>,
) -> Answer<Entry> {
    if path.is_some() && !call.caller.peer.is_local_admin() {
        let message = "Invalid parameter: `path` is only allowed over the unix socket.";
        return Err(ErrorObject::new(FORBIDDEN, "socket-only", message)
            .hint("Run the command on the node, or send the manifest's text."));
    }
    let result = match (manifest, path) {
        (Some(text), path) => catalog::parse(text.into_bytes(), path.map(PathBuf::from)),
        (None, Some(path)) => {
            let open = move || catalog::open(&PathBuf::from(path));
            let opened = tokio::task::spawn_blocking(open).await;
            opened.map_err(|error| UserError::new("internal", error.to_string()))?
        }
        (None, None) => {
            let offer = app.catalog.find(id).await.ok_or_else(|| unknown(app, id))?;
            return match app.registries.stale(&offer.source) {
                Some(stale) => Err(stale.into()),
                None => Ok(offer.entry),
            };
        }
    };
    result.map_err(refused)
}

/// No manifest of this id: because it is broken, or because there is none.
fn unknown(app: &App, id: &AppId) -> ErrorObject {
    if let Some(broken) = app.catalog.broken().into_iter().find(|b| b.name == id.as_str()) {
        return broken.error.into();
    }
    UserError::new("manifest-not-found", format!("Not found: this node has no manifest for {id}."))
        .hint("`archy list --available` shows what can be installed; a path installs your own.")
        .into()
}

fn refused(refusal: Refusal) -> ErrorObject {
    let finding = |found: archy_manifest::Diagnostic| ManifestFinding {
        code: found.code.to_owned(),
        severity: match found.severity {
            archy_manifest::Severity::Error => "error".to_owned(),
            archy_manifest::Severity::Warning => "warning".to_owned(),
        },
        path: found.path,
        line: found.line,
        column: found.column,
        snippet: found.snippet,
        message: found.message,
        mend: found.mend,
    };
    let findings = refusal.findings.0.into_iter().map(finding).collect();
    ErrorObject::from(refusal.error).findings(findings)
}

/// Existing clients name an image; the manifest's counts. Gives a sentence when it is another one.
pub(super) fn other_image(manifest: &Manifest, asked: &str) -> Option<String> {
    let mut images = manifest.services.values().filter_map(|service| match &service.source {
        ImageSource::Image(image) => Some(image.as_str()),
        ImageSource::Build { .. } => None,
    });
    let first = images.clone().next().unwrap_or("an image that is built here");
    if asked.is_empty() || images.any(|image| image == asked) {
        return None;
    }
    tracing::warn!(app = %manifest.id, asked, "the image asked for is not the manifest's, which is used");
    let asked = super::errors::cut(asked, 100);
    Some(format!("The image {asked} was not used: the manifest of {} says {first}.", manifest.id))
}

pub(super) async fn start(app: &App, call: &Call, params: AppParams) -> Answer<AcceptedResult> {
    let id = installed(app, &params.id)?.manifest.id.clone();
    accept(app, call, &params.id, RequestKind::Start(id), ("start", "starting")).await
}

pub(super) async fn stop(app: &App, call: &Call, params: AppParams) -> Answer<AcceptedResult> {
    let id = installed(app, &params.id)?.manifest.id.clone();
    accept(app, call, &params.id, RequestKind::Stop(id), ("stop", "stopping")).await
}

pub(super) async fn restart(app: &App, call: &Call, params: AppParams) -> Answer<AcceptedResult> {
    let id = installed(app, &params.id)?.manifest.id.clone();
    accept(app, call, &params.id, RequestKind::Restart(id), ("restart", "restarting")).await
}

pub(super) async fn cancel(app: &App, call: &Call, params: CancelParams) -> Answer<AcceptedResult> {
    let id = installed(app, &params.id)?.manifest.id.clone();
    let wish = Cancel { actor: actor(call), app: id, operation: params.operation.map(OperationId) };
    let operation = app.backends.engine.cancel(wish).await?;
    Ok(AcceptedResult {
        package_id: params.id,
        status: "cancelling".to_owned(),
        operation: Some(operation.0),
        warning: None,
    })
}

pub(super) async fn uninstall(
    app: &App,
    call: &Call,
    params: UninstallParams,
) -> Answer<AcceptedResult> {
    let kind = uninstall_kind(app, &params.id, params.purge).await?;
    accept(app, call, &params.id, kind, ("uninstall", "removing")).await
}

/// The engine's request for an uninstall; what an app left that is gone already can still be purged.
pub(super) async fn uninstall_kind(app: &App, id: &str, purge: bool) -> Answer<RequestKind> {
    let missing = match installed(app, id) {
        Ok(view) => return Ok(RequestKind::Uninstall { app: view.manifest.id.clone(), purge }),
        Err(error) => error,
    };
    let left = if purge { crate::ledger::left(&app.store, &app_id(id)?).await? } else { None };
    match left {
        Some((left, generation)) => Ok(RequestKind::PurgeLeft { left: Box::new(left), generation }),
        None => Err(missing.into()),
    }
}

/// Submits a request; gives the answer with the word for what happens.
pub(super) async fn accept(
    app: &App,
    call: &Call,
    id: &str,
    kind: RequestKind,
    (what, status): (&'static str, &'static str),
) -> Answer<AcceptedResult> {
    let suffering = suffering(app, &kind);
    let operation = operation(submit(app, call, kind, what).await?);
    let status = if operation.is_some() { status } else { "unchanged" };
    let warning = suffering.filter(|_| operation.is_some());
    Ok(AcceptedResult { package_id: id.to_owned(), status: status.to_owned(), operation, warning })
}

/// Words about the running apps that need the one that goes.
pub(super) fn suffering(app: &App, kind: &RequestKind) -> Option<String> {
    let (RequestKind::Stop(id) | RequestKind::Uninstall { app: id, .. }) = kind else {
        return None;
    };
    let snapshot = app.backends.engine.snapshot();
    let going = snapshot.apps.get(id)?;
    let running: Vec<&Manifest> = snapshot
        .apps
        .values()
        .filter(|view| view.desired == DesiredState::Running)
        .map(|view| &*view.manifest)
        .collect();
    let names: Vec<&str> =
        archy_plan::dependants(&going.manifest, &running).into_iter().map(AppId::as_str).collect();
    match names.as_slice() {
        [] => None,
        [one] => Some(format!("{one} needs {id}, and works again when it is back.")),
        many => Some(format!("{} need {id}, and work again when it is back.", many.join(", "))),
    }
}

pub(super) async fn submit(
    app: &App,
    call: &Call,
    kind: RequestKind,
    what: &'static str,
) -> Result<Accepted, UserError> {
    let id = match &kind {
        RequestKind::Install { manifest, .. } => manifest.id.clone(),
        RequestKind::Update { to, .. } | RequestKind::Adopt { to } => to.manifest.id.clone(),
        RequestKind::PurgeLeft { left, .. } => left.manifest.id.clone(),
        RequestKind::Migrate { app, .. }
        | RequestKind::MigrateBack(app)
        | RequestKind::MigrateCommit(app) => app.clone(),
        RequestKind::Start(id) | RequestKind::Stop(id) | RequestKind::Restart(id) => id.clone(),
        RequestKind::Uninstall { app, .. }
        | RequestKind::Rollback { app, .. }
        | RequestKind::Configure { app, .. } => app.clone(),
    };
    let actor = actor(call);
    let result = app.backends.engine.submit(Request { actor, kind }).await;
    match &result {
        Ok(Accepted::Operation(operation)) => {
            tracing::info!(app = %id, operation = operation.0, what, "accepted");
        }
        Ok(Accepted::AlreadySo) => tracing::info!(app = %id, what, "already so"),
        Err(error) => tracing::info!(app = %id, what, %error, "refused"),
    }
    result
}

/// Who asks, by the door they came through.
pub(super) fn actor(call: &Call) -> Actor {
    match call.caller.peer {
        Peer::Unix { .. } => Actor::User("cli".to_owned()),
        Peer::Tls(_) | Peer::Plain(_) => Actor::User("dashboard".to_owned()),
    }
}

pub(super) fn operation(accepted: Accepted) -> Option<i64> {
    match accepted {
        Accepted::Operation(id) => Some(id.0),
        Accepted::AlreadySo => None,
    }
}

pub(super) async fn history(app: &App, _: &Call, params: HistoryParams) -> Answer<HistoryResult> {
    let id = params.id.as_deref().map(app_id).transpose()?;
    let limit = params.limit.unwrap_or(HISTORY.0).clamp(1, HISTORY.1) as usize;
    let before = params.before.map(OperationId);
    let full = params.full == Some(true);
    let rows = app.store.history(id.as_ref(), before, limit).await.map_err(UserError::from)?;
    Ok(HistoryResult { operations: rows.into_iter().map(|row| record(row, full)).collect() })
}

/// An operation of the journal as the API gives it; `full` with its plan and what came of each step.
#[must_use]
pub fn record(row: Operation, full: bool) -> OperationRecord {
    let details = full.then(|| super::plan::details(&row));
    let outcome = match row.phase {
        Phase::Queued | Phase::Running => Outcome::Running,
        Phase::Done => Outcome::Done,
        Phase::Failed | Phase::RolledBack => Outcome::Failed,
        Phase::Cancelled => match &row.cause {
            Some(cause) if cause.code.as_str() == archy_engine::CANCELLED => Outcome::Cancelled,
            _ => Outcome::Superseded,
        },
    };
    let failed = matches!(outcome, Outcome::Failed);
    OperationRecord {
        id: row.id.0,
        package_id: row.app.map(String::from).unwrap_or_default(),
        kind: row.kind,
        actor: row.actor,
        started: row.started.unwrap_or(row.created).0,
        ended: row.finished.map(|at| at.0),
        outcome,
        error: row.cause.filter(|_| failed).map(|cause| UserError {
            code: cause.code,
            message: cause.text,
            hint: None,
        }),
        // what a second plan took the place of was never done
        steps: row
            .steps
            .into_iter()
            .filter(|step| step.state != StepState::Skipped)
            .map(|step| step.description)
            .collect(),
        details,
    }
}

pub(super) async fn exec(app: &App, _: &Call, params: ExecParams) -> Answer<ExecResult> {
    let view = installed(app, &params.id)?;
    if params.command.is_empty() {
        let error = UserError::new("exec-invalid", "Invalid command: it is empty.");
        return Err(error.hint("Give a program and its arguments.").into());
    }
    let container = containers(&view, params.service.as_deref())?.swap_remove(0).1;
    let secs = params.timeout_secs.unwrap_or(EXEC.0).clamp(1, EXEC.1);
    let deadline = Duration::from_secs(u64::from(secs));
    let output = app.backends.exec.exec(container, params.command, params.user, deadline).await?;
    Ok(ExecResult { exit_code: output.exit_code, output: output.output })
}

/// Services with their containers: the named one, or all of them with the chief one first.
pub(super) fn containers(
    view: &AppView,
    service: Option<&str>,
) -> Result<Vec<(ServiceName, String)>, UserError> {
    let all = view.manifest.services.keys();
    let named = all.filter(|name| service.is_none_or(|wanted| wanted == name.as_str()));
    // what was adopted may have names of its own
    let seen = |name: &ServiceName| view.services.iter().find(|service| service.name == *name);
    let container = |name: &ServiceName| {
        let own = || archy_manifest::names::container(&view.manifest, name);
        (name.clone(), seen(name).map_or_else(own, |service| service.container.clone()))
    };
    let mut found: Vec<_> = named.map(container).collect();
    found.sort_by_key(|(name, _)| *name != ServiceName::main());
    if found.is_empty() {
        let wanted = service.unwrap_or_default();
        let message = format!("Not found: {} has no service {wanted:?}.", view.manifest.id);
        return Err(UserError::new("service-not-found", message)
            .hint(format!("`archy status {}` lists its services.", view.manifest.id)));
    }
    Ok(found)
}

/// An installed app.
pub(super) fn installed(app: &App, id: &str) -> Result<Arc<AppView>, UserError> {
    let id = app_id(id)?;
    app.backends.engine.snapshot().apps.get(&id).cloned().ok_or_else(|| {
        UserError::new("app-not-found", format!("Not found: no app {id} is installed."))
            .hint("`archy list` shows what is installed.")
    })
}

/// An id of a request.
pub(super) fn app_id(text: &str) -> Result<AppId, UserError> {
    AppId::new(text).map_err(|error| {
        let shown = super::errors::cut(text, 64);
        UserError::new("id-invalid", format!("Invalid id: {shown:?} {error}."))
            .hint("Use a-z, 0-9 and hyphens, at most 63 characters.")
    })
}
