//! What lies beside the database, and a database that cannot be written.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;
use std::path::Path;

use archy_store::{AppRecord, Desired, Options, Store, StoreError, is_there, kept_copies};
use archy_types::{Actor, AppId, Generation, Timestamp};

async fn put(store: &Store, id: &str, generation: u64, text: &str) -> AppRecord {
    let manifest = store.accept_manifest(text, Timestamp(1)).await.unwrap();
    let record = AppRecord {
        app: AppId::new(id).unwrap(),
        generation: Generation(generation),
        manifest,
        desired: Desired::Running,
        actor: Actor::User("cli".into()),
        since: Timestamp(5),
        settings: BTreeMap::from([("title".to_owned(), "Mine".into())]),
        ports: BTreeMap::from([("8080/tcp".to_owned(), 8081)]),
        pinned_version: None,
        package_dir: None,
        data_due: None,
        adopted: None,
    };
    store.put_app(record.clone()).await.unwrap();
    record
}

fn open(dir: &Path) -> Store {
    Store::open(&Options::new(dir)).unwrap()
}

#[tokio::test]
async fn copies_follow_the_database_and_are_healed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let record = put(&store, "notes", 3, "app: notes\n").await;
    let other = put(&store, "wiki", 1, "app: wiki\n").await;
    let kept = kept_copies(dir.path()).unwrap();
    assert_eq!(kept[&record.app].record.as_ref(), Some(&record));
    assert_eq!(kept[&record.app].manifest.as_deref(), Some(&b"app: notes\n"[..]));
    // an app that is forgotten leaves none
    store.forget_app(&other.app, None).await.unwrap();
    assert!(!kept_copies(dir.path()).unwrap().contains_key(&other.app));
    drop(store);
    // one that is damaged or gone is written again by the next open
    std::fs::write(dir.path().join("manifests/notes.json"), "{").unwrap();
    assert_eq!(kept_copies(dir.path()).unwrap()[&record.app].record, None);
    drop(open(dir.path()));
    assert_eq!(kept_copies(dir.path()).unwrap()[&record.app].record, Some(record));
}

#[tokio::test]
async fn what_cannot_be_written_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let record = put(&store, "notes", 3, "app: notes\n").await;
    // as after a power cut: what is only in the log counts too
    let (cut, copy) = (tempfile::tempdir().unwrap(), scratch.path().join("store"));
    for name in ["state.db", "state.db-wal"] {
        std::fs::copy(dir.path().join(name), cut.path().join(name)).unwrap();
    }
    drop(store);
    let reason = StoreError::DiskFull { path: cut.path().join("state.db") };
    let options = Options::new(cut.path());
    for _ in 0..2 {
        let store = Store::open_unwritable(&options, &copy, reason.clone()).unwrap();
        assert_eq!(store.apps().await.unwrap(), vec![record.clone()]);
        assert_eq!(store.unwritable(), Some(reason.clone()));
        assert_eq!(store.write_fault(), Some(reason.clone()));
        assert_eq!(store.put_setting("a", 1.into()).await, Err(reason.clone()));
        assert_eq!(store.check().await.unwrap(), None);
    }
    // nothing of it reached the directory
    let mut names: Vec<_> =
        std::fs::read_dir(cut.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["state.db", "state.db-wal"]);
    let store = open(cut.path());
    assert_eq!(store.apps().await.unwrap(), vec![record]);
    assert_eq!((store.unwritable(), store.write_fault()), (None, None));
}

#[test]
fn a_store_is_there_or_not() {
    let dir = tempfile::tempdir().unwrap();
    assert!(!is_there(dir.path()));
    std::fs::write(dir.path().join("state.db"), "").unwrap();
    assert!(!is_there(dir.path()));
    drop(open(dir.path()));
    assert!(is_there(dir.path()));
    std::fs::remove_file(dir.path().join("state.db")).unwrap();
    assert!(is_there(dir.path()));
    assert_eq!(archy_store::try_write(dir.path()), Ok(()));
    let missing = archy_store::try_write(&dir.path().join("gone")).unwrap_err();
    assert_eq!(missing.code(), "store-io");
}
