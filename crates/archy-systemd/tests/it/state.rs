//! Units, hints, reloads.

use std::time::Duration;

use archy_systemd::{ActiveState, Change, Manager, SystemState, SystemdError};
use archy_types::Timestamp;

use crate::fake::{Fake, soon};

#[tokio::test]
async fn a_unit_is_read() {
    let fake = Fake::start().await;
    let web = fake.manager.unit("web.service").await.unwrap();
    assert_eq!(
        (web.load.as_str(), web.active, web.sub.as_str()),
        ("loaded", ActiveState::Active, "running")
    );
    assert_eq!(web.active_since, Some(Timestamp(1_700_000_000_123)));
    assert_eq!(web.inactive_since, None);
    assert_eq!((web.result.as_str(), web.exit_code, web.exit_status), ("exit-code", 1, 3));
    assert_eq!(web.restarts, 4);
    let usage = fake.manager.usage("web.service").await.unwrap();
    assert_eq!((usage.memory, usage.cpu_nanos), (None, Some(55)));
    let limit = fake.manager.stop_limit("web.service").await.unwrap();
    assert_eq!(limit, Some(Duration::from_secs(120)));
    // what is not in memory is not asked for more
    let names = ["web.service", "unloaded.service", "missing.service", "queued.service"];
    let many = fake.manager.units(&names).await.unwrap();
    assert_eq!(many.len(), names.len());
    assert_eq!(many[0], web);
    let others: Vec<(&str, ActiveState)> =
        many.iter().skip(1).map(|unit| (unit.load.as_str(), unit.active)).collect();
    let rest = ActiveState::Inactive;
    // one that is about to be started does not rest
    let queued = ("loaded", ActiveState::Activating);
    assert_eq!(others, [("loaded", rest), ("not-found", rest), queued]);
    assert!(fake.manager.unit("other.service").await.is_err());
}

#[tokio::test]
async fn units_are_listed() {
    let fake = Fake::start().await;
    let rows = fake.manager.list_units(&["web*.service"]).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].unit.as_str(), rows[0].active), ("web.service", ActiveState::Activating));
    assert_eq!(rows[0].job.as_deref(), Some("start"));
    assert_eq!(fake.calls().last().unwrap(), "list [] [\"web*.service\"]");
    assert_eq!(fake.manager.system_state().await.unwrap(), SystemState::Degraded);
}

#[tokio::test]
async fn hints_wake_who_watches() {
    let fake = Fake::start().await;
    let mut changes = fake.manager.changes();
    fake.set_active("failed").await;
    assert_eq!(soon(changes.next()).await, Some(Change::Unit("web.service".to_owned())));
    let web = fake.manager.unit("web.service").await.unwrap();
    assert_eq!(web.active, ActiveState::Failed);
    fake.manager.reload().await.unwrap();
    assert_eq!(soon(changes.next()).await, Some(Change::Reloaded));
    fake.load("new-1.service").await;
    assert_eq!(soon(changes.next()).await, Some(Change::Loaded("new-1.service".to_owned())));
    fake.manager.start("early-failed.service").await.unwrap();
    let Some(Change::JobEnded { unit, result }) = soon(changes.next()).await else { panic!() };
    assert_eq!((unit.as_str(), result.as_str()), ("early-failed.service", "failed"));
}

#[tokio::test]
async fn a_slow_watcher_is_told_and_holds_up_nobody() {
    let fake = Fake::start().await;
    let mut changes = fake.manager.changes();
    for n in 0..3000 {
        fake.load(&format!("u{n}.service")).await;
    }
    assert!(soon(fake.manager.start("early-done.service")).await.unwrap().is_done());
    assert_eq!(soon(changes.next()).await, Some(Change::Missed));
    assert!(matches!(soon(changes.next()).await, Some(Change::Loaded(_))));
}

#[tokio::test]
async fn nobody_listens() {
    let dir = tempfile::tempdir().unwrap();
    let address = format!("unix:path={}", dir.path().join("bus").display());
    let error = Manager::connect(&address, Duration::from_secs(10)).await.unwrap_err();
    assert!(matches!(error, SystemdError::Unreachable { .. }), "{error:?}");
    assert_eq!(error.to_user_error().code.as_str(), "systemd-unreachable");
    // a socket that accepts and says nothing
    let _listener = std::os::unix::net::UnixListener::bind(dir.path().join("bus")).unwrap();
    let error = Manager::connect(&address, Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error, SystemdError::Timeout { .. }), "{error:?}");
}
