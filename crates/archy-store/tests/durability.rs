//! The store's life with crashes, damage, copies and many readers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use archy_store::{NewOperation, Options, Phase, StepState, Store, set_aside};
use archy_types::{Actor, AppId, Timestamp};
use serde_json::json;

fn open(dir: &Path) -> Store {
    Store::open(&Options::new(dir)).unwrap()
}

fn install() -> NewOperation {
    NewOperation {
        app: Some(AppId::new("notes").unwrap()),
        kind: "install".into(),
        actor: Actor::System,
        params: json!({}),
        created: Timestamp(1),
    }
}

/// The bytes on the disk as a power cut would leave them, opened elsewhere.
fn crashed(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in ["state.db", "state.db-wal"] {
        fs::copy(dir.join(name), copy.path().join(name)).unwrap();
    }
    copy
}

#[tokio::test]
async fn every_answered_write_is_there_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let op = store.queue_operation(install()).await.unwrap();
    store.plan_operation(op, json!(1), vec!["pull".into()], Timestamp(2)).await.unwrap();
    store.start_step(op, 1, Timestamp(3)).await.unwrap();
    let copy = crashed(dir.path());
    let after = open(copy.path());
    let found = after.open_operations().await.unwrap();
    assert_eq!(found[0].steps[0].state, StepState::Running);
    after.finish_operation(op, Phase::Failed, None, Timestamp(4)).await.unwrap();

    // A WAL that was cut short loses its tail, not the database.
    let torn = crashed(dir.path());
    let wal = torn.path().join("state.db-wal");
    let bytes = fs::read(&wal).unwrap();
    fs::write(&wal, &bytes[..bytes.len() - 100]).unwrap();
    let after = open(torn.path());
    let found = after.operation(op).await.unwrap().unwrap();
    assert_eq!(found.steps[0].state, StepState::Pending, "only the last commit is gone");
}

/// Bytes of the head of a WAL, and of a frame of it (sqlite.org, "Database File Format", 4.1).
const WAL_HEAD: usize = 32;
const WAL_FRAME: usize = 24 + 4096;

#[tokio::test]
async fn a_wal_that_is_cut_anywhere_holds_a_prefix_of_what_was_answered() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let wal = dir.path().join("state.db-wal");
    let length = || usize::try_from(fs::metadata(&wal).unwrap().len()).unwrap();
    // how long the WAL was when each write was answered
    let mut answered = vec![(0, 0)];
    for number in 1..=8 {
        let values = BTreeMap::from([
            ("a".to_owned(), json!(number)),
            ("b".to_owned(), json!({ "n": number, "long": "x".repeat(number % 3 * 6000) })),
        ]);
        store.put_settings(values).await.unwrap();
        answered.push((length(), number));
    }
    let bytes = fs::read(&wal).unwrap();
    let frames = (bytes.len() - WAL_HEAD) / WAL_FRAME;
    assert_eq!(bytes.len(), WAL_HEAD + frames * WAL_FRAME, "whole frames");
    assert!(answered.is_sorted() && frames > 16, "{answered:?}");

    let cuts = (0..=frames).flat_map(|frame| {
        let whole = WAL_HEAD + frame * WAL_FRAME;
        // in the middle of the next one: somewhere in its page, now and then in or after its head
        let head = [5, 24].into_iter().filter(move |more| (frame + more) % 4 == 0);
        [0, 24 + (frame * 977) % 4096].into_iter().chain(head).map(move |more| whole + more)
    });
    let mut seen = std::collections::BTreeSet::new();
    for cut in cuts.chain([0, 7]).filter(|cut| *cut <= bytes.len()) {
        let torn = tempfile::tempdir().unwrap();
        fs::copy(dir.path().join("state.db"), torn.path().join("state.db")).unwrap();
        fs::write(torn.path().join("state.db-wal"), &bytes[..cut]).unwrap();
        let after = open(torn.path());
        let a = after.setting("a").await.unwrap().and_then(|value| value.as_u64()).unwrap_or(0);
        let b = after.setting("b").await.unwrap();
        let b = b.and_then(|value| value["n"].as_u64()).unwrap_or(0);
        let (_, last) = answered.iter().rev().find(|(length, _)| *length <= cut).unwrap();
        assert_eq!((a, b), (*last as u64, *last as u64), "cut at {cut} of {}", bytes.len());
        // and it goes on from there
        after.put_setting("c", json!(cut)).await.unwrap();
        seen.insert(a);
    }
    assert_eq!(seen.len(), answered.len(), "each of them was the last one somewhere");
}

#[tokio::test]
async fn a_damaged_file_is_left_alone_until_asked() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.put_setting("k", json!("kept")).await.unwrap();
    drop(store);
    let database = dir.path().join("state.db");
    assert!(dir.path().join("state.last-good.db").is_file(), "made on closing");

    for damage in [b"not a database at all".repeat(500), Vec::new(), {
        let mut bytes = fs::read(&database).unwrap();
        bytes[4096..12_288].fill(0xa5);
        bytes
    }] {
        fs::write(&database, &damage).unwrap();
        let error = Store::open(&Options::new(dir.path())).unwrap_err();
        assert_eq!(error.code(), "store-corrupt");
        assert!(error.hint().contains("state.last-good.db"), "{}", error.hint());
        assert_eq!(fs::read(&database).unwrap(), damage, "not a byte is changed");
        let aside = Store::restore_last_good(dir.path(), Timestamp(7)).unwrap();
        assert_eq!(fs::read(&aside).unwrap(), damage, "kept beside");
        let store = open(dir.path());
        assert_eq!(store.setting("k").await.unwrap(), Some(json!("kept")));
    }

    fs::write(&database, b"x".repeat(5000)).unwrap();
    let aside = set_aside(dir.path(), Timestamp(8)).unwrap();
    assert_eq!(fs::read(aside).unwrap().len(), 5000);
    assert_eq!(open(dir.path()).setting("k").await.unwrap(), None, "a new one");
}

#[tokio::test]
async fn a_backup_is_whole_while_the_store_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for number in 0..200 {
                let values = BTreeMap::from([
                    ("a".to_owned(), json!(number)),
                    ("b".to_owned(), json!(number)),
                ]);
                store.put_settings(values).await.unwrap();
            }
        }
    });
    let target = tempfile::tempdir().unwrap();
    for number in 0..5 {
        let path = target.path().join(format!("{number}/state.db"));
        fs::create_dir(path.parent().unwrap()).unwrap();
        store.backup_to(&path).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let copy = open(path.parent().unwrap());
        assert_eq!(copy.setting("a").await.unwrap(), copy.setting("b").await.unwrap());
    }
    writer.await.unwrap();
    let error = store.backup_to(target.path().join("none/state.db")).await.unwrap_err();
    assert_eq!(error.code(), "store-io");
}

#[tokio::test]
async fn the_last_good_copy_comes_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { last_good_idle: Duration::from_millis(5), ..Options::new(dir.path()) };
    let store = Store::open(&options).unwrap();
    store.put_setting("k", json!(1)).await.unwrap();
    let copy = dir.path().join("state.last-good.db");
    let deadline = Instant::now() + Duration::from_secs(20);
    let elsewhere = tempfile::tempdir().unwrap();
    loop {
        assert!(Instant::now() < deadline, "no copy with the setting");
        if fs::copy(&copy, elsewhere.path().join("state.db")).is_ok()
            && open(elsewhere.path()).setting("k").await.unwrap().is_some()
        {
            break;
        }
        for name in ["state.db", "state.last-good.db"] {
            drop(fs::remove_file(elsewhere.path().join(name)));
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_whole_commits_beside_a_writer() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for number in 1..=200 {
                let values = ["x", "y", "z"].map(|key| (format!("pair.{key}"), json!(number)));
                store.put_settings(BTreeMap::from(values)).await.unwrap();
            }
        }
    });
    let readers: Vec<_> = (0..4)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut last = 0;
                while last < 200 {
                    let seen = store.settings("pair.").await.unwrap();
                    let Some(first) = seen.values().next() else { continue };
                    assert!(seen.values().all(|value| value == first), "torn: {seen:?}");
                    let number = first.as_i64().unwrap();
                    assert!(number >= last, "went back from {last} to {number}");
                    last = number;
                }
            })
        })
        .collect();
    writer.await.unwrap();
    for reader in readers {
        reader.await.unwrap();
    }
}
