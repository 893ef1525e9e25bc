//! What Podman's health checks say beyond one look: which containers were ended because their check
//! went on failing (they are gone when a look comes), and which checks cannot be run in their image.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use archy_manifest::model::Probe;
use archy_manifest::{Manifest, names};
use archy_plan::observed::{ActiveState, ContainerState, UnitState};
use archy_podman::{Event, EventKind, Podman};
use archy_types::{Health, Timestamp};

/// Begins what the health probe says when it cannot know how the app is.
const UNKNOWN: &str = "unknown: ";

/// A unit that ends so long after its container was found unhealthy ended for another reason: the
/// longest pause before a restart, and time to stop.
const LATEST_MILLIS: i64 = 120_000;

/// What is remembered. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Sick(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    /// When containers were found unhealthy last, by name.
    unhealthy: BTreeMap<String, Timestamp>,
    /// Ids of containers whose check was seen to be run.
    checked: BTreeSet<String>,
}

impl Sick {
    fn with<T>(&self, work: impl FnOnce(&mut Memory) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes an event of Podman's into account.
    pub(super) fn note(&self, event: &Event) {
        if event.kind == EventKind::Container && event.health == Some(Health::Unhealthy) {
            let at = Timestamp(event.time_nanos / 1_000_000);
            self.with(|memory| memory.unhealthy.insert(event.name.clone(), at));
        }
    }

    /// Says of units that do not run whether Podman ended them for their health: systemd knows only
    /// that they were killed.
    pub(super) fn mark(&self, units: &mut BTreeMap<String, UnitState>) {
        self.with(|memory| {
            memory.unhealthy.retain(|name, at| {
                let Some(unit) = units.get_mut(&format!("{name}.service")) else { return false };
                let late = |ended: Timestamp| ended.0.saturating_sub(at.0) > LATEST_MILLIS;
                if unit.active_since.is_some_and(|since| since > *at)
                    || unit.inactive_since.is_some_and(late)
                {
                    return false;
                }
                let restarts =
                    unit.active == ActiveState::Activating && unit.sub.starts_with("auto-restart");
                if restarts || unit.active == ActiveState::Failed {
                    unit.result = UnitState::UNHEALTHY.to_owned();
                }
                true
            });
        });
    }

    /// Health of containers whose check is a program of their image, which may lack it. Each is
    /// asked once; one whose check cannot be run, at each look.
    pub(super) async fn ask(
        &self,
        podman: &Podman,
        apps: &[Arc<Manifest>],
        states: &mut BTreeMap<String, ContainerState>,
    ) {
        let known: BTreeSet<&str> = states.values().map(|state| state.id.as_str()).collect();
        self.with(|memory| memory.checked.retain(|id| known.contains(id.as_str())));
        for name in apps.iter().flat_map(|app| with_programs(app)) {
            let Some(state) = states.get_mut(&name) else { continue };
            let checked = self.with(|memory| memory.checked.contains(&state.id));
            if checked || state.health != Health::Healthy {
                continue;
            }
            let Ok(Some(detail)) = podman.container(&name).await else { continue };
            let Some(last) = detail.health.log.last() else { continue };
            match reason(&last.output) {
                Some(reason) => {
                    state.health = Health::Unknown;
                    state.health_output = Some(reason.to_owned());
                }
                None => {
                    self.with(|memory| memory.checked.insert(state.id.clone()));
                }
            }
        }
    }
}

/// Containers of an app whose check is a program.
fn with_programs(app: &Manifest) -> impl Iterator<Item = String> {
    let services = app.services.iter().filter(|(_, service)| {
        let check = service.health.as_ref();
        check.is_some_and(|check| matches!(check.probe, Probe::Exec(_)))
    });
    services.map(|(name, _)| names::container(app, name))
}

/// Why a check could not be run, from what it printed.
fn reason(output: &str) -> Option<&str> {
    output.lines().rev().find_map(|line| line.trim().strip_prefix(UNKNOWN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(active: ActiveState, sub: &str, since: i64) -> UnitState {
        UnitState {
            load: "loaded".to_owned(),
            active,
            sub: sub.to_owned(),
            result: "start-limit-hit".to_owned(),
            exit_status: Some(137),
            restarts: 9,
            active_since: Some(Timestamp(since)),
            inactive_since: Some(Timestamp(since + 20)),
            last_words: None,
        }
    }

    fn event(name: &str, health: Health) -> Event {
        Event {
            kind: EventKind::Container,
            action: "health_status".to_owned(),
            id: "ab".to_owned(),
            name: name.to_owned(),
            time_nanos: 50_000_000,
            exit_code: None,
            health: Some(health),
            attributes: BTreeMap::new(),
        }
    }

    #[test]
    fn units_that_were_ended_for_their_health() {
        let sick = Sick::default();
        for (name, active, sub, since, ended) in [
            ("failed", ActiveState::Failed, "failed", 40, true),
            ("again", ActiveState::Activating, "auto-restart", 40, true),
            ("starting", ActiveState::Activating, "start-post", 40, false),
            ("since", ActiveState::Failed, "failed", 55, false),
            ("runs", ActiveState::Active, "running", 40, false),
        ] {
            sick.note(&event(name, Health::Unhealthy));
            let mut units = [(format!("{name}.service"), unit(active, sub, since))].into();
            sick.mark(&mut units);
            let said = units.values().all(|unit| unit.result == UnitState::UNHEALTHY);
            assert_eq!(said, ended, "{name}");
        }
        // one that came up again and ended much later for another reason
        sick.note(&event("later", Health::Unhealthy));
        let mut late = unit(ActiveState::Failed, "failed", 40);
        late.inactive_since = Some(Timestamp(200_000));
        let mut units = [("later.service".to_owned(), late)].into();
        sick.mark(&mut units);
        assert!(units.values().all(|unit| unit.result == "start-limit-hit"));
        sick.note(&event("well", Health::Healthy));
        let mut units =
            [("well.service".to_owned(), unit(ActiveState::Failed, "failed", 40))].into();
        sick.mark(&mut units);
        assert!(units.values().all(|unit| unit.result == "start-limit-hit"));
    }

    #[test]
    fn the_reason_is_among_what_a_check_printed() {
        assert_eq!(reason("a word\nunknown: no curl here\n"), Some("no curl here"));
        assert_eq!(reason("curl: well"), None);
    }
}
