//! Tests of migrations, the writer's batches, and what SQLite's refusals become.

use std::path::Path;
use std::time::Duration;

use archy_types::{AppId, OperationId, Timestamp};
use rusqlite::Connection;

use super::{Fault, migrations, open};
use crate::journal::{NewOperation, Phase, StepState};
use crate::{Desired, Options, Store, StoreError};

const V1: &str = include_str!("migrations/fixtures/v1.sql");
const V2: &str = include_str!("migrations/fixtures/v2.sql");
const V3: &str = include_str!("migrations/fixtures/v3.sql");

fn schema(connection: &Connection) -> Vec<String> {
    let sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
    let mut statement = connection.prepare(sql).unwrap();
    let words = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    statement.query_map([], |row| row.get(0).map(words)).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_file_of_version_1_is_copied_and_brought_to_today() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(super::FILE);
    Connection::open(&path).unwrap().execute_batch(V1).unwrap();

    let store = Store::open(&Options::new(dir.path())).unwrap();
    let app = store.app(&AppId::new("notes").unwrap()).await.unwrap().unwrap();
    assert_eq!((app.generation.0, app.desired), (7, Desired::Stopped));
    assert_eq!(app.ports["8080/tcp"], 18080);
    let open = store.open_operations().await.unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!((open[0].id, open[0].phase), (OperationId(5), Phase::Running));
    assert_eq!(open[0].steps[0].state, StepState::Running);
    store.put_setting("k", serde_json::json!(1)).await.unwrap();
    drop(store);

    let before = Connection::open(dir.path().join("state.before-migration-1.db")).unwrap();
    assert_eq!(migrations::version(&before).unwrap(), 1);
    let migrated = Connection::open(&path).unwrap();
    assert_eq!(migrations::version(&migrated).unwrap(), migrations::LATEST);
    let mut fresh = Connection::open_in_memory().unwrap();
    migrations::migrate(&mut fresh).unwrap();
    assert_eq!(schema(&migrated), schema(&fresh), "an old and a new file end alike");
}

#[tokio::test]
async fn a_file_of_version_2_has_room_for_what_an_update_replaces() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(super::FILE);
    Connection::open(&path).unwrap().execute_batch(V2).unwrap();

    let store = Store::open(&Options::new(dir.path())).unwrap();
    let notes = AppId::new("notes").unwrap();
    let app = store.app(&notes).await.unwrap().unwrap();
    assert_eq!((app.generation.0, app.data_due.clone()), (7, None));
    assert_eq!(store.previous().await.unwrap(), []);
    assert_eq!(store.events(Some(&notes), None, 5).await.unwrap().len(), 1);
    drop(store);

    let before = Connection::open(dir.path().join("state.before-migration-2.db")).unwrap();
    assert_eq!(migrations::version(&before).unwrap(), 2);
    let migrated = Connection::open(&path).unwrap();
    let mut fresh = Connection::open_in_memory().unwrap();
    migrations::migrate(&mut fresh).unwrap();
    assert_eq!(schema(&migrated), schema(&fresh), "an old and a new file end alike");
}

#[tokio::test]
async fn a_file_of_version_3_has_room_for_what_was_adopted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(super::FILE);
    Connection::open(&path).unwrap().execute_batch(V3).unwrap();

    let store = Store::open(&Options::new(dir.path())).unwrap();
    let app = store.app(&AppId::new("notes").unwrap()).await.unwrap().unwrap();
    assert_eq!((app.generation.0, app.adopted.clone()), (7, None));
    assert!(app.data_due.is_some());
    let found = serde_json::json!({ "origin": "compose" });
    let next =
        crate::AppRecord { generation: app.generation.next(), adopted: Some(found.clone()), ..app };
    store.put_app(next).await.unwrap();
    let app = store.app(&AppId::new("notes").unwrap()).await.unwrap().unwrap();
    assert_eq!(app.adopted, Some(found));
    drop(store);

    let migrated = Connection::open(&path).unwrap();
    let mut fresh = Connection::open_in_memory().unwrap();
    migrations::migrate(&mut fresh).unwrap();
    assert_eq!(schema(&migrated), schema(&fresh), "an old and a new file end alike");
}

#[test]
fn a_failing_step_leaves_the_version_before_it() {
    let mut connection = Connection::open_in_memory().unwrap();
    let steps = ["CREATE TABLE a (x) STRICT", "CREATE TABLE b (x INTEGER) STRICT; nonsense"];
    assert!(
        migrations::run(&mut connection, &["CREATE TABLE a (x INTEGER) STRICT", steps[1]]).is_err()
    );
    assert_eq!(migrations::version(&connection).unwrap(), 1);
    assert_eq!(schema(&connection).len(), 1, "b is rolled back");
    let mended = ["CREATE TABLE a (x INTEGER) STRICT", "CREATE TABLE b (x INTEGER) STRICT"];
    migrations::run(&mut connection, &mended).unwrap();
    migrations::run(&mut connection, &mended).unwrap();
    assert_eq!(migrations::version(&connection).unwrap(), 2);
}

#[test]
fn a_newer_file_is_refused_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(super::FILE);
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let before = std::fs::read(&path).unwrap();
    let error = Store::open(&Options::new(dir.path())).unwrap_err();
    assert_eq!(error.code(), "store-too-new");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn durability_is_as_promised() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&Options::new(dir.path())).unwrap();
    let pragma = |name: &'static str| {
        let store = store.clone();
        async move {
            let sql = format!("PRAGMA {name}");
            let read = move |connection: &Connection| {
                Ok(connection.query_row(&sql, [], |row| row.get::<_, rusqlite::types::Value>(0))?)
            };
            store.write_minor(read).await.unwrap()
        }
    };
    assert_eq!(pragma("journal_mode").await, "wal".to_owned().into());
    assert_eq!(pragma("synchronous").await, 2.into());
    assert_eq!(pragma("foreign_keys").await, 1.into());
}

fn new_operation() -> NewOperation {
    NewOperation {
        app: None,
        kind: "test".into(),
        actor: archy_types::Actor::System,
        params: "x".repeat(20_000).into(),
        created: Timestamp(1),
    }
}

#[tokio::test]
async fn a_full_disk_undoes_the_write_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&Options::new(dir.path())).unwrap();
    let limit = |pages: i64| {
        let job = move |connection: &Connection| {
            let sql = format!("PRAGMA max_page_count = {pages}");
            Ok(connection.query_row(&sql, [], |row| row.get::<_, i64>(0))?)
        };
        store.write_minor(job)
    };
    let pages = limit(1).await.unwrap();
    limit(pages + 2).await.unwrap();
    let error = store.queue_operation(new_operation()).await.unwrap_err();
    assert!(matches!(&error, StoreError::DiskFull { path } if path.ends_with(super::FILE)));
    assert_eq!(error.code(), "disk-full");
    assert!(store.history(None, None, 10).await.unwrap().is_empty());
    limit(100_000).await.unwrap();
    store.queue_operation(new_operation()).await.unwrap();
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&Options::new(dir.path())).unwrap();
    let insert = |connection: &Connection| -> Result<(), Fault> {
        connection.pragma_update(None, "query_only", true)?;
        let result = connection.execute("INSERT INTO settings VALUES ('k', '1')", []);
        connection.pragma_update(None, "query_only", false)?;
        Ok(result.map(drop)?)
    };
    assert_eq!(store.write(insert).await.unwrap_err().code(), "store-read-only");
    store.queue_operation(new_operation()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_refusal_in_a_batch_undoes_nothing_of_its_neighbours() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&Options::new(dir.path())).unwrap();
    // Holds the writer until all others wait behind it, so that they share a commit.
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let held = store.write_minor(move |_| {
        gate.recv_timeout(Duration::from_secs(20)).unwrap();
        Ok(())
    });
    let jobs = (0..40).map(|number: i64| {
        store.write(move |connection| {
            connection.execute(
                "INSERT INTO settings VALUES (?, ?)",
                rusqlite::params![format!("k{number}"), number.to_string()],
            )?;
            if number % 4 == 0 {
                return Err(StoreError::NotFound { what: number.to_string() }.into());
            }
            Ok(number)
        })
    });
    let mut waiting = Box::pin(futures_of(jobs.collect()));
    let mut held = Box::pin(held);
    tokio::select! {
        biased;
        _ = &mut held => panic!("the gate is shut"),
        _ = &mut waiting => panic!("the gate is shut"),
        () = std::future::ready(()) => {}
    }
    go.send(()).unwrap();
    held.await.unwrap();
    let results = waiting.await;
    for (number, result) in (0..).zip(&results) {
        assert_eq!(result.is_err(), number % 4 == 0, "{number}: {result:?}");
    }
    assert_eq!(store.settings("k").await.unwrap().len(), 30);
}

/// All of them, polled together in order.
async fn futures_of<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.into_iter().map(|it| (Box::pin(it), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in &mut pending {
            if output.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
            }
        }
        if pending.iter().all(|(_, output)| output.is_some()) {
            return std::task::Poll::Ready(());
        }
        std::task::Poll::Pending
    })
    .await;
    pending.into_iter().filter_map(|(_, output)| output).collect()
}

#[test]
fn readers_cannot_write() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(super::FILE);
    let writer = open::open_writer(&path).unwrap();
    let reader = open::open_reader(&path).unwrap();
    let error = reader.execute("DELETE FROM settings", []).unwrap_err();
    assert_eq!(StoreError::sqlite(Path::new("x"), &error).code(), "store-read-only");
    drop(writer);
}
