//! A node for tests: a fake host, a ledger in memory, an engine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use archy_engine::{Accepted, Handle, Replacement, Request, RequestKind, Snapshot, Tuning};
use archy_manifest::Manifest;
use archy_testkit::{FakeHost, MemoryLedger, TestClock};
use archy_types::{Actor, AppId, AppState, Digest, UserError};

pub(crate) const IMAGE: &str = "registry.example/web:1";

/// A node: fake host, ledger in memory, an engine that can be killed and started again.
pub(crate) struct Node {
    pub(crate) host: FakeHost,
    pub(crate) ledger: MemoryLedger,
    pub(crate) clock: TestClock,
    pub(crate) handle: Handle,
    task: tokio::task::JoinHandle<()>,
}

impl Node {
    pub(crate) async fn start() -> Self {
        let clock = TestClock::default();
        let (host, hints) = FakeHost::new(clock);
        host.model().registry.insert(IMAGE.to_owned());
        let ledger = MemoryLedger::default();
        let (handle, task) = engine(&host, &ledger, clock, hints).await;
        Self { host, ledger, clock, handle, task }
    }

    /// A node whose engine is at work already.
    pub(crate) const fn of(
        host: FakeHost,
        ledger: MemoryLedger,
        clock: TestClock,
        handle: Handle,
        task: tokio::task::JoinHandle<()>,
    ) -> Self {
        Self { host, ledger, clock, handle, task }
    }

    /// As `kill -9` and a start of the daemon.
    pub(crate) async fn crash_and_restart(&mut self) {
        self.task.abort();
        let (_, hints) = tokio::sync::mpsc::channel(1);
        let (handle, task) = engine(&self.host, &self.ledger, self.clock, hints).await;
        self.handle = handle;
        self.task = task;
    }

    pub(crate) async fn ask(&self, kind: RequestKind) -> Result<Accepted, UserError> {
        self.handle.submit(Request { actor: Actor::User("test".to_owned()), kind }).await
    }

    pub(crate) async fn install(&self, text: &str) -> Result<Accepted, UserError> {
        let manifest = Arc::new(Manifest::parse(text.as_bytes()).unwrap());
        self.ask(RequestKind::Install {
            manifest,
            text: text.as_bytes().into(),
            digest: Digest::of(text.as_bytes()),
            package_dir: None,
            settings: BTreeMap::new(),
            port_overrides: BTreeMap::new(),
        })
        .await
    }

    /// Waits for a snapshot; a minute of paused time is the deadline.
    pub(crate) async fn until(
        &self,
        what: &str,
        holds: impl Fn(&Snapshot) -> bool,
    ) -> Arc<Snapshot> {
        let mut snapshots = self.handle.subscribe();
        let wait = snapshots.wait_for(|snapshot| holds(snapshot));
        match tokio::time::timeout(Duration::from_secs(600), wait).await {
            Ok(Ok(snapshot)) => snapshot.clone(),
            _ => panic!("never: {what}; last: {:#?}", self.handle.snapshot().apps),
        }
    }

    pub(crate) async fn until_state(&self, app: &str, state: AppState) -> Arc<Snapshot> {
        let id = id(app);
        self.until(&format!("{app} is {state:?}"), |snapshot| {
            snapshot.apps.get(&id).is_some_and(|view| {
                view.report.state == state
                    && view.operation.as_ref().is_none_or(|op| op.error.is_some())
            })
        })
        .await
    }

    pub(crate) fn calls(&self, start: &str) -> Vec<String> {
        let model = self.host.model();
        model.calls.iter().filter(|call| call.starts_with(start)).cloned().collect()
    }
}

async fn engine(
    host: &FakeHost,
    ledger: &MemoryLedger,
    clock: TestClock,
    hints: tokio::sync::mpsc::Receiver<()>,
) -> (Handle, tokio::task::JoinHandle<()>) {
    let tuning = Tuning::default();
    let (handle, engine) = archy_engine::start(
        Arc::new(host.clone()),
        Arc::new(ledger.clone()),
        Arc::new(clock),
        hints,
        tuning,
    )
    .await
    .unwrap();
    (handle, tokio::spawn(engine.run()))
}

pub(crate) fn id(app: &str) -> AppId {
    AppId::new(app).unwrap()
}

pub(crate) fn web(version: &str, extra: &str) -> String {
    format!(
        "app:\n  id: web\n  name: Web\n  version: {version}\n  services:\n    main:\n      image: {IMAGE}\n{extra}"
    )
}

/// The wish to bring an app to this manifest.
pub(crate) fn update(text: &str, consent: bool) -> RequestKind {
    let digest = Digest::of(text.as_bytes());
    RequestKind::Update {
        to: Box::new(Replacement {
            manifest: Arc::new(Manifest::parse(text.as_bytes()).unwrap()),
            text: text.as_bytes().into(),
            digest,
            package_dir: None,
            settings: BTreeMap::new(),
            port_overrides: BTreeMap::new(),
        }),
        consent: consent.then_some(digest),
    }
}
