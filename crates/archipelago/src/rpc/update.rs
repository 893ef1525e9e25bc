//! `package.update` and `package.rollback`.

use archy_api::package::{
    AcceptedResult, InstallParams, InstallResult, RollbackParams, UpdateParams,
};
use archy_engine::{Replacement, RequestKind};
use archy_types::{Digest, UserError};

use super::config;
use super::package::{accept, install_kind, installed, operation, other_image, submit};
use super::table::{Answer, Call};
use crate::app::App;

pub(super) async fn update(app: &App, call: &Call, params: UpdateParams) -> Answer<InstallResult> {
    let UpdateParams { target, consent } = params;
    let (id, asked) = (target.id.clone(), target.docker_image.clone());
    installed(app, &id)?;
    let mut kind = kind(app, call, target, consent).await?;
    let mut warning = None;
    if let RequestKind::Update { to, .. } = &mut kind {
        warning = asked.and_then(|asked| other_image(&to.manifest, &asked));
        let settings = std::mem::take(&mut to.settings);
        to.settings = config::keep_secrets(app, &to.manifest, settings).await?;
    }
    let operation = operation(submit(app, call, kind, "update").await?);
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
    Ok(match install_kind(app, call, target).await? {
        RequestKind::Install { manifest, text, digest, package_dir, settings, port_overrides } => {
            let to = Replacement { manifest, text, digest, package_dir, settings, port_overrides };
            RequestKind::Update { to: Box::new(to), consent }
        }
        other => other,
    })
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
