//! `registry.*`, and what follows from registries for installed apps.

use archy_api::registry::{
    AddRegistryParams, InspectRegistryParams, OutdatedResult, RefreshRegistryParams, RegistryList,
    RegistryParams, RegistryRecord, RegistryTrust, SetPolicyParams, SetRegistryParams,
    UpdatePolicy,
};
use archy_api::rpc::NoParams;
use archy_types::{Digest, UserError};

use super::package::app_id;
use super::table::{Answer, Call};
use crate::app::App;
use crate::registry::{Kept, follow};

pub(super) async fn list(app: &App, _: &Call, _: NoParams) -> Answer<RegistryList> {
    let (registries, policy) = (app.registries.list(), app.registries.policy().await?);
    Ok(RegistryList { registries, policy })
}

pub(super) async fn inspect(
    app: &App,
    _: &Call,
    params: InspectRegistryParams,
) -> Answer<RegistryTrust> {
    Ok(app.registries.inspect(&params.url).await?)
}

pub(super) async fn add(app: &App, _: &Call, params: AddRegistryParams) -> Answer<RegistryRecord> {
    let fingerprint: Digest = params.fingerprint.parse().map_err(|_| {
        UserError::new("registry-fingerprint", "Invalid fingerprint: it is not sha256:….")
            .hint("Give it as the publisher tells it.")
    })?;
    let order = params.order.unwrap_or_default();
    let kept = Kept { url: params.url, order, ..Kept::default() };
    let record = app.registries.add(&params.name, kept, fingerprint).await?;
    app.take_over_registries().await;
    Ok(record)
}

pub(super) async fn set(app: &App, _: &Call, params: SetRegistryParams) -> Answer<RegistryRecord> {
    let SetRegistryParams { name, order, pins, accept_stale } = params;
    if order.is_some_and(|order| !(1..=64).contains(&order)) {
        let error = UserError::new("registry-order", "Invalid order: it is not from 1 to 64.");
        return Err(error.hint("One with a smaller number wins.").into());
    }
    for pin in pins.iter().flatten() {
        app_id(pin)?;
    }
    let change = |kept: &mut Kept, version: Option<u64>| {
        kept.order = order.unwrap_or(kept.order);
        if let Some(pins) = pins {
            kept.pins = pins.into_iter().collect();
        }
        match accept_stale {
            Some(true) => kept.accepted = version,
            Some(false) => kept.accepted = None,
            None => {}
        }
    };
    let record = app.registries.change(&name, change).await?;
    app.take_over_registries().await;
    Ok(record)
}

pub(super) async fn remove(app: &App, _: &Call, params: RegistryParams) -> Answer<()> {
    app.registries.remove(&params.name).await?;
    app.take_over_registries().await;
    Ok(())
}

pub(super) async fn refresh(
    app: &App,
    call: &Call,
    params: RefreshRegistryParams,
) -> Answer<RegistryList> {
    let minutes = app.registries.policy().await?.refresh_minutes;
    let names = match params.name {
        Some(name) => vec![app.registries.record(&name)?.name],
        None => app.registries.list().into_iter().map(|record| record.name).collect(),
    };
    for name in names {
        // what is wrong with one stands in its record
        if let Err(error) = app.registries.ask(&name, minutes).await {
            tracing::info!(registry = name, code = %error.code, %error, "no news");
        }
    }
    app.take_over_registries().await;
    list(app, call, NoParams {}).await
}

pub(super) async fn set_policy(
    app: &App,
    _: &Call,
    params: SetPolicyParams,
) -> Answer<UpdatePolicy> {
    let mut policy = app.registries.policy().await?;
    if let Some(minutes) = params.refresh_minutes {
        if minutes != 0 && !(15..=10_080).contains(&minutes) {
            let error = UserError::new("policy-invalid", "Invalid interval: not 15 to 10,080.");
            return Err(error.hint("Nought asks registries only by hand.").into());
        }
        policy.refresh_minutes = minutes;
    }
    for (hour, kept) in
        [(params.from_hour, &mut policy.from_hour), (params.to_hour, &mut policy.to_hour)]
    {
        if hour.is_some_and(|hour| hour > 23) {
            let error = UserError::new("policy-invalid", "Invalid hour: not 0 to 23.");
            return Err(error.hint("The window may go over midnight.").into());
        }
        *kept = hour.unwrap_or(*kept);
    }
    match (params.app, params.auto) {
        (Some(app), Some(auto)) => drop(policy.apps.insert(app_id(&app)?.to_string(), auto)),
        (Some(app), None) => drop(policy.apps.remove(&app)),
        (None, auto) => policy.auto = auto.unwrap_or(policy.auto),
    }
    app.registries.set_policy(&policy).await?;
    Ok(policy)
}

pub(super) async fn outdated(app: &App, _: &Call, _: NoParams) -> Answer<OutdatedResult> {
    Ok(OutdatedResult { apps: follow::outdated(app).await? })
}
