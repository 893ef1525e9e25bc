//! Jobs: their results come early, late, together, never.

use std::time::Duration;

use archy_systemd::{JobResult, KillWhom, SystemdError};
use futures_util::future::join_all;

use crate::fake::{Fake, soon};

#[tokio::test]
async fn a_result_before_the_answer_is_not_lost() {
    let fake = Fake::start().await;
    for (unit, want) in [
        ("early-done.service", JobResult::Done),
        ("early-failed.service", JobResult::Failed),
        ("early-timeout.service", JobResult::Timeout),
        ("early-canceled.service", JobResult::Canceled),
        ("early-dependency.service", JobResult::Dependency),
        ("early-skipped.service", JobResult::Skipped),
        ("early-once.service", JobResult::Other("once".to_owned())),
    ] {
        assert_eq!(soon(fake.manager.start(unit)).await.unwrap(), want);
    }
    assert_eq!(fake.calls()[1], "start early-done.service replace");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_jobs_share_one_connection() {
    let fake = Fake::start().await;
    fake.log.late.add_permits(usize::MAX >> 4);
    let starts = (0..300).map(|n| {
        let manager = fake.manager.clone();
        let (kind, word) = if n % 2 == 0 { ("early", "done") } else { ("late", "failed") };
        async move {
            let unit = format!("{kind}-{word}-{n}.service");
            let result =
                if n % 3 == 0 { manager.stop(&unit).await } else { manager.start(&unit).await };
            (result.unwrap(), word)
        }
    });
    for (result, word) in soon(join_all(starts)).await {
        assert_eq!(result.as_str(), word);
    }
}

#[tokio::test]
async fn calls_that_systemd_merged_all_get_the_result() {
    let fake = Fake::start().await;
    let unit = "late-shared.service";
    let both = async { tokio::join!(fake.manager.start(unit), fake.manager.start(unit)) };
    let release = async {
        while fake.calls().len() < 3 {
            tokio::task::yield_now().await;
        }
        fake.log.late.add_permits(2);
    };
    let ((first, second), ()) = soon(async { tokio::join!(both, release) }).await;
    let word = JobResult::Other("shared".to_owned());
    assert_eq!((first.unwrap(), second.unwrap()), (word.clone(), word));
}

#[tokio::test]
async fn a_job_that_does_not_end_meets_the_deadline() {
    let fake = Fake::start().await;
    let manager = fake.manager.within(Duration::from_millis(50));
    let error = soon(manager.stop("never.service")).await.unwrap_err();
    assert!(
        matches!(&error, SystemdError::Timeout { op, .. } if op == "stop of never.service"),
        "{error:?}"
    );
    assert!(error.retryable());
}

#[tokio::test]
async fn units_that_are_not_there() {
    let fake = Fake::start().await;
    let error = fake.manager.start("missing.service").await.unwrap_err();
    assert!(matches!(&error, SystemdError::NoSuchUnit { unit } if unit == "missing.service"));
    let error = fake.manager.start("masked.service").await.unwrap_err();
    let SystemdError::Refused { name, message, .. } = &error else { panic!("{error:?}") };
    assert_eq!(name, "org.freedesktop.systemd1.UnitMasked");
    assert_eq!(message, "Unit masked.service is masked.");
    assert!(!fake.manager.reset_failed("missing.service").await.unwrap());
    assert!(fake.manager.reset_failed("web.service").await.unwrap());
    fake.manager.kill("web.service", KillWhom::Main, 9).await.unwrap();
    assert_eq!(fake.calls().last().unwrap(), "kill web.service main 9");
}

#[tokio::test]
async fn a_connection_that_ends_ends_all_waits() {
    let Fake { manager, far, log } = Fake::start().await;
    let mut changes = manager.changes();
    let waiting = {
        let manager = manager.clone();
        tokio::spawn(async move { manager.start("never.service").await })
    };
    soon(async {
        while log.calls.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    far.close().await.unwrap();
    let error = soon(waiting).await.unwrap().unwrap_err();
    assert!(matches!(error, SystemdError::Lost { .. }), "{error:?}");
    assert_eq!(soon(changes.next()).await, None);
    soon(manager.closed()).await;
    assert!(manager.is_closed());
    assert_eq!(soon(manager.changes().next()).await, None);
    let error = soon(manager.start("early.service")).await.unwrap_err();
    assert!(error.retryable(), "{error:?}");
}
