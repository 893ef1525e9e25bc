//! Watches what a node stands on: its disks, its store, its clock.
//!
//! What is wrong is told in the published state with figures, for as long as it lasts; when it is
//! over the engine looks again at once. A store that could not be written when the daemon began is
//! opened anew as soon as its disk takes a write.

mod leap;
mod weigh;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use archy_api::state::{Notice, Severity};
use archy_store::{Store, StoreError};
use archy_types::doctor::Room;
use archy_types::{Code, Timestamp};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::clock;
use crate::host::facts;
pub use leap::{Doubt, Leap};
use weigh::{Place, Seen, weigh};

/// Key of the last moment that the node remembers.
pub const LAST_SEEN: &str = "node.last-seen";
/// Between two looks.
const PERIOD: Duration = Duration::from_secs(5);
/// A daemon that found its store read-only looks again with fresh eyes after so long, in
/// milliseconds.
const READ_ONLY: u64 = 60_000;
/// Between two notes of the moment, in milliseconds.
const NOTE_EVERY: u64 = 10 * 60 * 1000;

/// What the guard remembers between its looks.
#[derive(Debug)]
struct Guard {
    leap: Leap,
    /// Steady time of the last note of the moment.
    noted: u64,
    /// Something was wrong with a disk or the store.
    was_bad: bool,
    told: Vec<Notice>,
}

/// Starts watching; it ends when the daemon stops.
pub fn spawn(app: &Arc<App>, tasks: &TaskTracker) {
    let app = app.clone();
    tasks.spawn(async move {
        let leap = Leap::new(clock::now(), clock::steady_millis());
        let mut guard = Guard { leap, noted: 0, was_bad: false, told: Vec::new() };
        let mut timer = interval(PERIOD);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = app.stop.cancelled() => return,
                _ = timer.tick() => guard.look(&app).await,
            }
        }
    });
}

impl Guard {
    async fn look(&mut self, app: &App) {
        let (now, steady) = (clock::now(), clock::steady_millis());
        if let Some(millis) = self.leap.look(now, steady) {
            tracing::warn!(millis, "the clock jumped");
            app.doubt.leapt(millis, steady);
        }
        let paths = &app.config.paths;
        let dirs = [
            ("the store", paths.state_dir.clone()),
            ("apps' data", paths.data_dir.clone()),
            ("units", paths.quadlet_dir.clone()),
        ];
        let rooms = tokio::task::spawn_blocking(move || look_at(dirs)).await.unwrap_or_default();
        self.try_again(app, now, steady).await;
        let fault = app.store.write_fault();
        let doubt = app.doubt.at(steady);
        let seen = Seen { places: &rooms, fault: fault.as_ref(), leapt: doubt };
        let found = weigh(&seen);
        let bad = found.iter().any(|notice| notice.0 == Severity::Error);
        if self.was_bad && !bad {
            tracing::info!("disks and store are well again");
            app.backends.engine.poke();
        }
        self.was_bad = bad;
        self.tell(app, found, now);
    }

    /// Tries a write where one failed, and notes the moment now and then.
    async fn try_again(&mut self, app: &App, now: Timestamp, steady: u64) {
        if app.store.unwritable().is_some() {
            let dir = app.config.paths.state_dir.clone();
            let tried = tokio::task::spawn_blocking(move || archy_store::try_write(&dir)).await;
            match tried {
                Ok(Ok(())) => {
                    tracing::warn!("the store can be written again: starting anew");
                    app.begin_anew.cancel();
                }
                // the service's own view of the file systems keeps the mount as it found it
                Ok(Err(StoreError::ReadOnly { .. })) if steady > READ_ONLY => {
                    tracing::info!("starting anew to see whether the store is still read-only");
                    app.begin_anew.cancel();
                }
                _ => {}
            }
            return;
        }
        let due = self.noted == 0 || steady.saturating_sub(self.noted) >= NOTE_EVERY;
        if app.store.write_fault().is_none() && !due {
            return;
        }
        match app.store.note_moment(LAST_SEEN, now).await {
            Ok(()) => self.noted = steady.max(1),
            Err(error) => tracing::debug!(%error, "the moment was not noted"),
        }
    }

    fn tell(&mut self, app: &App, found: Vec<weigh::Finding>, now: Timestamp) {
        let since = |code: &str| {
            let before = self.told.iter().find(|notice| notice.code.as_str() == code);
            before.map_or(now.0, |notice| notice.since)
        };
        let mut told: Vec<Notice> = found
            .into_iter()
            .map(|(severity, code, text, mend)| Notice {
                severity,
                since: since(code),
                code: Code::new(code),
                text,
                mend,
            })
            .collect();
        for notice in told.iter().filter(|n| !self.told.iter().any(|old| old.code == n.code)) {
            tracing::warn!(code = %notice.code, "{}", notice.text);
        }
        // figures that change a little every moment are no news
        for notice in &mut told {
            let before = self.told.iter().find(|old| old.code == notice.code);
            if let Some(before) = before.filter(|old| old.severity == notice.severity) {
                *notice = before.clone();
            }
        }
        if told != self.told {
            let all = told.iter().chain(&app.found_at_start).cloned().collect();
            app.hub.set_notices(all);
            self.told = told;
        }
    }
}

/// Room below each path. Blocks.
fn look_at(dirs: [(&'static str, PathBuf); 3]) -> Vec<Place> {
    let place = |(what, path): (&'static str, PathBuf)| Place { what, room: room(&path), path };
    dirs.into_iter().map(place).collect()
}

/// Room below a path that may not be there yet.
fn room(path: &Path) -> Option<Room> {
    path.ancestors().find_map(facts::room)
}

/// The last moment that the node remembers.
pub async fn last_seen(store: &Store) -> Option<Timestamp> {
    store.setting(LAST_SEEN).await.ok().flatten()?.as_i64().map(Timestamp)
}

#[cfg(test)]
mod tests;
