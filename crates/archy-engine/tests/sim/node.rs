//! A simulated node with an engine, an owner who asks for things, and what the owner may expect.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use archy_engine::{Accepted, Handle, Replacement, Request, RequestKind, Snapshot, Tuning};
use archy_plan::adopt::Stage;
use archy_plan::{DesiredApp, DesiredState};
use archy_testkit::Sim;
use archy_testkit::sim::Foreigner;
use archy_types::{Actor, AppId, AppState, Generation, UserError};
use tokio::time::{Instant, sleep};

use crate::data::Data;
use crate::foreign::Laid;
use crate::invariants;
use crate::shapes::{self, id};

/// What the owner asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Install(u32),
    Update(u32),
    /// With the data as it was, or as it is.
    Rollback {
        keep_data: bool,
    },
    Adopt(u32),
    Migrate,
    MigrateBack,
    MigrateCommit,
    Start,
    Stop,
    Restart,
    Configure(u32),
    Uninstall,
    Purge,
    /// What an app left that was uninstalled before.
    PurgeLeft,
}

/// What an app was when it was last there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Left {
    version: u32,
    generation: Generation,
}

fn to(app: &str, version: u32) -> Box<Replacement> {
    let (manifest, text, digest) = shapes::manifest(app, version);
    Box::new(Replacement {
        manifest,
        text,
        digest,
        package_dir: None,
        settings: BTreeMap::new(),
        port_overrides: BTreeMap::new(),
    })
}

impl Ask {
    pub(crate) fn request(self, app: &str, left: Left) -> RequestKind {
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
            Self::Update(version) => {
                let to = to(app, version);
                RequestKind::Update { consent: Some(to.digest), to }
            }
            Self::Rollback { keep_data } => RequestKind::Rollback { app: id(app), keep_data },
            Self::Adopt(version) => RequestKind::Adopt { to: to(app, version) },
            Self::Migrate => RequestKind::Migrate { app: id(app), accept: true },
            Self::MigrateBack => RequestKind::MigrateBack(id(app)),
            Self::MigrateCommit => RequestKind::MigrateCommit(id(app)),
            Self::Start => RequestKind::Start(id(app)),
            Self::Stop => RequestKind::Stop(id(app)),
            Self::Restart => RequestKind::Restart(id(app)),
            Self::Configure(number) => RequestKind::Configure {
                app: id(app),
                settings: [("title".to_owned(), title(number).into())].into(),
            },
            Self::Uninstall => RequestKind::Uninstall { app: id(app), purge: false },
            Self::Purge => RequestKind::Uninstall { app: id(app), purge: true },
            Self::PurgeLeft => {
                let (left, generation) = (to(app, left.version), left.generation);
                RequestKind::PurgeLeft { left, generation }
            }
        }
    }

    const fn purges(self) -> bool {
        matches!(self, Self::Purge | Self::PurgeLeft)
    }
}

fn title(number: u32) -> String {
    format!("Title {number}")
}

/// Whose an app's containers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hold {
    Own,
    Watched,
    Migrated,
    Committed,
}

/// What the owner expects of an app.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wish {
    Absent,
    Present { version: u32, running: bool, title: Option<String>, hold: Hold },
}

/// The version and the setting that an app goes back to.
pub(crate) type Back = Option<(u32, Option<String>)>;

impl Wish {
    fn after(&self, ask: Ask, back: &Back) -> Self {
        let Self::Present { version, running, title: now, hold } = self.clone() else {
            let (version, hold) = match ask {
                Ask::Install(version) => (version, Hold::Own),
                Ask::Adopt(version) => (version, Hold::Watched),
                _ => return Self::Absent,
            };
            return Self::Present { version, running: true, title: None, hold };
        };
        let present = |version, running, title| Self::Present { version, running, title, hold };
        let held = |hold| Self::Present { version, running, title: now.clone(), hold };
        match ask {
            Ask::Uninstall | Ask::Purge | Ask::PurgeLeft => Self::Absent,
            Ask::Start | Ask::Restart => present(version, true, now),
            Ask::Stop => present(version, false, now),
            Ask::Migrate if hold == Hold::Watched => held(Hold::Migrated),
            Ask::MigrateBack if hold == Hold::Migrated => held(Hold::Watched),
            Ask::MigrateCommit if hold == Hold::Migrated => held(Hold::Committed),
            _ if hold == Hold::Watched => self.clone(),
            Ask::Install(version) => present(version, true, now),
            Ask::Update(version) => present(version, running, now),
            Ask::Configure(number) => present(version, running, Some(title(number))),
            Ask::Rollback { .. } => match back {
                Some((version, title)) => present(*version, running, title.clone()),
                None => self.clone(),
            },
            _ => self.clone(),
        }
    }

    /// All that may come of a wish; what is adopted runs or rests as it was found.
    fn all_after(&self, ask: Ask, back: &Back) -> Vec<Self> {
        let after = self.after(ask, back);
        match ask {
            Ask::Adopt(_) => vec![after.after(Ask::Stop, back), after],
            // never stands
            Ask::Update(version) if version > 2 => vec![self.clone()],
            _ => vec![after],
        }
    }

    /// What the ledger says; nothing while the app is being removed.
    pub(crate) fn of(app: Option<&DesiredApp>) -> Option<Self> {
        let Some(app) = app else { return Some(Self::Absent) };
        if app.is_leaving() {
            return None;
        }
        let hold = match app.adopted.as_ref().map(|adopted| adopted.stage) {
            None => Hold::Own,
            Some(Stage::Watched) => Hold::Watched,
            Some(Stage::Migrated { .. }) => Hold::Migrated,
            Some(Stage::Committed { .. }) => Hold::Committed,
        };
        let running = app.state == DesiredState::Running;
        Some(Self::Present { version: version(app), running, title: title_of(app), hold })
    }
}

/// The version of an app's manifest.
pub(crate) fn version(app: &DesiredApp) -> u32 {
    let number = app.manifest.version.split('.').next().and_then(|number| number.parse().ok());
    number.unwrap_or_default()
}

fn title_of(app: &DesiredApp) -> Option<String> {
    app.settings.get("title").and_then(|value| value.as_str()).map(str::to_owned)
}

/// How a request was answered.
#[derive(Debug)]
pub(crate) enum Answer {
    Said(Result<Accepted, UserError>),
    /// The daemon died before it answered.
    Lost,
}

impl Answer {
    /// It may have been taken.
    pub(crate) const fn may_count(&self) -> bool {
        !matches!(self, Self::Said(Err(_)))
    }
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
    /// What may have become of data.
    pub(crate) data: Data,
    pub(crate) secrets: BTreeMap<String, String>,
    /// What was on the node before Archipelago was.
    pub(crate) laid: Vec<Laid>,
    left: BTreeMap<AppId, Left>,
}

impl Node {
    pub(crate) async fn new(seed: u64, laid: &[Foreigner]) -> Self {
        let sim = Sim::new(seed);
        sim.model().registry.extend(shapes::images());
        sim.model().faults.extend(shapes::faults());
        sim.break_images(shapes::broken_images());
        let laid = laid.iter().map(|foreigner| Laid::lay(&sim, foreigner.clone())).collect();
        let deaths = sim.deaths();
        let (handle, task) = engine(&sim).await;
        let wishes = shapes::APPS.map(|app| (id(app), [Wish::Absent].into())).into();
        let data = Data::of(&sim);
        let (titles, purged, emptied, secrets, left) = Default::default();
        Self {
            sim,
            handle,
            task,
            deaths,
            wishes,
            titles,
            purged,
            emptied,
            data,
            secrets,
            laid,
            left,
        }
    }

    /// Asks, and keeps account of what may have come of it.
    pub(crate) async fn ask(&mut self, app: &str, ask: Ask) -> Answer {
        self.sim.note(&format!("=== the owner asks: {ask:?} {app}"));
        let back = self.previous(app);
        let snapshot = self.saved(app);
        let left = self.left(app);
        let kind = ask.request(app, left);
        let request = Request { actor: Actor::User("owner".to_owned()), kind };
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
        if answer.may_count() {
            let certain = matches!(answer, Answer::Said(_));
            self.account(app, ask, &back, certain);
            self.data.asked(&id(app), ask, snapshot, certain, &self.wishes[&id(app)]);
        }
        if matches!(answer, Answer::Lost) {
            self.restart().await;
        }
        answer
    }

    /// A wish was taken, or may have been.
    fn account(&mut self, app: &str, ask: Ask, back: &Back, certain: bool) {
        let app = id(app);
        let wishes = self.wishes.entry(app.clone()).or_default();
        let titles = wishes.iter().filter_map(|wish| match wish {
            Wish::Present { title, .. } => Some((app.clone(), title.clone())),
            Wish::Absent => None,
        });
        self.titles.extend(titles);
        let watched = |wish: &Wish| matches!(wish, Wish::Present { hold: Hold::Watched, .. });
        let foreign = wishes.iter().any(watched);
        let fulfilled: Vec<Wish> =
            wishes.iter().flat_map(|wish| wish.all_after(ask, back)).collect();
        // what fails is taken back
        let stays = matches!(ask, Ask::Install(_) | Ask::Update(_) | Ask::Migrate);
        if certain && !stays {
            wishes.clear();
        }
        wishes.extend(fulfilled);
        self.emptied.remove(&app);
        if ask.purges() {
            // what was not made by Archipelago stays where it is
            self.emptied.extend((certain && !foreign).then(|| app.clone()));
            self.purged.insert(app);
        }
    }

    /// A container that Archipelago did not make has its name.
    pub(crate) fn is_taken(&self, app: &str) -> bool {
        self.sim.foreigners().contains_key(app)
    }

    /// It is to run, in containers of its own.
    pub(crate) fn runs(&self, app: &str) -> bool {
        let books = self.sim.books();
        let own = |app: &&DesiredApp| app.state == DesiredState::Running && !app.is_watched();
        books.apps.get(&id(app)).filter(own).is_some()
    }

    /// What an app was before its last update.
    fn previous(&self, app: &str) -> Back {
        let books = self.sim.books();
        let previous = books.previous.get(&id(app))?;
        Some((version(&previous.app), title_of(&previous.app)))
    }

    /// The data of before its last update.
    fn saved(&self, app: &str) -> Option<BTreeMap<String, String>> {
        let generation = self.sim.books().previous.get(&id(app))?.replaced_by;
        let model = self.sim.model();
        Some(model.snapshots.get(&id(app))?.get(&generation)?.data.clone())
    }

    /// What an app was when it was last there.
    fn left(&mut self, app: &str) -> Left {
        let there = self
            .sim
            .books()
            .apps
            .get(&id(app))
            .map(|app| Left { version: version(app), generation: app.generation.next() });
        self.left.extend(there.map(|there| (id(app), there)));
        let never = Left { version: 1, generation: Generation(1) };
        self.left.get(&id(app)).copied().unwrap_or(never)
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
        self.secrets.clone_from(&model.secret_files);
        drop(model);
        self.data.rest(&self.sim);
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
