//! Watches Podman and systemd: each change is a hint that a look is due, never the truth.

use std::collections::BTreeMap;
use std::time::Duration;

use archy_podman::{Event, EventKind, Podman};
use archy_systemd::Change;
use archy_types::Health;
use tokio::sync::mpsc;

use super::bus::Bus;
use super::sick::Sick;

/// Pause before a stream that ended is opened again.
const REOPEN: Duration = Duration::from_secs(2);

/// Starts both watchers; they end when the receiver is gone.
pub(super) fn spawn(podman: Podman, bus: Bus, sick: Sick, hints: mpsc::Sender<()>) {
    tokio::spawn(watch(hints.clone(), move |hints| {
        let (podman, sick) = (podman.clone(), sick.clone());
        async move { podman_events(&podman, &sick, &hints).await }
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

async fn podman_events(podman: &Podman, sick: &Sick, hints: &mpsc::Sender<()>) {
    let mut events = podman.events(None);
    let mut healths = BTreeMap::new();
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) => {
                    sick.note(&event);
                    if matters(&event, &mut healths) {
                        hint(hints);
                    }
                }
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

/// Events that change what a look would find. Each health check makes one: only a new verdict
/// counts.
fn matters(event: &Event, healths: &mut BTreeMap<String, Option<Health>>) -> bool {
    match (event.kind, event.action.as_str()) {
        (EventKind::Container, "health_status") => {
            healths.insert(event.id.clone(), event.health) != Some(event.health)
        }
        (EventKind::Container, "remove") => {
            healths.remove(&event.id);
            true
        }
        (EventKind::Container, action) => matches!(action, "start" | "died" | "create" | "rename"),
        (EventKind::Image, action) => matches!(action, "remove" | "untag" | "prune"),
        (EventKind::Volume | EventKind::Network | EventKind::Secret, _) => true,
        _ => false,
    }
}

/// Podman runs each health check as a unit of its own, named by the container's id.
fn is_health_check(unit: &str) -> bool {
    unit.get(..64).is_some_and(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Changes that a look would find. A look itself loads units that do not run, and systemd unloads
/// them again: neither is a change.
fn concerns(change: &Change) -> bool {
    match change {
        Change::Unit(unit) | Change::JobEnded { unit, .. } => {
            unit.ends_with(".service") && !is_health_check(unit)
        }
        Change::Loaded(_) | Change::Unloaded(_) => false,
        Change::Reloaded | Change::Missed => true,
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
                Some(change) => if concerns(&change) { hint(hints) },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_health_check_is_no_hint() {
        let check = format!("{}-5f1c2d.service", "ab".repeat(32));
        for (unit, wanted) in [(check.as_str(), false), ("blog.service", true), ("x.timer", false)]
        {
            assert_eq!(concerns(&Change::Unit(unit.to_owned())), wanted, "{unit}");
        }
        assert!(!concerns(&Change::Loaded("blog.service".to_owned())));
        assert!(!concerns(&Change::Unloaded("blog.service".to_owned())));
    }
}
