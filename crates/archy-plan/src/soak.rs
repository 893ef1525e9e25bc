//! Whether a new version holds out after an update.

use archy_manifest::names;
use archy_types::{Health, UserError};

use crate::desired::DesiredApp;
use crate::observed::{ActiveState, Observed};

/// What a look during a soak says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Soak {
    /// All is well.
    Well,
    /// Not yet, or it cannot be seen; counts as a failure only at the end.
    Unsure(UserError),
    /// The new version does not hold out.
    Sick(UserError),
}

/// Judges a look by the first look of the soak.
#[must_use]
pub fn soak(app: &DesiredApp, first: &Observed, now: &Observed) -> Soak {
    let mut verdict = Soak::Well;
    for (name, service) in &app.manifest.services {
        if service.oneshot {
            continue;
        }
        let container = names::container(&app.manifest, name);
        match part(&container, first, now) {
            Soak::Well => {}
            Soak::Unsure(why) => verdict = Soak::Unsure(why),
            sick @ Soak::Sick(_) => return sick,
        }
    }
    verdict
}

fn part(container: &str, first: &Observed, now: &Observed) -> Soak {
    let unit = format!("{container}.service");
    let (Some(units), Some(containers)) = (now.units.get(), now.containers.get()) else {
        return Soak::Unsure(error(
            "host-unknown",
            "The host does not tell how the new version is.",
        ));
    };
    let Some(state) = units.get(&unit) else {
        return Soak::Unsure(error("soak-unit", format!("{unit} is not there.")));
    };
    if state.active == ActiveState::Failed {
        let message = format!("{unit} failed after its start ({}).", state.result);
        return Soak::Sick(error("soak-failed", message));
    }
    let before = first.units.get().and_then(|units| units.get(&unit));
    let before = before.map_or(state.restarts, |before| before.restarts);
    if state.restarts > before {
        let message = format!("{unit} ended and was restarted after the update.");
        return Soak::Sick(error("soak-restarted", message));
    }
    let Some(container) = containers.get(container) else { return settled(state.active, &unit) };
    match container.health {
        Health::Unhealthy => {
            let said = container.health_output.as_deref().unwrap_or_default();
            let said = said.lines().rev().find(|line| !line.trim().is_empty());
            let said = said.map(|said| format!(" ({})", said.trim())).unwrap_or_default();
            Soak::Sick(error("soak-unhealthy", format!("{unit} is not healthy{said}.")))
        }
        Health::Starting => {
            Soak::Unsure(error("soak-starting", format!("{unit} is not healthy yet.")))
        }
        _ => settled(state.active, &unit),
    }
}

/// A unit that somebody stopped has nothing to prove.
fn settled(active: ActiveState, unit: &str) -> Soak {
    match active {
        ActiveState::Activating | ActiveState::Reloading | ActiveState::Deactivating => {
            Soak::Unsure(error("soak-starting", format!("{unit} is not up.")))
        }
        ActiveState::Active | ActiveState::Inactive | ActiveState::Failed => Soak::Well,
    }
}

fn error(code: &'static str, message: impl Into<String>) -> UserError {
    UserError::new(code, message).hint("`archy logs` shows what the new version said.")
}
