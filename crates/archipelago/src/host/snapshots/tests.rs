//! Snapshots of a data directory; `podman unshare` runs in this namespace.

use std::sync::Arc;

use archy_manifest::Manifest;
use archy_plan::DesiredState;
use archy_types::{Actor, Digest};

use super::*;
use crate::host::testing::host;

fn app() -> DesiredApp {
    let text = "app:\n  id: demo\n  name: Demo\n  version: 2.0.0\n  container:\n    image: a.example/b:1\n";
    DesiredApp {
        manifest: Arc::new(Manifest::parse(text.as_bytes()).unwrap()),
        digest: Digest::of(text.as_bytes()),
        generation: Generation(4),
        state: DesiredState::Running,
        actor: Actor::System,
        since: Timestamp(1),
        settings: BTreeMap::new(),
        port_overrides: BTreeMap::new(),
        package_dir: None,
        data_due: None,
        adopted: None,
    }
}

#[tokio::test]
async fn data_is_saved_put_back_and_removed() {
    let root = tempfile::tempdir().unwrap();
    let (host, app) = (host(root.path()), app());
    let id = app.manifest.id.clone();
    let data = root.path().join("data/demo/data");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("a"), "old").unwrap();
    std::os::unix::fs::symlink("a", data.join("link")).unwrap();
    // what a cut left of another one
    let cut = root.path().join("data/snapshots/demo/.3/data");
    std::fs::create_dir_all(&cut).unwrap();

    host.save(&app, Generation(4), &[]).await.unwrap();
    assert!(!cut.exists());
    let seen = host.snapshots().unwrap();
    let state = &seen[&id][&Generation(4)];
    assert_eq!((state.restored, state.expires), (None, state.taken.plus_millis(60_000)));
    assert!(state.bytes > 0);

    for wish in [Generation(5), Generation(6)] {
        std::fs::write(data.join("a"), "new").unwrap();
        std::fs::write(data.join("b"), "more").unwrap();
        // as a cut leaves it
        std::fs::create_dir_all(root.path().join("data/.demo.restore/half")).unwrap();
        host.put_back(&id, Generation(4), wish).await.unwrap();
        assert_eq!(std::fs::read_to_string(data.join("a")).unwrap(), "old");
        assert_eq!(std::fs::read_link(data.join("link")).unwrap(), Path::new("a"));
        assert!(!data.join("b").exists());
        assert!(!root.path().join("data/.demo.restore").exists());
        assert_eq!(host.snapshots().unwrap()[&id][&Generation(4)].restored, Some(wish));
    }

    // taken again: the newer data counts, and it was never put back
    std::fs::write(data.join("a"), "newer").unwrap();
    host.save(&app, Generation(4), &[]).await.unwrap();
    let saved = root.path().join("data/snapshots/demo/4");
    assert_eq!(std::fs::read_to_string(saved.join("data/data/a")).unwrap(), "newer");
    assert_eq!(host.snapshots().unwrap()[&id][&Generation(4)].restored, None);

    host.clear(&id, &[Generation(4), Generation(9)]).await.unwrap();
    assert_eq!(host.snapshots().unwrap().get(&id), None);
    let gone = host.put_back(&id, Generation(4), Generation(7)).await.unwrap_err();
    assert_eq!(gone.error.code.as_str(), "snapshot-missing");
}

#[tokio::test]
async fn half_a_snapshot_is_none_and_a_lost_directory_comes_back() {
    let root = tempfile::tempdir().unwrap();
    let (host, app) = (host(root.path()), app());
    let id = app.manifest.id.clone();
    let dir = root.path().join("data/snapshots/demo");
    std::fs::create_dir_all(dir.join("2/data")).unwrap();
    assert_eq!(host.snapshots().unwrap().get(&id), None);
    // the rest of one that was being removed is told, so that it is cleared
    std::fs::create_dir_all(dir.join(".gone-1/data")).unwrap();
    assert!(host.snapshots().unwrap()[&id].is_empty());
    host.clear(&id, &[]).await.unwrap();
    assert!(!dir.join(".gone-1").exists());
    assert_eq!(host.snapshots().unwrap().get(&id), None);
    let data = root.path().join("data/demo");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("a"), "old").unwrap();
    host.save(&app, Generation(4), &[]).await.unwrap();
    std::fs::remove_dir_all(&data).unwrap();
    host.put_back(&id, Generation(4), Generation(5)).await.unwrap();
    assert_eq!(std::fs::read_to_string(data.join("a")).unwrap(), "old");
}
