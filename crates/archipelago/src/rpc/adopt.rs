//! `package.adoptable`, `package.adopt` and `package.migrate`.

use archy_api::package::{
    AcceptedResult, AdoptParams, AdoptableApp, AdoptableResult, InstallParams, MigrateParams,
    MigrateWay,
};
use archy_api::rpc::NoParams;
use archy_engine::{Replacement, RequestKind};
use archy_plan::adopt::Candidate;

use super::package::{accept, install_kind, installed};
use super::table::{Answer, Call};
use crate::app::App;

pub(super) async fn adoptable(app: &App, _: &Call, _: NoParams) -> Answer<AdoptableResult> {
    tokio::task::block_in_place(|| app.catalog.refresh());
    let offers = app.catalog.offers();
    let manifests = offers.iter().map(|offer| offer.manifest().clone());
    let found = app.backends.engine.adoptable(manifests.collect()).await?;
    Ok(AdoptableResult { apps: found.into_iter().map(shown).collect() })
}

fn shown(candidate: Candidate) -> AdoptableApp {
    let names = candidate.containers.into_iter();
    AdoptableApp {
        id: candidate.app.to_string(),
        containers: names.map(|(service, name)| (service.to_string(), name)).collect(),
        origin: candidate.origin.as_str().to_owned(),
        dies_with_daemon: candidate.dies_with_daemon,
        refusal: candidate.refusal,
    }
}

pub(super) async fn adopt(app: &App, call: &Call, params: AdoptParams) -> Answer<AcceptedResult> {
    let id = params.id.clone();
    let AdoptParams { id: target, manifest, path } = params;
    let target = InstallParams { id: target, manifest, path, ..InstallParams::default() };
    let kind = adopt_kind(app, call, target).await?;
    accept(app, call, &id, kind, ("adopt", "adopting")).await
}

/// The engine's request for an adoption.
pub(super) async fn adopt_kind(
    app: &App,
    call: &Call,
    target: InstallParams,
) -> Answer<RequestKind> {
    Ok(match install_kind(app, call, target).await? {
        RequestKind::Install { manifest, text, digest, package_dir, settings, port_overrides } => {
            let to = Replacement { manifest, text, digest, package_dir, settings, port_overrides };
            RequestKind::Adopt { to: Box::new(to) }
        }
        other => other,
    })
}

pub(super) async fn migrate(
    app: &App,
    call: &Call,
    params: MigrateParams,
) -> Answer<AcceptedResult> {
    let id = installed(app, &params.id)?.manifest.id.clone();
    let (kind, words) = match params.way {
        MigrateWay::Migrate => {
            (RequestKind::Migrate { app: id, accept: params.accept }, ("migrate", "migrating"))
        }
        MigrateWay::Rollback => (RequestKind::MigrateBack(id), ("migrate-back", "rolling-back")),
        MigrateWay::Commit => (RequestKind::MigrateCommit(id), ("migrate-commit", "committing")),
    };
    accept(app, call, &params.id, kind, words).await
}
