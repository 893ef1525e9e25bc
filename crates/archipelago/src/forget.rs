//! What the store forgets after a while: old operations, old events, and manifests that nothing can
//! ask for any more.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use archy_manifest::Manifest;
use archy_store::{Store, StoreError};
use archy_types::{AppId, Digest, Timestamp};

use crate::app::App;
use crate::clock;
use crate::config::Keeping;

/// Between two looks.
pub const PERIOD: Duration = Duration::from_secs(6 * 3600);

/// How much was forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Forgotten {
    operations: usize,
    events: usize,
    manifests: usize,
}

/// Forgets what is beyond the bounds of the configuration; what fails now is tried again.
pub async fn prune(app: Arc<App>) {
    let config = &app.config;
    match forget(&app.store, &config.paths.data_dir, config.keeping, clock::now()).await {
        Ok(Forgotten { operations: 0, events: 0, manifests: 0 }) => {}
        Ok(Forgotten { operations, events, manifests }) => {
            tracing::info!(operations, events, manifests, "old records were forgotten");
        }
        Err(error) => tracing::warn!(%error, "old records were not forgotten"),
    }
}

async fn forget(
    store: &Store,
    data_dir: &Path,
    keeping: Keeping,
    now: Timestamp,
) -> Result<Forgotten, StoreError> {
    let operations = store.prune_journal(keeping.operations).await?;
    let events = store.prune_events(keeping.events).await?;
    let age = i64::try_from(keeping.manifests.as_millis()).unwrap_or(i64::MAX);
    let needed = needed(store, data_dir).await?;
    let before = Timestamp(now.0.saturating_sub(age));
    let manifests = store.prune_manifests_but(before, needed).await?;
    Ok(Forgotten { operations, events, manifests })
}

/// Manifests that a removal may still ask for: of apps that are installed or have data, all that
/// they ever had, since they name what is theirs.
async fn needed(store: &Store, data_dir: &Path) -> Result<BTreeSet<Digest>, StoreError> {
    let installed: BTreeSet<AppId> = store.apps().await?.into_iter().map(|app| app.app).collect();
    let texts = store.manifests().await?;
    let needs = |text: &&Vec<u8>| {
        // what cannot be parsed any more names nothing that can be found
        Manifest::parse(text).is_ok_and(|manifest| {
            installed.contains(&manifest.id) || data_dir.join(manifest.id.as_str()).exists()
        })
    };
    Ok(texts.iter().filter(needs).map(|text| Digest::of(text)).collect())
}

#[cfg(test)]
mod tests {
    use archy_store::{AppRecord, Desired, NewEvent, NewOperation, Options, Phase};
    use archy_types::{Actor, Generation};
    use serde_json::json;

    use super::*;

    fn text(id: &str, version: u32) -> String {
        format!(
            "app:\n  id: {id}\n  name: X\n  version: 1.0.{version}\n  container:\n    image: a.example/b:1\n"
        )
    }

    fn record(app: &str, manifest: Digest) -> AppRecord {
        AppRecord {
            app: AppId::new(app).unwrap(),
            generation: Generation(1),
            manifest,
            desired: Desired::Running,
            actor: Actor::System,
            since: Timestamp(1),
            settings: std::collections::BTreeMap::new(),
            ports: std::collections::BTreeMap::new(),
            pinned_version: None,
            package_dir: None,
            data_due: None,
            adopted: None,
        }
    }

    #[tokio::test]
    async fn what_is_beyond_the_bounds_goes() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&Options::new(dir.path().join("state"))).unwrap();
        let mut digests = Vec::new();
        for (id, version, at) in
            [("notes", 1, 10), ("notes", 2, 20), ("gone", 1, 10), ("gone", 2, 95), ("kept", 1, 10)]
        {
            let digest = store.accept_manifest(text(id, version), Timestamp(at)).await.unwrap();
            digests.push((id, version, digest));
        }
        std::fs::create_dir(dir.path().join("kept")).unwrap();
        store.put_app(record("notes", digests[1].2)).await.unwrap();
        for number in 0..5 {
            let new = NewOperation {
                app: Some(AppId::new("notes").unwrap()),
                kind: "start".to_owned(),
                actor: Actor::System,
                params: json!({}),
                created: Timestamp(number),
            };
            let id = store.queue_operation(new).await.unwrap();
            store.finish_operation(id, Phase::Cancelled, None, Timestamp(number)).await.unwrap();
            let event = NewEvent {
                app: None,
                at: Timestamp(number),
                kind: "x".to_owned(),
                text: number.to_string(),
                fields: serde_json::Map::new(),
            };
            store.add_events(vec![event]).await.unwrap();
        }
        let keeping = Keeping { operations: 2, events: 3, manifests: Duration::from_millis(10) };
        let gone = forget(&store, dir.path(), keeping, Timestamp(100)).await.unwrap();
        assert_eq!(gone, Forgotten { operations: 3, events: 2, manifests: 1 });
        assert_eq!(store.history(None, None, 9).await.unwrap().len(), 2);
        assert_eq!(store.events(None, None, 9).await.unwrap().len(), 3);
        for (id, version, digest) in digests {
            let there = store.manifest(digest).await.unwrap().is_some();
            assert_eq!(there, (id, version) != ("gone", 1), "{id} {version}");
        }
        let gone = forget(&store, dir.path(), keeping, Timestamp(100)).await.unwrap();
        assert_eq!(gone, Forgotten { operations: 0, events: 0, manifests: 0 });
    }
}
