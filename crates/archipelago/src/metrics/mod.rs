//! Figures over time: what apps and node use, read every ten seconds out of files of the kernel.
//!
//! Podman is not asked. Only the size of an app's data costs more: it is measured one app at a
//! time, about once an hour, and seldomer when it takes long. The measures lie in a bounded book
//! that is written now and then, so that they survive a restart of the daemon.

mod book;
mod node;
mod ring;
mod service;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use archy_api::metrics::{MetricsRange, MetricsResult};
use archy_types::AppId;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::auth::file;
use crate::clock;
use book::{At, Book};
pub use service::Roots;

/// Between two readings.
const PERIOD: Duration = Duration::from_secs(10);
/// Between two notes on the disk, in milliseconds.
const SAVE_EVERY: u64 = 30 * 60 * 1000;
/// An app's data is measured again after so long, in milliseconds...
const DATA_EVERY: u64 = 60 * 60 * 1000;
/// ... or after so many times what the last measurement took.
const DATA_PAUSE: u64 = 2000;

/// A service to read: app, service, container.
type Place = (String, String, String);

/// The measures of this node.
#[derive(Debug)]
pub struct Metrics {
    book: Arc<Mutex<Book>>,
    roots: Roots,
    dirs: Vec<PathBuf>,
    path: PathBuf,
}

impl Metrics {
    /// The measures that were kept in a file. Blocks.
    #[must_use]
    pub fn open(path: PathBuf, roots: Roots, dirs: Vec<PathBuf>) -> Self {
        let book = Arc::new(Mutex::new(Book::load(&path)));
        Self { book, roots, dirs, path }
    }

    /// What an app used.
    #[must_use]
    pub fn of_app(&self, app: &str, range: MetricsRange) -> MetricsResult {
        self.with(|book| book.read(app, range, clock::now().0))
    }

    /// What the node used.
    #[must_use]
    pub fn of_node(&self, range: MetricsRange) -> MetricsResult {
        self.with(|book| book.read("", range, clock::now().0))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Book) -> T) -> T {
        work(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads everything once. Blocks.
    fn read(&self, places: &[Place]) {
        let at = At { wall: clock::now().0, steady: clock::steady_millis() };
        let node = node::read(&self.roots, &self.dirs);
        let seen = places.iter().filter_map(|(app, service, container)| {
            Some((app, service, service::read(&self.roots, container)?))
        });
        let seen: Vec<_> = seen.collect();
        let installed: BTreeSet<String> = places.iter().map(|(app, ..)| app.clone()).collect();
        self.with(|book| {
            book.node(at, &node);
            for (app, service, reading) in &seen {
                book.service(at, app, service, reading);
            }
            // of a host that was not seen yet nothing is forgotten
            if !installed.is_empty() {
                book.prune(at.wall, &installed);
            }
        });
    }

    /// Writes the measures to their file. Blocks.
    fn save(&self) {
        let text = self.with(|book| book.text());
        if let Err(error) = file::write_whole(&self.path, &text, 0o600) {
            tracing::warn!(%error, path = %self.path.display(), "figures were not kept");
        }
    }
}

/// When the data of each app is due to be measured, by the steady clock.
#[derive(Debug, Default)]
struct Sizes {
    due: BTreeMap<String, u64>,
    /// What was measured last, which is shown until the next time.
    known: BTreeMap<String, u64>,
}

impl Sizes {
    /// The app that is to be measured now.
    fn next(&mut self, apps: &BTreeSet<String>, steady: u64) -> Option<String> {
        self.due.retain(|app, _| apps.contains(app));
        self.known.retain(|app, _| apps.contains(app));
        let due = |app: &&String| self.due.get(*app).is_none_or(|at| *at <= steady);
        apps.iter().find(due).cloned()
    }

    fn measured(&mut self, app: String, size: Option<u64>, took: u64, steady: u64) {
        if let Some(size) = size {
            self.known.insert(app.clone(), size);
        }
        let pause = DATA_EVERY.max(took.saturating_mul(DATA_PAUSE));
        self.due.insert(app, steady.saturating_add(pause));
    }
}

/// Starts reading; it ends when the daemon stops.
pub fn spawn(app: &Arc<App>, tasks: &TaskTracker) {
    tasks.spawn(read_on(app.clone()));
    tasks.spawn(measure_on(app.clone()));
}

async fn read_on(app: Arc<App>) {
    let mut timer = interval(PERIOD);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut saved = clock::steady_millis();
    loop {
        let stops = tokio::select! {
            () = app.stop.cancelled() => true,
            _ = timer.tick() => false,
        };
        let due = clock::steady_millis().saturating_sub(saved) >= SAVE_EVERY;
        let (again, places) = (app.clone(), places(&app));
        let work = move || {
            if !stops {
                again.metrics.read(&places);
            }
            if due || stops {
                again.metrics.save();
            }
        };
        if let Err(error) = tokio::task::spawn_blocking(work).await {
            tracing::error!(%error, "figures were not read");
        }
        if stops {
            return;
        }
        if due {
            saved = clock::steady_millis();
        }
    }
}

/// Measures one app's data at a time.
async fn measure_on(app: Arc<App>) {
    let mut sizes = Sizes::default();
    let mut timer = interval(PERIOD);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            _ = timer.tick() => {}
        }
        let apps = places(&app).into_iter().map(|(app, ..)| app).collect();
        let began = clock::steady_millis();
        if let Some(id) = sizes.next(&apps, began)
            && let Ok(parsed) = AppId::new(id.clone())
        {
            let size = app.backends.system.data_bytes(&parsed).await;
            let now = clock::steady_millis();
            if let Err(error) = &size {
                tracing::debug!(%error, app = %id, "the data was not measured");
            }
            sizes.measured(id, size.ok(), now.saturating_sub(began), now);
        }
        let at = At { wall: clock::now().0, steady: clock::steady_millis() };
        app.metrics.with(|book| {
            sizes.known.iter().for_each(|(app, bytes)| book.data(at, app, *bytes));
        });
    }
}

/// The services of all apps.
fn places(app: &App) -> Vec<Place> {
    let snapshot = app.backends.engine.snapshot();
    let of = |id: &AppId, view: &archy_engine::AppView| -> Vec<Place> {
        let services = view.services.iter();
        services
            .map(|service| (id.to_string(), service.name.to_string(), service.container.clone()))
            .collect()
    };
    snapshot.apps.iter().flat_map(|(id, view)| of(id, view)).collect()
}
