//! A store that is whole, damaged, lost, or to be built anew, with what lies beside it.

use std::collections::BTreeMap;

use archy_store::{AppRecord, Desired};
use archy_types::{Actor, Digest, Generation};

use super::*;
use crate::config::{Sources, User};

const MANIFEST: &str = "app:\n  id: notes\n  name: Notes\n  version: 1.0.0\n  description: Notes.\n  container:\n    image: registry.example/notes:1\n";

fn config(dir: &Path) -> Config {
    let set = |key: &str, path: &str| (key.to_owned(), dir.join(path).display().to_string());
    let settings = vec![
        ("mode".to_owned(), "node".to_owned()),
        set("data_dir", "data"),
        set("apps_dir", "apps"),
        set("quadlet_dir", "units"),
        set("rpc_socket", "run/a.sock"),
        set("runtime_dir", "run"),
    ];
    std::fs::write(dir.join("config.toml"), "").unwrap();
    let sources = Sources::new(vec![("HOME".to_owned(), dir.display().to_string())], settings);
    Config::read(sources, Some(dir.join("config.toml")), &User::current()).unwrap()
}

async fn filled(config: &Config, generations: u64) -> AppRecord {
    let opened = open(config, false).await.unwrap();
    assert_eq!((opened.report.found, opened.notices.len()), (Found::New, 0));
    let manifest = opened.store.accept_manifest(MANIFEST, Timestamp(1)).await.unwrap();
    let mut record = AppRecord {
        app: AppId::new("notes").unwrap(),
        generation: Generation(1),
        manifest,
        desired: Desired::Running,
        actor: Actor::User("cli".to_owned()),
        since: Timestamp(5),
        settings: BTreeMap::from([("title".to_owned(), "Mine".into())]),
        ports: BTreeMap::new(),
        pinned_version: None,
        package_dir: None,
        data_due: None,
        adopted: None,
    };
    for generation in 1..=generations {
        record.generation = Generation(generation);
        opened.store.put_app(record.clone()).await.unwrap();
        if generation == 1 {
            opened.store.keep_last_good().await.unwrap();
        }
    }
    record
}

fn damage(dir: &Path) {
    let file = dir.join("state.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let end = bytes.len();
    bytes[100..end].fill(0x5a);
    std::fs::write(&file, bytes).unwrap();
}

fn remove(dir: &Path, names: &[&str]) {
    for name in names {
        let _ = std::fs::remove_file(dir.join(name));
    }
}

#[tokio::test]
async fn a_whole_store_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let record = filled(&config, 2).await;
    let opened = open(&config, false).await.unwrap();
    assert_eq!(opened.report.found, Found::Whole);
    assert!(opened.notices.is_empty());
    assert_eq!(opened.store.apps().await.unwrap(), vec![record]);
}

#[tokio::test]
async fn a_damaged_store_is_put_back_and_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let record = filled(&config, 3).await;
    let state = &config.paths.state_dir;
    damage(state);
    let opened = open(&config, false).await.unwrap();
    assert_eq!(opened.report.found, Found::Restored);
    // the copy was of the first generation, or of the last one when it was made at the close
    assert_eq!(opened.store.apps().await.unwrap(), vec![record]);
    assert_eq!(opened.notices[0].code.as_str(), "store-recovered");
    assert!(opened.report.aside.as_ref().unwrap().exists());
    let events = opened.store.events(None, None, 5).await.unwrap();
    assert_eq!(events[0].kind, "store-recovered");
}

#[tokio::test]
async fn an_older_copy_does_not_bring_back_what_was_uninstalled() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let record = filled(&config, 1).await;
    let state = config.paths.state_dir.clone();
    let older = std::fs::read(state.join("state.last-good.db")).unwrap();
    let store = Store::open(&Options::new(&state)).unwrap();
    store.forget_app(&record.app, None).await.unwrap();
    drop(store);
    std::fs::write(state.join("state.last-good.db"), older).unwrap();
    damage(&state);
    let opened = open(&config, false).await.unwrap();
    assert_eq!(opened.report.found, Found::Restored);
    assert_eq!(opened.report.apps[0].outcome, "forgotten");
    assert!(opened.store.apps().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_lost_store_is_built_again_from_what_lies_beside_it() {
    for anew in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        let record = filled(&config, 2).await;
        if !anew {
            let all = ["state.db", "state.db-wal", "state.db-shm", "state.last-good.db"];
            remove(&config.paths.state_dir, &all);
        }
        let opened = open(&config, anew).await.unwrap();
        assert_eq!(opened.report.found, Found::Rebuilt);
        assert_eq!(opened.report.apps[0].outcome, "from-record");
        assert_eq!(opened.store.apps().await.unwrap(), vec![record.clone()]);
        assert_eq!(
            opened.store.manifest(record.manifest).await.unwrap().unwrap(),
            MANIFEST.as_bytes()
        );
        assert_eq!(opened.notices[0].code.as_str(), "store-rebuilt");
        assert_eq!(opened.report.aside.is_some(), anew);
    }
}

#[tokio::test]
async fn a_damaged_store_without_a_whole_copy_is_built_again() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let record = filled(&config, 2).await;
    let state = &config.paths.state_dir;
    damage(state);
    std::fs::write(state.join("state.last-good.db"), "no database").unwrap();
    let opened = open(&config, false).await.unwrap();
    assert_eq!(opened.report.found, Found::Rebuilt);
    assert_eq!(opened.store.apps().await.unwrap(), vec![record]);
    let kept = opened.report.aside.unwrap();
    assert!(kept.exists());
}

#[tokio::test]
async fn what_does_not_agree_is_named_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    std::fs::create_dir_all(&config.paths.quadlet_dir).unwrap();
    let unit = config.paths.quadlet_dir.join("notes.container");
    let text = format!(
        "[Container]\nImage=a\nLabel=io.archipelago.app=notes\nLabel=io.archipelago.service=main\n\
         Label=io.archipelago.generation=4\nLabel=io.archipelago.manifest={}\n",
        Digest::of(b"another")
    );
    std::fs::write(&unit, &text).unwrap();
    let opened = open(&config, false).await.unwrap();
    assert_eq!(opened.report.found, Found::Rebuilt);
    let outcome = &opened.report.apps[0];
    assert_eq!(outcome.error.as_ref().unwrap().code.as_str(), "rebuild-no-manifest");
    let notice = opened.notices.iter().find(|n| n.code.as_str() == "app-not-rebuilt").unwrap();
    assert!(notice.mend.as_ref().unwrap().contains("archy install notes"));
    assert!(opened.store.apps().await.unwrap().is_empty());
    assert_eq!(std::fs::read_to_string(&unit).unwrap(), text);
}
