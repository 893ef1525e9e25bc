//! A simulated node with an engine, an owner who asks for things, and what the owner may expect.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use archy_engine::{Accepted, Handle, Request, RequestKind, Snapshot, Tuning};
use archy_plan::{DesiredApp, DesiredState};
use archy_testkit::Sim;
use archy_types::{Actor, AppId, AppState, UserError};
use tokio::time::{Instant, sleep};

use crate::invariants;
use crate::shapes::{self, id};

/// What the owner asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Install(u32),
    Start,
    Stop,
    Restart,
    Configure(u32),
    Uninstall,
    Purge,
}

impl Ask {
    pub(crate) fn request(self, app: &str) -> RequestKind {
        match self {
            Self::Install(version) => {
                let (manifest, text, digest) = shapes::manifest(app, version);
                RequestKind::Install {
                    manifest,
                    text,
                    digest,
                    package_dir: None,
                    settings: BTreeMap::new(),
                    port_overrides: BTreeMap::new(),
                }
            }
            Self::Start => RequestKind::Start(id(app)),
            Self::Stop => RequestKind::Stop(id(app)),
            Self::Restart => RequestKind::Restart(id(app)),
            Self::Configure(number) => RequestKind::Configure {
                app: id(app),
                settings: [("title".to_owned(), title(number).into())].into(),
            },
            Self::Uninstall => RequestKind::Uninstall { app: id(app), purge: false },
            Self::Purge => RequestKind::Uninstall { app: id(app), purge: true },
        }
    }
}

fn title(number: u32) -> String {
    format!("Title {number}")
}

/// What the owner expects of an app.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wish {
    Absent,
    Present { version: u32, running: bool, title: Option<String> },
}

impl Wish {
    fn after(&self, ask: Ask) -> Self {
        let (version, running, title_now) = match self {
            Self::Absent => (0, false, None),
            Self::Present { version, running, title } => (*version, *running, title.clone()),
        };
        if *self == Self::Absent && !matches!(ask, Ask::Install(_)) {
            return Self::Absent;
        }
        match ask {
            Ask::Install(version) => Self::Present { version, running: true, title: title_now },
            Ask::Start | Ask::Restart => Self::Present { version, running: true, title: title_now },
            Ask::Stop => Self::Present { version, running: false, title: title_now },
            Ask::Configure(number) => {
                Self::Present { version, running, title: Some(title(number)) }
            }
            Ask::Uninstall | Ask::Purge => Self::Absent,
        }
    }

    /// What the ledger says; nothing while the app is being removed.
    pub(crate) fn of(app: Option<&DesiredApp>) -> Option<Self> {
        let Some(app) = app else { return Some(Self::Absent) };
        if app.is_leaving() {
            return None;
        }
        let version = if app.manifest.version.starts_with('1') { 1 } else { 2 };
        let title = app.settings.get("title").and_then(|value| value.as_str()).map(str::to_owned);
        Some(Self::Present { version, running: app.state == DesiredState::Running, title })
    }
}

/// How a request was answered.
#[derive(Debug)]
pub(crate) enum Answer {
    Said(Result<Accepted, UserError>),
    /// The daemon died before it answered.
    Lost,
}

/// The node.
pub(crate) struct Node {
    pub(crate) sim: Sim,
    pub(crate) handle: Handle,
    task: tokio::task::JoinHandle<()>,
    deaths: tokio::sync::watch::Receiver<u64>,
    /// What each app may be, as far as answers told.
    pub(crate) wishes: BTreeMap<AppId, BTreeSet<Wish>>,
    /// Settings since the last rest: an install keeps those of an app that has not quite gone.
    pub(crate) titles: BTreeSet<(AppId, Option<String>)>,
    /// Apps whose data may go.
    pub(crate) purged: BTreeSet<AppId>,
    /// Apps whose data must go: a purge was the last wish that was taken.
    pub(crate) emptied: BTreeSet<AppId>,
    /// Data that was there at the last rest.
    pub(crate) data: BTreeMap<String, String>,
    pub(crate) secrets: BTreeMap<String, String>,
}

impl Node {
    pub(crate) async fn new(seed: u64) -> Self {
        let sim = Sim::new(seed);
        sim.model().registry.extend(shapes::images());
        let deaths = sim.deaths();
        let (handle, task) = engine(&sim).await;
        let wishes = shapes::APPS.map(|app| (id(app), [Wish::Absent].into())).into();
        let (titles, purged, emptied, data, secrets) = Default::default();
        Self { sim, handle, task, deaths, wishes, titles, purged, emptied, data, secrets }
    }

    /// Asks, and keeps account of what may have come of it.
    pub(crate) async fn ask(&mut self, app: &str, ask: Ask) -> Answer {
        self.sim.note(&format!("=== the owner asks: {ask:?} {app}"));
        let request = Request { actor: Actor::User("owner".to_owned()), kind: ask.request(app) };
        let handle = self.handle.clone();
        let asked = handle.submit(request);
        let answer = tokio::select! {
            biased;
            died = self.deaths.changed() => {
                assert!(died.is_ok(), "the simulation is there");
                Answer::Lost
            }
            said = asked => Answer::Said(said),
        };
        self.sim.note(&format!("=== answer: {answer:?}"));
        let wishes = self.wishes.entry(id(app)).or_default();
        let titles = wishes.iter().filter_map(|wish| match wish {
            Wish::Present { title, .. } => Some((id(app), title.clone())),
            Wish::Absent => None,
        });
        self.titles.extend(titles);
        let fulfilled: BTreeSet<Wish> = wishes.iter().map(|wish| wish.after(ask)).collect();
        match &answer {
            Answer::Said(Ok(Accepted::Operation(_))) => {
                // an install or update that fails is taken back
                if !matches!(ask, Ask::Install(_)) {
                    wishes.clear();
                }
                // that it should run was asked for as well, and stands when the version does not
                let runs = wishes.iter().map(|wish| wish.after(Ask::Start)).collect::<Vec<_>>();
                wishes.extend(runs.into_iter().filter(|_| matches!(ask, Ask::Install(_))));
                wishes.extend(fulfilled);
            }
            Answer::Said(Ok(Accepted::AlreadySo) | Err(_)) => {}
            Answer::Lost => {
                let runs = wishes.iter().map(|wish| wish.after(Ask::Start)).collect::<Vec<_>>();
                wishes.extend(runs.into_iter().filter(|_| matches!(ask, Ask::Install(_))));
                wishes.extend(fulfilled);
            }
        }
        if !matches!(answer, Answer::Said(Err(_))) {
            self.emptied.remove(&id(app));
            if ask == Ask::Purge {
                self.purged.insert(id(app));
                self.emptied.extend(matches!(answer, Answer::Said(_)).then(|| id(app)));
            }
        }
        if matches!(answer, Answer::Lost) {
            self.restart().await;
        }
        answer
    }

    /// Starts the daemon anew, as systemd does.
    async fn restart(&mut self) {
        self.task.abort();
        sleep(Duration::from_secs(2)).await;
        self.deaths.mark_unchanged();
        let (handle, task) = engine(&self.sim).await;
        self.handle = handle;
        self.task = task;
    }

    /// Lets time pass until everything rests, with the daemon started anew after each crash.
    ///
    /// # Errors
    /// It never rests.
    pub(crate) async fn rest(&mut self) -> Result<(), String> {
        let limit = Instant::now() + Duration::from_secs(4 * 3600);
        let mut calm_since: Option<Instant> = None;
        while Instant::now() < limit {
            let pause = sleep(Duration::from_secs(10));
            tokio::select! {
                biased;
                died = self.deaths.changed() => {
                    assert!(died.is_ok(), "the simulation is there");
                    self.restart().await;
                    calm_since = None;
                    continue;
                }
                () = pause => {}
            }
            if self.task.is_finished() {
                return Err("the engine ended by itself".to_owned());
            }
            let snapshot = self.handle.snapshot();
            if !self.is_calm(&snapshot) {
                calm_since = None;
                continue;
            }
            // two passes must find nothing to do
            let since = *calm_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= Duration::from_secs(70) {
                return Ok(());
            }
        }
        Err(format!("it never rests: {}", invariants::unrest(self)))
    }

    fn is_calm(&self, snapshot: &Snapshot) -> bool {
        let open = self.sim.books().operations.iter().any(|entry| entry.ending.is_none());
        let moving = |view: &archy_engine::AppView| {
            let state = view.report.state;
            state.is_transient() || state == AppState::Unknown
        };
        self.sim.is_calm()
            && !open
            && snapshot.stale_because.is_none()
            && !snapshot.apps.values().any(|view| moving(view))
    }

    /// Does for each failed app what its status offers as the repair. True when there was one.
    pub(crate) async fn repair(&mut self) -> bool {
        let snapshot = self.handle.snapshot();
        let mut any = false;
        for (app, view) in &snapshot.apps {
            if view.report.state != AppState::Failed {
                continue;
            }
            let method = view.report.repair.as_ref().map(|repair| repair.method.as_str());
            let purge = view.desired == DesiredState::Purged;
            let ask = match method {
                Some("package.restart") => Ask::Restart,
                Some("package.start") => Ask::Start,
                Some("package.stop") => Ask::Stop,
                Some("package.uninstall") if purge => Ask::Purge,
                Some("package.uninstall") => Ask::Uninstall,
                _ => continue,
            };
            self.sim.note(&format!("=== {app} says: {:?}", view.report));
            self.ask(app.as_str(), ask).await;
            any = true;
        }
        any
    }

    /// Keeps what must be there from now on.
    pub(crate) fn remember(&mut self) {
        let model = self.sim.model();
        self.data.clone_from(&model.data);
        self.secrets.clone_from(&model.secret_files);
        drop(model);
        self.titles.clear();
        self.purged.clear();
        self.emptied.clear();
        let books = self.sim.books();
        for (app, wishes) in &mut self.wishes {
            if let Some(wish) = Wish::of(books.apps.get(app)) {
                *wishes = [wish].into();
            }
        }
    }
}

async fn engine(sim: &Sim) -> (Handle, tokio::task::JoinHandle<()>) {
    let (host, ledger, clock, hints) = sim.begin_life();
    let started = archy_engine::start(
        Arc::new(host),
        Arc::new(ledger),
        Arc::new(clock),
        hints,
        Tuning::default(),
    );
    let (handle, engine) = started.await.unwrap();
    (handle, tokio::spawn(engine.run()))
}
