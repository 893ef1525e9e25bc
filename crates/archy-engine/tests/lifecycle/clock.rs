//! A wall clock that jumps by a year: deadlines, pauses and states do not follow it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use archy_engine::ports::Clock;
use archy_engine::{Request, RequestKind, Tuning};
use archy_plan::observed::ActiveState;
use archy_testkit::{FakeHost, Fault, MemoryLedger, TestClock};
use archy_types::{Actor, AppState, Timestamp};

use crate::node::{IMAGE, Node, id, web};

const YEAR: i64 = 365 * 86_400_000;

/// A clock that can be set.
#[derive(Debug, Clone)]
struct Jumpy {
    inner: TestClock,
    ahead: Arc<AtomicI64>,
}

impl Clock for Jumpy {
    fn now(&self) -> Timestamp {
        self.inner.now().plus_millis(self.ahead.load(Ordering::Relaxed))
    }
}

#[tokio::test(start_paused = true)]
async fn no_deadline_is_over_because_the_clock_jumped() {
    for jump in [YEAR, -YEAR] {
        let clock = Jumpy { inner: TestClock::default(), ahead: Arc::default() };
        let (host, hints) = FakeHost::new(clock.inner);
        host.model().registry.insert(IMAGE.to_owned());
        let (ledger, tuning) = (Arc::new(MemoryLedger::default()), Tuning::default());
        let shared = (Arc::new(host.clone()), Arc::new(clock.clone()));
        let started = archy_engine::start(shared.0, ledger, shared.1, hints, tuning).await;
        let (handle, engine) = started.unwrap();
        let task = tokio::spawn(engine.run());
        let node = Node::of(host.clone(), MemoryLedger::default(), clock.inner, handle, task);
        node.install(&web("1.0.0", "")).await.unwrap();
        node.until_state("web", AppState::Running).await;

        // systemd starts it again: a state that must end in time
        host.model().units.get_mut("web.service").unwrap().active = ActiveState::Activating;
        host.hint();
        let before = node.until_state("web", AppState::Starting).await;
        let deadline = before.apps[&id("web")].report.deadline.unwrap();
        clock.ahead.store(jump, Ordering::Relaxed);
        node.handle.poke();
        let after = node
            .until("a look after the jump", |snapshot| {
                (snapshot.observed_at.0 - before.observed_at.0) > 0
                    && snapshot.apps[&id("web")].report.deadline != Some(deadline)
            })
            .await;
        let report = &after.apps[&id("web")].report;
        assert_eq!(report.state, AppState::Starting, "{report:?}");
        assert_eq!(report.deadline, Some(deadline.plus_millis(jump)));

        // the deadline itself still holds
        tokio::time::sleep(std::time::Duration::from_secs(1800)).await;
        node.until_state("web", AppState::Failed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_repair_that_waits_says_until_when() {
    let node = Node::start().await;
    node.install(&web("1.0.0", "")).await.unwrap();
    node.until_state("web", AppState::Running).await;
    node.host.model().faults.insert(Fault::PullFails);
    let actor = Actor::User("test".to_owned());
    node.handle.submit(Request { actor, kind: RequestKind::Stop(id("web")) }).await.unwrap();
    node.until_state("web", AppState::Stopped).await;
    node.host.model().images.clear();
    node.ask(RequestKind::Start(id("web"))).await.unwrap();
    let failed = node
        .until("the pull failed", |snapshot| {
            snapshot.apps[&id("web")].report.cause.code.as_str() == "pull-failed"
        })
        .await;
    let next = failed.apps[&id("web")].report.next.clone().unwrap();
    assert!(next.text.contains("attempt 2"), "{next:?}");
    let wait = next.at.unwrap().0 - node.clock.now().0;
    assert!((0..=5_000).contains(&wait), "{wait}");
}
