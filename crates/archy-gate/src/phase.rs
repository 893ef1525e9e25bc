//! The phases of an app's life, as a table.

use serde::{Deserialize, Serialize};

/// One phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The app is installed and becomes healthy.
    Install,
    /// Each of its doors answers.
    Reachable,
    /// Data is written into every place that it keeps data in.
    Data,
    /// It is stopped: no container, no port.
    Stop,
    /// It is started.
    Start,
    /// It is restarted.
    Restart,
    /// A setting is changed and put back.
    Configure,
    /// It is brought to another version.
    Update,
    /// The update is taken back, with the data of before.
    BackOut,
    /// It is uninstalled; its data stays, nothing else.
    UninstallKeep,
    /// It is installed again and finds data, secrets and ports.
    Reinstall,
    /// The daemon restarts; no container notices.
    DaemonRestart,
    /// The node reboots in good order.
    Reboot,
    /// The node's power is cut.
    PowerCut,
    /// It is uninstalled.
    Uninstall,
    /// It is removed with its data; nothing is left.
    Purge,
}

/// Whom a phase is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Each app.
    App,
    /// The node, once for all apps.
    Node,
}

/// What a node must allow for a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// The daemon can be restarted.
    DaemonRestart,
    /// The node can be rebooted.
    Reboot,
    /// Its power can be cut and comes back.
    PowerCut,
}

/// How an app is to be after a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Runs, healthy.
    Running,
    /// Stopped by wish.
    Stopped,
    /// Not installed; its data is there.
    Kept,
    /// Not installed; nothing of it is there.
    Nothing,
}

/// A line of the table.
#[derive(Debug, Clone, Copy)]
pub struct PhaseInfo {
    /// The phase.
    pub phase: Phase,
    /// Name in reports.
    pub name: &'static str,
    /// Whom it is done to.
    pub scope: Scope,
    /// What it needs of the node.
    pub needs: Option<Capability>,
    /// Harms of a chaos run may happen in it.
    pub harmed: bool,
    /// How the app is afterwards.
    pub ending: Ending,
}

const fn app(phase: Phase, name: &'static str, harmed: bool, ending: Ending) -> PhaseInfo {
    PhaseInfo { phase, name, scope: Scope::App, needs: None, harmed, ending }
}

const fn node(phase: Phase, name: &'static str, needs: Capability) -> PhaseInfo {
    let (scope, ending) = (Scope::Node, Ending::Running);
    PhaseInfo { phase, name, scope, needs: Some(needs), harmed: false, ending }
}

/// All phases in the order in which they are done.
pub const PHASES: &[PhaseInfo] = &[
    app(Phase::Install, "install", true, Ending::Running),
    app(Phase::Reachable, "reachable", false, Ending::Running),
    app(Phase::Data, "data", false, Ending::Running),
    app(Phase::Stop, "stop", true, Ending::Stopped),
    app(Phase::Start, "start", true, Ending::Running),
    app(Phase::Restart, "restart", true, Ending::Running),
    app(Phase::Configure, "config-change", true, Ending::Running),
    app(Phase::Update, "update", true, Ending::Running),
    app(Phase::BackOut, "back-out", true, Ending::Running),
    app(Phase::UninstallKeep, "uninstall-keep", true, Ending::Kept),
    app(Phase::Reinstall, "reinstall", true, Ending::Running),
    node(Phase::DaemonRestart, "daemon-restart", Capability::DaemonRestart),
    node(Phase::Reboot, "reboot", Capability::Reboot),
    node(Phase::PowerCut, "power-cut", Capability::PowerCut),
    app(Phase::Uninstall, "uninstall", true, Ending::Kept),
    app(Phase::Purge, "purge", true, Ending::Nothing),
];

impl Phase {
    /// Its line of the table.
    #[must_use]
    pub fn info(self) -> &'static PhaseInfo {
        // every variant has a line: a test says so
        PHASES.iter().find(|info| info.phase == self).unwrap_or(&PHASES[0])
    }

    /// Name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.info().name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_has_one_line_and_order_is_the_enums() {
        let phases: Vec<Phase> = PHASES.iter().map(|info| info.phase).collect();
        let mut sorted = phases.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(phases, sorted);
        assert_eq!(PHASES.len(), Phase::Purge as usize + 1);
        assert!(PHASES.iter().all(|info| info.phase.info().phase == info.phase));
    }

    #[test]
    fn data_is_there_before_anything_that_could_lose_it_and_the_purge_is_last() {
        let at = |phase| PHASES.iter().position(|info| info.phase == phase);
        assert!(at(Phase::Install) < at(Phase::Data));
        assert!(PHASES.iter().skip(3).all(|info| at(info.phase) > at(Phase::Data)));
        assert!(at(Phase::Update) < at(Phase::BackOut));
        assert!(at(Phase::UninstallKeep) < at(Phase::Reinstall));
        assert_eq!(PHASES.last().map(|info| info.phase), Some(Phase::Purge));
    }

    #[test]
    fn only_phases_of_the_node_need_something_of_it() {
        for info in PHASES {
            assert_eq!(info.needs.is_some(), info.scope == Scope::Node, "{}", info.name);
            assert!(!(info.harmed && info.scope == Scope::Node), "{}", info.name);
        }
    }
}
