//! The store as the daemon uses it: desired state, journal, events, sessions, settings.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use archy_store::{
    AppRecord, Desired, NewEvent, NewOperation, Options, Phase, Replaced, Session, StepResult,
    StepState, Store, StoreError, set_aside,
};
use archy_types::{Actor, AppId, Cause, Digest, Generation, Timestamp};
use serde_json::json;

fn open(dir: &Path) -> Store {
    Store::open(&Options::new(dir)).unwrap()
}

fn id(text: &str) -> AppId {
    AppId::new(text).unwrap()
}

fn record(app: &str, generation: u64, manifest: Digest) -> AppRecord {
    AppRecord {
        app: id(app),
        generation: Generation(generation),
        manifest,
        desired: Desired::Running,
        actor: Actor::User("cli".into()),
        since: Timestamp(1_000),
        settings: BTreeMap::from([("title".into(), json!("Töst"))]),
        ports: BTreeMap::from([("8080/tcp".into(), 18_080)]),
        pinned_version: Some("1.2.3".into()),
        package_dir: Some("/srv/packages/notes".into()),
        data_due: None,
        adopted: None,
    }
}

fn operation(app: &str, kind: &str) -> NewOperation {
    NewOperation {
        app: Some(id(app)),
        kind: kind.into(),
        actor: Actor::System,
        params: json!({"a": 1}),
        created: Timestamp(1),
    }
}

#[tokio::test]
async fn desired_state_survives_and_refuses_older_generations() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let missing = Digest::of(b"never accepted");
    let error = store.put_app(record("notes", 1, missing)).await.unwrap_err();
    assert_eq!(error, StoreError::ManifestUnknown(missing));

    let digest = store.accept_manifest("app: one\n", Timestamp(5)).await.unwrap();
    store.put_app(record("notes", 3, digest)).await.unwrap();
    for stale in [2, 3] {
        let error = store.put_app(record("notes", stale, digest)).await.unwrap_err();
        assert_eq!(error.code(), "generation-stale", "{stale}");
    }
    drop(store);

    let store = open(dir.path());
    assert_eq!(store.app(&id("notes")).await.unwrap(), Some(record("notes", 3, digest)));
    assert_eq!(store.manifest(digest).await.unwrap().unwrap(), b"app: one\n");
    assert_eq!(store.manifests().await.unwrap(), [b"app: one\n".to_vec()]);
    let purged = AppRecord { desired: Desired::Purged, ..record("notes", 4, digest) };
    store.put_app(purged.clone()).await.unwrap();
    assert_eq!(store.apps().await.unwrap(), [purged]);
    let error = store.forget_app(&id("notes"), Some(Generation(3))).await.unwrap_err();
    assert_eq!(error.code(), "generation-stale");
    store.forget_app(&id("notes"), Some(Generation(4))).await.unwrap();
    assert_eq!(store.forget_app(&id("notes"), None).await.unwrap_err().code(), "store-not-found");
    assert_eq!(store.prune_manifests(Timestamp(5)).await.unwrap(), 0, "too young");
    assert_eq!(store.prune_manifests(Timestamp(6)).await.unwrap(), 1);
}

#[tokio::test]
async fn of_many_who_change_the_same_generation_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let digest = store.accept_manifest("app: one\n", Timestamp(5)).await.unwrap();
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            tokio::spawn({
                let store = store.clone();
                async move { store.put_app(record("notes", 1, digest)).await }
            })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        won += u32::from(task.await.unwrap().is_ok());
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_copy_of_each_installed_manifest_lies_beside_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let text = b"app: one\n";
    let accepted = store
        .accept(
            record("notes", 1, Digest::of(text)),
            Some(text.to_vec()),
            operation("notes", "install"),
        )
        .await
        .unwrap();
    assert_eq!(store.open_operations().await.unwrap()[0].id, accepted);
    let copy = store.manifest_copy(&id("notes"));
    assert_eq!(copy, dir.path().join("manifests/notes.yml"));
    assert_eq!(fs::read(&copy).unwrap(), text);
    drop(store);

    fs::remove_file(&copy).unwrap();
    let store = open(dir.path());
    assert_eq!(fs::read(&copy).unwrap(), text, "healed at open");
    store.forget_app(&id("notes"), None).await.unwrap();
    assert!(!copy.exists());
}

#[tokio::test]
async fn what_an_uninstalled_app_left_is_known_until_it_is_purged() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let text = b"app: one\n".to_vec();
    let (notes, digest) = (id("notes"), Digest::of(&text));
    let at = |generation, desired| AppRecord { desired, ..record("notes", generation, digest) };
    let accept = async |store: &Store, record| {
        let operation = operation("notes", "uninstall");
        store.accept(record, Some(text.clone()), operation).await.unwrap();
    };
    assert_eq!(store.uninstalled(&notes).await.unwrap(), None, "never there");
    accept(&store, at(2, Desired::Removed)).await;
    assert_eq!(store.uninstalled(&notes).await.unwrap(), None, "still going");
    store.forget_app(&notes, None).await.unwrap();
    let left = Some((at(2, Desired::Removed), text.clone()));
    assert_eq!(store.uninstalled(&notes).await.unwrap(), left);
    drop(store);

    let store = open(dir.path());
    assert_eq!(store.uninstalled(&notes).await.unwrap(), left);
    assert!(!archy_store::kept_copies(dir.path()).unwrap().contains_key(&notes));
    // an install that was taken back left the data as it was
    accept(&store, at(1, Desired::Running)).await;
    assert_eq!(store.uninstalled(&notes).await.unwrap(), None, "installed");
    store.forget_app(&notes, None).await.unwrap();
    assert_eq!(store.uninstalled(&notes).await.unwrap(), left);
    accept(&store, at(3, Desired::Purged)).await;
    store.forget_app(&notes, None).await.unwrap();
    assert_eq!(store.uninstalled(&notes).await.unwrap(), None);
    // what was never Archipelago's own stays its owner's
    let adopted = AppRecord { adopted: Some(json!({})), ..at(4, Desired::Removed) };
    accept(&store, adopted).await;
    store.forget_app(&notes, None).await.unwrap();
    assert_eq!(store.uninstalled(&notes).await.unwrap(), None);
}

#[tokio::test]
async fn accepting_is_all_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let digest = store.accept_manifest("app: one\n", Timestamp(5)).await.unwrap();
    store.put_app(record("notes", 2, digest)).await.unwrap();
    let text = b"app: two\n".to_vec();
    let stale = record("notes", 2, Digest::of(&text));
    let result = store.accept(stale, Some(text.clone()), operation("notes", "install")).await;
    assert_eq!(result.unwrap_err().code(), "generation-stale");
    assert!(store.open_operations().await.unwrap().is_empty());
    assert_eq!(store.manifest(Digest::of(&text)).await.unwrap(), None);
    assert_eq!(fs::read(store.manifest_copy(&id("notes"))).unwrap(), b"app: one\n");
}

#[tokio::test]
async fn an_operation_is_journaled_step_by_step() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let op = store.queue_operation(operation("notes", "install")).await.unwrap();
    assert_eq!(store.operation(op).await.unwrap().unwrap().phase, Phase::Queued);
    let error = store.start_step(op, 1, Timestamp(2)).await.unwrap_err();
    assert_eq!(error.code(), "operation-phase");

    let steps = vec!["pull".into(), "write".into()];
    assert_eq!(store.plan_operation(op, json!([1]), steps, Timestamp(2)).await.unwrap(), 1);
    store.start_step(op, 1, Timestamp(3)).await.unwrap();
    store.advance_step(op, 1, StepResult::Done(None), 2, Timestamp(4)).await.unwrap();
    let open = store.open_operations().await.unwrap();
    assert_eq!(open[0].steps[0].state, StepState::Done);
    assert_eq!(open[0].steps[1].state, StepState::Running);

    let again = vec!["write".into(), "start".into(), "check".into()];
    assert_eq!(store.plan_operation(op, json!([2]), again, Timestamp(5)).await.unwrap(), 3);
    store.start_step(op, 3, Timestamp(6)).await.unwrap();
    store.finish_step(op, 3, StepResult::Skipped("same text".into()), Timestamp(6)).await.unwrap();
    store.start_step(op, 4, Timestamp(7)).await.unwrap();
    let cause = Cause::new("no-answer", "It does not answer.");
    store.finish_operation(op, Phase::RolledBack, Some(cause.clone()), Timestamp(8)).await.unwrap();

    let done = store.operation(op).await.unwrap().unwrap();
    assert_eq!((done.phase, done.cause), (Phase::RolledBack, Some(cause)));
    assert_eq!((done.started, done.finished), (Some(Timestamp(2)), Some(Timestamp(8))));
    let states: Vec<_> = done.steps.iter().map(|step| (step.seq, step.state)).collect();
    let (finished, skipped, failed) = (StepState::Done, StepState::Skipped, StepState::Failed);
    assert_eq!(states, [(1, finished), (2, skipped), (3, skipped), (4, failed), (5, skipped)]);
    assert_eq!(done.steps[3].outcome.as_deref(), Some("It does not answer."));
    let error = store.finish_operation(op, Phase::Done, None, Timestamp(9)).await.unwrap_err();
    assert_eq!(error.code(), "operation-phase");
    assert!(store.open_operations().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_next_step_ends_the_one_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let op = store.queue_operation(operation("notes", "start")).await.unwrap();
    let steps = vec!["reload".into(), "start".into()];
    store.plan_operation(op, json!(null), steps, Timestamp(2)).await.unwrap();
    for (at, (text, seq)) in (3..).zip([("reload", 1), ("hook", 3), ("start", 2)]) {
        assert_eq!(store.next_step(op, text, Timestamp(at)).await.unwrap(), seq);
    }
    let unfinished = store.operation(op).await.unwrap().unwrap();
    let running: Vec<_> =
        unfinished.steps.iter().filter(|step| step.state == StepState::Running).collect();
    assert_eq!(running.len(), 1);
    assert_eq!(running[0].description, "start");
    store.finish_operation(op, Phase::Done, None, Timestamp(9)).await.unwrap();
    let done = store.operation(op).await.unwrap().unwrap();
    assert!(done.steps.iter().all(|step| step.state == StepState::Done), "{done:?}");
}

#[tokio::test]
async fn history_is_paged_and_pruned() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut ids = Vec::new();
    for number in 0..10 {
        let app = if number % 2 == 0 { "even" } else { "odd" };
        // the clock goes back: the order is that of the ids
        let created = Timestamp(1_000 - number);
        let new = NewOperation { created, ..operation(app, "start") };
        let op = store.queue_operation(new).await.unwrap();
        if number != 0 {
            store.finish_operation(op, Phase::Done, None, Timestamp(1)).await.unwrap();
        }
        ids.push(op);
    }
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = store.history(Some(&id("even")), before, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        seen.extend(page.iter().map(|operation| operation.id));
    }
    assert_eq!(seen, [ids[8], ids[6], ids[4], ids[2], ids[0]]);
    assert_eq!(store.history(None, None, usize::MAX).await.unwrap().len(), 10);
    assert_eq!(store.prune_journal(2).await.unwrap(), 5);
    let left = store.history(None, None, 99).await.unwrap();
    let left: Vec<_> = left.iter().map(|operation| operation.id).collect();
    assert_eq!(left, [ids[9], ids[8], ids[7], ids[6], ids[0]], "an open one stays");
}

#[tokio::test]
async fn events_are_kept_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let event = |number: i64| NewEvent {
        app: (number % 2 == 0).then(|| id("notes")),
        at: Timestamp(number),
        kind: "unhealthy".into(),
        text: format!("event {number}"),
        fields: serde_json::Map::from_iter([("n".to_owned(), json!(number))]),
    };
    let last = store.add_events((0..6).map(event).collect()).await.unwrap();
    let all = store.events(None, None, 100).await.unwrap();
    assert_eq!((all.len(), all[0].seq), (6, last));
    let of_app = store.events(Some(&id("notes")), Some(last), 2).await.unwrap();
    let texts: Vec<_> = of_app.iter().map(|event| event.text.as_str()).collect();
    assert_eq!(texts, ["event 4", "event 2"]);
    assert_eq!(of_app[0].fields["n"], json!(4));
    assert_eq!(store.prune_events(1).await.unwrap(), 5);
    assert_eq!(store.events(None, None, 100).await.unwrap()[0].seq, last);
}

fn session(hash: char, user: &str) -> Session {
    Session {
        token_hash: hash.to_string().repeat(64),
        csrf: "csrf".into(),
        user: user.into(),
        role: "admin".into(),
        created: Timestamp(1),
        last_seen: Timestamp(1),
        expires: Timestamp(100),
        remote: "192.0.2.1".into(),
    }
}

#[tokio::test]
async fn sessions_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for (hash, user) in [('a', "ann"), ('b', "ann"), ('c', "bob")] {
        store.put_session(session(hash, user)).await.unwrap();
    }
    let token = Session { token_hash: "a-raw-token".into(), ..session('d', "ann") };
    assert_eq!(store.put_session(token).await.unwrap_err().code(), "store-refused");
    let a = "a".repeat(64);
    assert_eq!(store.session(&a, Timestamp(99)).await.unwrap(), Some(session('a', "ann")));
    assert_eq!(store.session(&a, Timestamp(100)).await.unwrap(), None, "expired");
    assert!(store.touch_session(&a, Timestamp(50), Timestamp(200)).await.unwrap());
    assert_eq!(store.sessions(Timestamp(50)).await.unwrap()[0].token_hash, a);
    assert_eq!(store.prune_sessions(Timestamp(100)).await.unwrap(), 2);
    store.put_session(session('b', "ann")).await.unwrap();
    assert_eq!(store.delete_sessions_of("ann", Some(&a)).await.unwrap(), 1);
    assert!(store.delete_session(&a).await.unwrap());
    assert!(!store.delete_session(&a).await.unwrap());
    assert!(!store.touch_session(&a, Timestamp(1), Timestamp(2)).await.unwrap());
    let shown = format!("{:?}", session('a', "ann"));
    assert!(!shown.contains("aaaa") && !shown.contains("\"csrf\""), "{shown}");
}

#[tokio::test]
async fn settings_are_json_by_key() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.put_setting("ui.theme", json!({"dark": true})).await.unwrap();
    store.put_setting("ui_x", json!(1)).await.unwrap();
    assert_eq!(store.setting("ui.theme").await.unwrap(), Some(json!({"dark": true})));
    assert_eq!(store.settings("ui.").await.unwrap().len(), 1);
    store.put_setting("ui.theme", json!(null)).await.unwrap();
    assert_eq!(store.setting("ui.theme").await.unwrap(), None);
}

#[tokio::test]
async fn files_are_private_and_the_store_is_one_process_only() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("deep/state");
    let store = open(&state);
    store.put_setting("k", json!(1)).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    for entry in fs::read_dir(&state).unwrap().map(Result::unwrap) {
        let want = if entry.path().is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&entry.path()), want, "{:?}", entry.path());
    }
    let error = Store::open(&Options::new(&state)).unwrap_err();
    assert_eq!(error.code(), "store-locked");
    assert_eq!(set_aside(&state, Timestamp(1)).unwrap_err().code(), "store-locked");
}

#[tokio::test]
async fn an_update_keeps_what_it_replaces_until_it_is_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&Options::new(dir.path())).unwrap();
    let (one, two) = (b"app: one".to_vec(), b"app: two".to_vec());
    let first = record("notes", 1, Digest::of(&one));
    store.accept(first.clone(), Some(one.clone()), operation("notes", "install")).await.unwrap();
    let due = Some(json!({"do": "snapshot", "generation": 2}));
    let second = AppRecord { data_due: due, ..record("notes", 2, Digest::of(&two)) };
    let update = operation("notes", "update");
    let update =
        store.accept_replacing(second.clone(), Some(two), update, Replaced::Keep).await.unwrap();
    assert_eq!(store.app(&id("notes")).await.unwrap(), Some(second));
    let previous = store.previous().await.unwrap();
    assert_eq!(previous.len(), 1);
    assert_eq!((&previous[0].record, previous[0].replaced_by), (&first, Generation(2)));
    assert_eq!(store.prune_manifests(Timestamp(i64::MAX)).await.unwrap(), 0, "it is needed");

    let cause = archy_types::Cause::new("unit-failed", "It did not start.");
    let back = AppRecord { generation: Generation(3), ..first };
    store.turn_back(back.clone(), update, cause.clone()).await.unwrap();
    assert_eq!(store.app(&id("notes")).await.unwrap(), Some(back.clone()));
    assert_eq!(store.previous().await.unwrap(), []);
    let open = store.open_operations().await.unwrap();
    let open = open.iter().find(|open| open.id == update).unwrap();
    assert_eq!(open.cause, Some(cause.clone()));
    let stale = store.turn_back(back, update, cause).await.unwrap_err();
    assert_eq!(stale.code(), "generation-stale");
    assert_eq!(store.prune_manifests(Timestamp(i64::MAX)).await.unwrap(), 1);
}
