//! What happens beside requests: signals, the service manager, and work on timers.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::clock;
use crate::net::certs::Certs;

/// The engine looks at the host every 30 s; a loop that has not ended a pass for so long hangs.
const PASS_LIMIT: i64 = 180 * 1000;

/// Tells the service manager something; without one nothing happens.
pub fn notify(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// True while the engine's loop ends its passes; a daemon that has just started gets the same
/// time for its first one.
#[must_use]
pub fn loop_is_healthy(last_pass: i64, started: i64, now: i64) -> bool {
    now - last_pass.max(started) < PASS_LIMIT
}

/// Starts the work on timers; it ends when the daemon stops.
pub fn spawn(app: &Arc<App>, certs: Option<Arc<Certs>>, tasks: &TaskTracker) {
    publish(app, tasks);
    if let Some(limit) = sd_notify::watchdog_enabled() {
        watchdog(app, limit, tasks);
    }
    if let Some(certs) = certs {
        every(app, tasks, Duration::from_secs(5), move |_| {
            let certs = certs.clone();
            async move { blocking(move || certs.refresh(false)).await }
        });
    }
    every(app, tasks, Duration::from_secs(30), |app| async move {
        blocking(move || app.catalog.refresh()).await;
    });
    every(app, tasks, Duration::from_secs(60), |app| async move { app.refresh_host_ip() });
    every(app, tasks, Duration::from_secs(3600), |app| async move {
        if let Err(error) = app.sessions.prune(clock::now()).await {
            tracing::warn!(%error, "expired sessions were not removed");
        }
    });
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
    let started = clock::now().0;
    every(app, tasks, limit / 3, move |_| {
        let last = last_pass.load(Ordering::Relaxed);
        async move {
            if loop_is_healthy(last, started, clock::now().0) {
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
        for (last, started, now, healthy) in [
            (0, 1000, 2000, true),
            (0, 0, PASS_LIMIT, false),
            (PASS_LIMIT, 0, PASS_LIMIT + 5, true),
            (10, 0, PASS_LIMIT + 10, false),
        ] {
            assert_eq!(loop_is_healthy(last, started, now), healthy, "{last} {started} {now}");
        }
    }
}
