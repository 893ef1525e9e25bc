//! What ended by itself: why, and what it said last.

use archy_types::{AppState, doctor};

use super::{Part, Seen, Verdict, health, restart_secs};
use crate::observed::UnitState;
use crate::phase::Phase;

/// Code of the cause when the kernel ended an app for want of memory.
const OUT_OF_MEMORY: &str = "out-of-memory";

/// A service has used up its automatic restarts.
pub(super) fn failed(seen: &Seen<'_>) -> Option<Verdict> {
    let part = seen.with(Phase::Failed).next()?;
    let unit = part.unit?;
    if unit.result == UnitState::UNHEALTHY {
        return Some(health::ended(seen, part, unit));
    }
    let (code, text) = match unit.result == UnitState::OUT_OF_MEMORY {
        true => (OUT_OF_MEMORY, out_of_memory(seen, part)),
        false => ("service-failed", format!("{} failed ({}).", part.service.name, ending(unit))),
    };
    let others = seen.with(Phase::Failed).count() - 1;
    let text = match others {
        0 => text,
        _ => format!("{text} {others} more failed beside it."),
    };
    let next = match code {
        OUT_OF_MEMORY => {
            "Nothing by itself: its automatic restarts are used up. It needs more memory \
             (`resources.memory` in its manifest), or less to do, before it is started again."
        }
        _ => "Nothing by itself: its automatic restarts are used up.",
    };
    Some(
        seen.verdict(AppState::Failed, code, format!("{text}{}", last_words(unit)))
            .began(unit.inactive_since)
            .next(next)
            .repair("Restart", "package.restart"),
    )
}

/// A service ended, and waits for its next start.
pub(super) fn restarting(seen: &Seen<'_>, part: &Part<'_>, unit: &UnitState) -> Verdict {
    let name = &part.service.name;
    let number = unit.restarts.saturating_add(1);
    let (code, text) = match unit.result.as_str() {
        UnitState::OUT_OF_MEMORY => {
            let text = out_of_memory(seen, part);
            (OUT_OF_MEMORY, format!("{text} It is started again (restart {number})."))
        }
        result => {
            let ended = match (result, unit.exit_status) {
                (UnitState::UNHEALTHY, _) => {
                    format!("was ended since its health check{} failed", health::asked(seen, part))
                }
                (_, Some(status)) => format!("ended with {status}{}", meaning(status)),
                (_, None) => "ended".to_owned(),
            };
            let text = format!("{name} {ended} and is started again (restart {number}).");
            ("service-restarting", text)
        }
    };
    seen.verdict(AppState::Starting, code, format!("{text}{}", last_words(unit)))
        .next("systemd starts it again until its start limit is reached.")
        .repair("Restart", "package.restart")
        .within(restart_secs(part).unwrap_or_else(|| seen.start_secs()))
}

/// The kernel ended it; with its budget, where the host enforces that.
fn out_of_memory(seen: &Seen<'_>, part: &Part<'_>) -> String {
    let name = &part.service.name;
    let enforced = seen.observed.host.controllers.iter().any(|found| found == "memory");
    let service = seen.app.manifest.services.get(name).filter(|_| enforced);
    match service.map(|service| doctor::size(service.resources.memory_bytes)) {
        Some(budget) => format!(
            "{name} ran out of memory: it needed more than its budget of {budget}, and the kernel ended it."
        ),
        None => format!("{name} ran out of memory, and the kernel ended it."),
    }
}

/// How a unit ended, in systemd's words and with its exit status.
fn ending(unit: &UnitState) -> String {
    match unit.exit_status {
        Some(status) => format!("{}, exit status {status}{}", unit.result, meaning(status)),
        None => unit.result.clone(),
    }
}

/// What an exit status of Podman's means (podman-run(1), "Exit Status").
const fn meaning(status: i32) -> &'static str {
    match status {
        125 => ": Podman could not start it",
        126 => ": its command cannot be executed",
        127 => ": its command is not there",
        132 => ": an illegal instruction",
        134 => ": it aborted",
        137 => ": it was killed",
        139 => ": a memory access that is not allowed",
        143 => ": it was asked to end",
        _ => "",
    }
}

fn last_words(unit: &UnitState) -> String {
    let words = unit.last_words.as_deref().unwrap_or_default();
    let lines: Vec<&str> = words.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines.is_empty() {
        true => String::new(),
        false => format!(" Its last words: {}", lines.join(" | ")),
    }
}
