//! Installed apps and newer versions of them: which there are, and which update by themselves.

use std::sync::Arc;
use std::time::Duration;

use archy_api::registry::{OutdatedApp, UpdatePolicy};
use archy_catalog::{Offer, compare_versions};
use archy_engine::AppView;
use archy_types::{AppId, UserError};
use serde_json::{Value, json};

use crate::app::App;
use crate::{catalog, clock};

/// How often it is looked whether an app is to be updated.
pub const PERIOD: Duration = Duration::from_secs(60);
/// Which manifests were tried already: an update that failed is not tried again by itself.
const TRIED: &str = "registry.tried.";

/// Installed apps of which a newer version is offered.
///
/// # Errors
/// The store cannot be read.
pub async fn outdated(app: &App) -> Result<Vec<OutdatedApp>, UserError> {
    let policy = app.registries.policy().await?;
    let tried = app.store.settings(TRIED).await?;
    let found = newer(app).into_iter().map(|(id, view, offer)| {
        let manifest = offer.manifest();
        let wanted = wants(&policy, &id);
        let before = tried.get(&format!("{TRIED}{id}"));
        let held = if wanted { held(app, &view, &offer, before) } else { None };
        OutdatedApp {
            id: id.to_string(),
            installed: view.manifest.version.clone(),
            offered: manifest.version.clone(),
            source: catalog::source_of(app, &offer),
            auto: wanted && held.is_none(),
            held,
        }
    });
    Ok(found.collect())
}

/// Updates one app that is due. One after the other, so that a node is never busy with many.
pub async fn update_one(app: Arc<App>) {
    if let Err(error) = try_one(&app).await {
        tracing::warn!(%error, "no app is updated by itself");
    }
}

async fn try_one(app: &App) -> Result<(), UserError> {
    let policy = app.registries.policy().await?;
    let doubted = app.doubt.at(clock::steady_millis()).is_some();
    if doubted || !is_open(&policy, hour_here()) {
        return Ok(());
    }
    let running = app.backends.engine.snapshot();
    let mut busy = running.apps.values().filter_map(|view| view.operation.as_ref());
    if busy.any(|operation| operation.error.is_none()) {
        return Ok(());
    }
    let tried = app.store.settings(TRIED).await?;
    for (id, view, offer) in newer(app) {
        let key = format!("{TRIED}{id}");
        if !wants(&policy, &id) || held(app, &view, &offer, tried.get(&key)).is_some() {
            continue;
        }
        // written before it begins: whatever becomes of it, it is tried once
        let digest = offer.entry.digest;
        app.store.put_setting(&key, json!({"digest": digest})).await?;
        match crate::rpc::update_by_itself(app, &id, offer.entry).await {
            Ok(()) => tracing::info!(app = %id, "is being updated by the owner's policy"),
            Err(error) => {
                tracing::warn!(app = %id, code = %error.code, %error, "was not updated by itself");
                app.store.put_setting(&key, json!({"digest": digest, "error": error})).await?;
            }
        }
        return Ok(());
    }
    Ok(())
}

/// Installed apps with an offer of a newer version.
fn newer(app: &App) -> Vec<(AppId, Arc<AppView>, Offer)> {
    let snapshot = app.backends.engine.snapshot();
    let apps = snapshot.apps.iter().filter_map(|(id, view)| {
        let offer = app.catalog.offer(id)?;
        let order = compare_versions(&offer.manifest().version, &view.manifest.version);
        order.is_gt().then(|| (id.clone(), Arc::clone(view), offer))
    });
    apps.collect()
}

/// The hour of the node's day.
fn hour_here() -> i8 {
    let now = jiff::Timestamp::from_millisecond(clock::now().0).unwrap_or_default();
    now.to_zoned_datetime(jiff::tz::TimeZone::system()).hour()
}

fn wants(policy: &UpdatePolicy, app: &AppId) -> bool {
    policy.apps.get(app.as_str()).copied().unwrap_or(policy.auto)
}

/// True at an hour of the owner's window.
fn is_open(policy: &UpdatePolicy, hour: i8) -> bool {
    let (from, to) = (policy.from_hour, policy.to_hour);
    let hour = u8::try_from(hour).unwrap_or_default();
    match from.cmp(&to) {
        std::cmp::Ordering::Equal => true,
        std::cmp::Ordering::Less => (from..to).contains(&hour),
        std::cmp::Ordering::Greater => hour >= from || hour < to,
    }
}

/// Why an app does not update by itself though the policy says so.
fn held(app: &App, view: &AppView, offer: &Offer, tried: Option<&Value>) -> Option<UserError> {
    if catalog::is_local(offer) {
        let text = "It was installed from the owner's own manifest.";
        return Some(UserError::new("update-own-manifest", text).hint("Update it by hand."));
    }
    if view.adopted.is_some() {
        let text = "Its containers were adopted.";
        return Some(UserError::new("update-adopted", text).hint("Update it by hand."));
    }
    if let Some(stale) = app.registries.stale(&offer.source) {
        return Some(stale);
    }
    let tried = tried.filter(|it| it["digest"] == offer.entry.digest.to_string())?;
    let error = serde_json::from_value(tried["error"].clone());
    Some(error.unwrap_or_else(|_| {
        let text = format!("Version {} was tried already.", offer.manifest().version);
        UserError::new("update-tried", text)
            .hint("`archy history` tells what came of it; update it by hand.")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_may_go_over_midnight() {
        for (from, to, hour, open) in [
            (2, 5, 1, false),
            (2, 5, 2, true),
            (2, 5, 5, false),
            (23, 4, 23, true),
            (23, 4, 0, true),
            (23, 4, 4, false),
            (7, 7, 12, true),
        ] {
            let policy = UpdatePolicy { from_hour: from, to_hour: to, ..UpdatePolicy::default() };
            assert_eq!(is_open(&policy, hour), open, "{from} {to} {hour}");
        }
    }

    #[test]
    fn an_apps_own_choice_counts() {
        let mut policy = UpdatePolicy::default();
        let blog = AppId::new("blog").unwrap();
        assert!(!wants(&policy, &blog));
        policy.apps.insert("blog".to_owned(), true);
        assert!(wants(&policy, &blog));
        policy.auto = true;
        policy.apps.insert("blog".to_owned(), false);
        assert!(!wants(&policy, &blog));
    }
}
