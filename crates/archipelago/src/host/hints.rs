//! Watches Podman and systemd: each change is a hint that a look is due, never the truth.

use std::time::Duration;

use archy_podman::{EventKind, Podman};
use tokio::sync::mpsc;

use super::bus::Bus;

/// Pause before a stream that ended is opened again.
const REOPEN: Duration = Duration::from_secs(2);

/// Starts both watchers; they end when the receiver is gone.
pub(super) fn spawn(podman: Podman, bus: Bus, hints: mpsc::Sender<()>) {
    tokio::spawn(watch(hints.clone(), move |hints| {
        let podman = podman.clone();
        async move { podman_events(&podman, &hints).await }
    }));
    tokio::spawn(watch(hints, move |hints| {
        let bus = bus.clone();
        async move { unit_changes(&bus, &hints).await }
    }));
}

async fn watch<F>(hints: mpsc::Sender<()>, mut once: impl FnMut(mpsc::Sender<()>) -> F)
where
    F: Future<Output = ()>,
{
    while !hints.is_closed() {
        once(hints.clone()).await;
        // what happened while nobody listened is unknown
        hint(&hints);
        tokio::select! {
            () = tokio::time::sleep(REOPEN) => {}
            () = hints.closed() => {}
        }
    }
}

async fn podman_events(podman: &Podman, hints: &mpsc::Sender<()>) {
    let mut events = podman.events(None);
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) if matters(&event.kind, &event.action) => hint(hints),
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    tracing::debug!(%error, "podman's events ended");
                    return;
                }
                None => return,
            },
            () = hints.closed() => return,
        }
    }
}

/// Events that change what a look would find.
fn matters(kind: &EventKind, action: &str) -> bool {
    match kind {
        EventKind::Container => {
            matches!(action, "start" | "died" | "remove" | "create" | "rename" | "health_status")
        }
        EventKind::Image => matches!(action, "remove" | "untag" | "prune"),
        EventKind::Volume | EventKind::Network | EventKind::Secret => true,
        _ => false,
    }
}

async fn unit_changes(bus: &Bus, hints: &mpsc::Sender<()>) {
    let manager = match bus.manager().await {
        Ok(manager) => manager,
        Err(error) => {
            tracing::debug!(%error, "the user manager cannot be watched");
            return;
        }
    };
    let mut changes = manager.changes();
    loop {
        tokio::select! {
            change = changes.next() => match change {
                Some(_) => hint(hints),
                None => return,
            },
            () = hints.closed() => return,
        }
    }
}

fn hint(hints: &mpsc::Sender<()>) {
    // one waiting hint is enough
    _ = hints.try_send(());
}
