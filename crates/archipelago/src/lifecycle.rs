//! What happens beside requests: signals, the service manager, and work on timers.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::net::certs::{Certs, names_of};
use crate::registry::{follow, news};
use crate::{clock, forget, guard, images};

/// The engine looks at the host every 30 s; a loop that has not ended a pass for so long hangs.
const PASS_LIMIT: u64 = 180 * 1000;

/// Tells the service manager something; without one nothing happens.
pub fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// The end of the engine's last pass as the watchdog sees it: it counts by a steady clock since when
/// the noted moment is the same, for the wall clock may jump.
#[derive(Debug, Clone, Copy)]
pub struct Passes {
    noted: i64,
    changed: u64,
}

impl Passes {
    /// A daemon that has just started gets the full time for its first pass.
    #[must_use]
    pub const fn begin(steady: u64) -> Self {
        Self { noted: 0, changed: steady }
    }

    /// True while the engine's loop ends its passes.
    pub fn go_on(&mut self, noted: i64, steady: u64) -> bool {
        if self.noted != noted {
            *self = Self { noted, changed: steady };
        }
        steady.saturating_sub(self.changed) < PASS_LIMIT
    }
}

/// Starts the work on timers; it ends when the daemon stops.
pub fn spawn(app: &Arc<App>, certs: Option<Arc<Certs>>, tasks: &TaskTracker) {
    publish(app, tasks);
    if let Some(limit) = sd_notify::watchdog_enabled() {
        watchdog(app, limit, tasks);
    }
    every(app, tasks, images::PERIOD, images::prune);
    every(app, tasks, forget::PERIOD, forget::prune);
    if let Some(certs) = certs {
        every(app, tasks, Duration::from_secs(5), move |_| {
            let certs = certs.clone();
            async move { blocking(move || certs.refresh(false)).await }
        });
    }
    every(app, tasks, Duration::from_secs(10), certify);
    guard::spawn(app, tasks);
    every(app, tasks, Duration::from_secs(30), |app| async move {
        blocking(move || app.catalog.refresh()).await;
    });
    every(app, tasks, news::PERIOD, news::look);
    every(app, tasks, follow::PERIOD, follow::update_one);
    every(app, tasks, Duration::from_secs(60), |app| async move { app.refresh_host_ip() });
    every(app, tasks, Duration::from_secs(3600), |app| async move {
        if let Err(error) = app.sessions.prune(clock::steady_now()).await {
            tracing::warn!(%error, "expired sessions were not removed");
        }
    });
}

/// Issues the node's certificate anew when its name or addresses are others, or when it ends soon.
async fn certify(app: Arc<App>) {
    let Some(certs) = app.certs().cloned() else { return };
    let now = clock::now();
    blocking(move || {
        let names = names_of(&app.config);
        if let Err(error) = certs.issue(&names, now, false) {
            tracing::debug!(%error, "the certificate stays as it is");
        }
    })
    .await;
}

/// Publishes each snapshot of the engine.
fn publish(app: &Arc<App>, tasks: &TaskTracker) {
    let (hub, stop) = (app.hub.clone(), app.stop.clone());
    let mut snapshots = app.backends.engine.subscribe();
    snapshots.mark_changed();
    tasks.spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = snapshots.changed() => if changed.is_err() { return },
            }
            let snapshot = snapshots.borrow_and_update().clone();
            hub.set_snapshot(snapshot);
        }
    });
}

fn watchdog(app: &Arc<App>, limit: Duration, tasks: &TaskTracker) {
    let last_pass: Arc<AtomicI64> = app.backends.last_pass.clone();
    let passes = Arc::new(Mutex::new(Passes::begin(clock::steady_millis())));
    every(app, tasks, limit / 3, move |_| {
        let last = last_pass.load(Ordering::Relaxed);
        let mut passes = passes.lock().unwrap_or_else(PoisonError::into_inner);
        let healthy = passes.go_on(last, clock::steady_millis());
        async move {
            if healthy {
                notify(NotifyState::Watchdog);
            } else {
                tracing::error!(
                    last_pass = last,
                    "the engine's loop hangs; the watchdog is not fed"
                );
            }
        }
    });
}

fn every<F, Fut>(app: &Arc<App>, tasks: &TaskTracker, period: Duration, work: F)
where
    F: Fn(Arc<App>) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let app = app.clone();
    tasks.spawn(async move {
        let mut timer = interval(period);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = app.stop.cancelled() => return,
                _ = timer.tick() => work(app.clone()).await,
            }
        }
    });
}

async fn blocking(work: impl FnOnce() + Send + 'static) {
    if let Err(error) = tokio::task::spawn_blocking(work).await {
        tracing::error!(%error, "work on a timer failed");
    }
}

/// Waits for SIGTERM or SIGINT; SIGHUP reads certificates and manifests again.
///
/// # Errors
/// The system does not give signals.
pub async fn until_told(app: &Arc<App>, certs: Option<Arc<Certs>>) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            () = app.begin_anew.cancelled() => return Ok(()),
            _ = hangup.recv() => {
                tracing::info!("reading certificates and manifests again");
                let (again, certs) = (app.clone(), certs.clone());
                blocking(move || {
                    certs.iter().for_each(|certs| certs.refresh(true));
                    again.catalog.refresh();
                })
                .await;
                app.backends.engine.poke();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_hangs_is_seen() {
        let year = 365 * 86_400_000;
        let mut passes = Passes::begin(1000);
        for (noted, steady, healthy) in [
            (0, 2000, true),
            (0, 1000 + PASS_LIMIT, false),
            (50, 1000 + PASS_LIMIT, true),
            (50, 2000 + PASS_LIMIT, true),
            // the wall clock jumps ahead and back: the loop goes on
            (year, 3000 + PASS_LIMIT, true),
            (60, 4000 + PASS_LIMIT, true),
            (60, 4000 + 2 * PASS_LIMIT, false),
        ] {
            assert_eq!(passes.go_on(noted, steady), healthy, "{noted} {steady}");
        }
    }
}
