//! What a unit is doing, as far as it matters for what to do with it.

use archy_types::Timestamp;

use crate::observed::{ActiveState, UnitState};

/// What a unit is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It runs, or ran to completion.
    Up,
    /// It is being started, or waits for an automatic restart.
    Rising,
    /// It is being stopped.
    Falling,
    /// It failed since the owner last asked, and its automatic restarts are used up.
    Failed,
    /// Somebody stopped it past Archipelago since the owner last asked.
    StoppedOutside,
    /// It does not run, and nothing speaks against starting it.
    Down,
}

impl Phase {
    /// The phase of a unit. `asked` is when the owner last asked for the desired state: what ended
    /// before that does not count.
    pub(crate) fn of(unit: Option<&UnitState>, oneshot: bool, asked: Timestamp) -> Self {
        let Some(unit) = unit else { return Self::Down };
        let ended = unit.inactive_since.or(unit.active_since);
        let before = ended.is_some_and(|ended| ended < asked);
        match unit.active {
            ActiveState::Active | ActiveState::Reloading => Self::Up,
            ActiveState::Activating => Self::Rising,
            ActiveState::Deactivating => Self::Falling,
            ActiveState::Failed if before => Self::Down,
            ActiveState::Failed => Self::Failed,
            ActiveState::Inactive => {
                let stopped = ended.is_some() && unit.result == "success" && unit.load == "loaded";
                if stopped && !oneshot && !before { Self::StoppedOutside } else { Self::Down }
            }
        }
    }

    /// A job of systemd is at work on it.
    pub(crate) const fn is_moving(self) -> bool {
        matches!(self, Self::Rising | Self::Falling)
    }

    /// A stop has something to do.
    pub(crate) const fn is_alive(self) -> bool {
        matches!(self, Self::Up | Self::Rising | Self::Falling)
    }
}

/// True when systemd runs the unit, or has a job for it.
pub(crate) fn is_alive(unit: Option<&UnitState>) -> bool {
    unit.is_some_and(|unit| !matches!(unit.active, ActiveState::Inactive | ActiveState::Failed))
}
