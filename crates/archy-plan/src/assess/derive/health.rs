//! What health checks say.

use archy_manifest::model::Probe;
use archy_types::{AppState, Health};

use super::{PASS_SECS, Part, Seen, Verdict};
use crate::observed::UnitState;

/// It ran, but its health check failed after each start until its restarts were used up.
pub(super) fn ended(seen: &Seen<'_>, part: &Part<'_>, unit: &UnitState) -> Verdict {
    let name = &part.service.name;
    let times = unit.restarts.saturating_add(1);
    let text = format!(
        "The health check of {name}{} goes on failing: it was ended {times} times, and is not started again.",
        asked(seen, part)
    );
    seen.verdict(AppState::Failed, "health-failing", text)
        .began(unit.inactive_since)
        .next("Nothing by itself: its automatic restarts are used up.")
        .repair("Restart", "package.restart")
}

/// What the health check of a service asks, in words.
pub(super) fn asked(seen: &Seen<'_>, part: &Part<'_>) -> String {
    let service = seen.app.manifest.services.get(&part.service.name);
    match service.and_then(|service| service.health.as_ref()).map(|health| &health.probe) {
        Some(Probe::Http { port, path }) => format!(" (GET {path} on port {port})"),
        Some(Probe::Tcp { port }) => format!(" (port {port})"),
        Some(Probe::Exec(words)) => format!(" ({})", words.join(" ")),
        None => String::new(),
    }
}

/// A check that fails, or has not passed yet.
pub(super) fn failing(seen: &Seen<'_>) -> Option<Verdict> {
    let with =
        |health: Health| move |part: &&Part<'_>| !part.oneshot && part.service.health == health;
    if let Some(part) = seen.parts.iter().find(with(Health::Unhealthy)) {
        let words = part.service.health_output.as_deref().map(str::trim).unwrap_or_default();
        let words = words.lines().last().map(|line| format!(": {line}")).unwrap_or_default();
        let text = format!("The health check of {} fails{words}.", part.service.name);
        return Some(
            seen.verdict(AppState::Unhealthy, "health-failing", text)
                .next("Podman ends it when the check goes on failing, and systemd starts it again.")
                .repair("Restart", "package.restart"),
        );
    }
    let part = seen.parts.iter().find(with(Health::Starting))?;
    let health = seen.app.manifest.services.get(&part.service.name)?.health.as_ref()?;
    let checks = health.interval_secs.saturating_add(health.timeout_secs);
    let within = checks.saturating_mul(health.retries).saturating_add(health.start_period_secs);
    let text = format!("The health check of {} has not passed yet.", part.service.name);
    Some(
        seen.verdict(AppState::Starting, "health-starting", text)
            .began(part.service.active_since)
            .next("It counts as running when the check passes.")
            .repair("Restart", "package.restart")
            .within(within.saturating_add(PASS_SECS)),
    )
}

/// Why it is not known whether what runs is well, where a check said so.
pub(super) fn untold(seen: &Seen<'_>) -> Option<String> {
    seen.parts.iter().find_map(|part| {
        let unknown = !part.oneshot && part.service.health == Health::Unknown;
        let why = part.service.health_output.as_deref().filter(|_| unknown)?.trim();
        let name = &part.service.name;
        Some(format!("Whether {name} is healthy is not known: {}.", why.trim_end_matches('.')))
    })
}
