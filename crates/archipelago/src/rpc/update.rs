//! `package.update` and `package.rollback`.

use std::collections::BTreeMap;

use archy_api::package::{
    AcceptedResult, AppParams, InstallParams, InstallResult, PreviousVersion, RollbackParams,
    SnapshotRecord, SnapshotsResult, UpdateParams,
};
use archy_catalog::Entry;
use archy_engine::ports::{Ledger as _, Previous};
use archy_engine::{Replacement, Request, RequestKind};
use archy_types::{Actor, AppId, Digest, UserError};

use super::config;
use super::package::{
    accept, install_kind, installed, keep, operation, other_image, package_of, request_of, submit,
};
use super::table::{Answer, Call};
use crate::app::App;
use crate::clock;
use crate::ledger::StoreLedger;
use crate::sources::SnapshotFact;

pub(super) async fn update(app: &App, call: &Call, params: UpdateParams) -> Answer<InstallResult> {
    let UpdateParams { target, consent } = params;
    let (id, asked) = (target.id.clone(), target.docker_image.clone());
    installed(app, &id)?;
    let own = target.path.is_some();
    let mut kind = kind(app, call, target, consent).await?;
    let mut warning = None;
    if let RequestKind::Update { to, .. } = &mut kind {
        warning = asked.and_then(|asked| other_image(&to.manifest, &asked));
        let settings = std::mem::take(&mut to.settings);
        to.settings = config::keep_secrets(app, &to.manifest, settings).await?;
    }
    // one that the owner brought along stays their own
    let package = own.then(|| package_of(&kind)).flatten();
    let operation = operation(submit(app, call, kind, "update").await?);
    if let Some(package) = package.filter(|it| app.catalog.keeps(&it.manifest.id)) {
        keep(app, &package);
    }
    let status = if operation.is_some() { "updating" } else { "unchanged" };
    Ok(InstallResult { package_id: id, status: status.to_owned(), operation, warning })
}

/// The engine's request for an update.
pub(super) async fn kind(
    app: &App,
    call: &Call,
    target: InstallParams,
    consent: Option<String>,
) -> Answer<RequestKind> {
    installed(app, &target.id)?;
    let consent = consent.map(|text| text.parse::<Digest>()).transpose().map_err(|_| {
        UserError::new("consent-invalid", "Invalid consent: it is not a digest.")
            .hint("Give the manifest's digest as `package.plan` shows it.")
    })?;
    Ok(replacing(install_kind(app, call, target).await?, consent))
}

fn replacing(kind: RequestKind, consent: Option<Digest>) -> RequestKind {
    match kind {
        RequestKind::Install { manifest, text, digest, package_dir, settings, port_overrides } => {
            let to = Replacement { manifest, text, digest, package_dir, settings, port_overrides };
            RequestKind::Update { to: Box::new(to), consent }
        }
        other => other,
    }
}

/// Updates an app by the owner's policy, with the settings and ports that it has. What it would be
/// allowed beyond the installed version needs the owner, so such an update is refused.
///
/// # Errors
/// The engine refuses it.
pub(crate) async fn by_itself(app: &App, id: &AppId, package: Entry) -> Result<(), UserError> {
    let kind = request_of(app, package, BTreeMap::new(), Vec::new()).await;
    let kind = kind.map_err(|error| {
        UserError::new("update-refused", error.message).hint("Update it by hand.")
    })?;
    let kind = replacing(kind, None);
    let accepted = app.backends.engine.submit(Request { actor: Actor::System, kind }).await?;
    tracing::info!(app = %id, operation = ?operation(accepted), "update by the owner's policy");
    Ok(())
}

pub(super) async fn rollback(
    app: &App,
    call: &Call,
    params: RollbackParams,
) -> Answer<AcceptedResult> {
    let id = installed(app, &params.id)?.manifest.id.clone();
    let kind = RequestKind::Rollback { app: id, keep_data: params.keep_data };
    accept(app, call, &params.id, kind, ("rollback", "rolling-back")).await
}

pub(super) async fn snapshots(app: &App, _: &Call, params: AppParams) -> Answer<SnapshotsResult> {
    let id = installed(app, &params.id)?.manifest.id.clone();
    let facts = app.backends.system.snapshots(&id).await?;
    let previous = StoreLedger::new(app.store.clone()).previous().await?;
    let kept = i64::try_from(app.config.keep_snapshots.as_millis()).unwrap_or(i64::MAX);
    let previous = previous.into_iter().find(|previous| {
        previous.app.manifest.id == id && previous.replaced.plus_millis(kept) > clock::now()
    });
    let mut snapshots: Vec<_> =
        facts.into_iter().map(|fact| record(fact, previous.as_ref())).collect();
    snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.taken));
    let previous = previous.map(|previous| PreviousVersion {
        version: previous.app.manifest.version.clone(),
        replaced: previous.replaced.0,
        until: previous.replaced.plus_millis(kept).0,
    });
    Ok(SnapshotsResult { snapshots, previous })
}

fn record(fact: SnapshotFact, previous: Option<&Previous>) -> SnapshotRecord {
    let previous = previous.filter(|previous| previous.replaced_by == fact.generation);
    SnapshotRecord {
        generation: fact.generation.0,
        taken: fact.taken.0,
        expires: fact.expires.0,
        bytes: fact.bytes,
        version: previous.map(|previous| previous.app.manifest.version.clone()),
        before_version: fact.before_version,
        goes_back: previous.is_some(),
        restored: fact.restored,
    }
}
