//! Images that no app needs any more go after a while.
//!
//! Only images that an app of this node was once wanted with, or that were built for one, are ever
//! removed, and never one that any container uses: what else lies in Podman's store is its owner's,
//! with what the owner made in place of a built image.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use archy_engine::ports::Ledger as _;
use archy_manifest::Manifest;
use archy_manifest::model::ImageSource;
use archy_manifest::names;
use archy_plan::DesiredApp;
use archy_types::{Timestamp, UserError};

use crate::app::App;
use crate::clock;
use crate::ledger::StoreLedger;
use crate::survey::BuiltImages;

/// Between two looks.
pub const PERIOD: Duration = Duration::from_secs(6 * 3600);
/// Key of the references with the moment each was last wanted, in milliseconds since 1970.
const KEY: &str = "images.last-wanted";

type LastWanted = BTreeMap<String, i64>;

/// Removes what was wanted by no app for as long as an update can be taken back; what cannot be
/// removed now is tried again.
pub async fn prune(app: Arc<App>) {
    if let Err(error) = try_prune(&app).await {
        tracing::warn!(%error, "old images could not be looked through");
    }
    if let Err(error) = prune_built(&app).await {
        tracing::warn!(%error, "images that were built could not be looked through");
    }
}

/// Removes images that were built for what no app is wanted with, nor was before its last update.
async fn prune_built(app: &App) -> Result<(), UserError> {
    let images = app.backends.survey.built_images().await?;
    let previous = StoreLedger::new(app.store.clone()).previous().await?;
    let kept: Vec<(String, String)> =
        previous.iter().flat_map(|previous| built(&previous.app)).collect();
    for reference in replaced(&images, &kept) {
        match app.backends.survey.remove_image(reference).await {
            Ok(()) => tracing::info!(image = %reference, "an image that was replaced was removed"),
            // a container uses it: next time
            Err(error) => tracing::debug!(image = %reference, %error, "a built image stays"),
        }
    }
    Ok(())
}

/// The images of an app that are built: name, and how the tag begins.
fn built(app: &DesiredApp) -> Vec<(String, String)> {
    let manifest = &app.manifest;
    let built = manifest
        .services
        .iter()
        .filter(|(_, service)| matches!(service.source, ImageSource::Build { .. }));
    let name = |service| format!("localhost/{}", names::container(manifest, service));
    built.map(|(service, _)| (name(service), app.digest.short())).collect()
}

/// Images that no unit file names, and that are none of `kept`.
fn replaced<'a>(images: &'a BuiltImages, kept: &[(String, String)]) -> Vec<&'a str> {
    let is_kept = |reference: &str| {
        reference.rsplit_once(':').is_some_and(|(name, tag)| {
            kept.iter().any(|(of, begins)| of == name && tag.starts_with(begins.as_str()))
        })
    };
    let gone = images.there.iter().filter(|reference| !images.deployed.contains(*reference));
    gone.map(String::as_str).filter(|reference| !is_kept(reference)).collect()
}

async fn try_prune(app: &App) -> Result<(), UserError> {
    // before the first look it is not certain what is installed
    if app.backends.engine.snapshot().observed_at.0 == 0 {
        return Ok(());
    }
    let known = app.store.setting(KEY).await?;
    let known = known.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default();
    let wanted = wanted(app).await?;
    let (mut last_wanted, unwanted) =
        decide(known, &wanted, clock::now(), app.config.keep_snapshots);
    for (reference, since) in unwanted {
        match app.backends.survey.remove_image(&reference).await {
            Ok(()) => tracing::info!(image = %reference, "an image that no app needs was removed"),
            Err(error) => {
                tracing::debug!(image = %reference, %error, "an old image stays");
                last_wanted.insert(reference, since);
            }
        }
    }
    let value = serde_json::to_value(&last_wanted)
        .map_err(|error| UserError::new("internal", error.to_string()))?;
    app.store.put_setting(KEY, value).await?;
    Ok(())
}

/// Images of installed apps, and of what they were before their last updates.
async fn wanted(app: &App) -> Result<BTreeSet<String>, UserError> {
    let snapshot = app.backends.engine.snapshot();
    let mut all: BTreeSet<String> =
        snapshot.apps.values().flat_map(|view| images(&view.manifest)).collect();
    let previous = StoreLedger::new(app.store.clone()).previous().await?;
    all.extend(previous.iter().flat_map(|previous| images(&previous.app.manifest)));
    Ok(all)
}

fn images(manifest: &Manifest) -> Vec<String> {
    let pulled = manifest.services.values().filter_map(|service| match &service.source {
        ImageSource::Image(image) => Some(image.clone()),
        ImageSource::Build { .. } => None,
    });
    pulled.collect()
}

/// What to remember, and what may go, with the moment it was last wanted.
fn decide(
    known: LastWanted,
    wanted: &BTreeSet<String>,
    now: Timestamp,
    keep: Duration,
) -> (LastWanted, LastWanted) {
    let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
    let (mut last_wanted, unwanted): (LastWanted, LastWanted) = known
        .into_iter()
        .partition(|(image, at)| wanted.contains(image) || now.0.saturating_sub(*at) < keep);
    last_wanted.extend(wanted.iter().map(|image| (image.clone(), now.0)));
    (last_wanted, unwanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_image_goes_when_another_took_its_place() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let images = BuiltImages {
            there: names(&[
                "localhost/a:1111-1",
                "localhost/a:1111-2",
                "localhost/a:2222-3",
                "localhost/a-db:1111-1",
                "localhost/gone:1111",
            ]),
            deployed: names(&["localhost/a:2222-3", "docker.example/b:1"]),
        };
        let before = [("localhost/a".to_owned(), "1111".to_owned())];
        let gone = ["localhost/a-db:1111-1", "localhost/gone:1111"];
        assert_eq!(replaced(&images, &before), gone, "what was before the update is kept");
        assert_eq!(replaced(&images, &[]).len(), 4);
    }

    #[test]
    fn an_image_goes_when_it_was_not_wanted_for_long_enough() {
        let keep = Duration::from_secs(10);
        let known: LastWanted = [("old", 1_000), ("young", 9_000), ("back", 1_000)]
            .map(|(i, t)| (i.to_owned(), t))
            .into();
        let wanted = BTreeSet::from(["back".to_owned(), "new".to_owned()]);
        let (kept, gone) = decide(known, &wanted, Timestamp(12_000), keep);
        let kept: Vec<_> = kept.iter().map(|(image, at)| (image.as_str(), *at)).collect();
        assert_eq!(kept, [("back", 12_000), ("new", 12_000), ("young", 9_000)]);
        assert_eq!(gone.keys().collect::<Vec<_>>(), ["old"]);
        // a clock that went back removes nothing
        let known = LastWanted::from([("x".to_owned(), 90_000)]);
        let (kept, gone) = decide(known, &BTreeSet::new(), Timestamp(1_000), keep);
        assert!(gone.is_empty() && kept.len() == 1);
    }
}
