//! One app that is tested: what is known of it, and what became of its phases.

use std::cell::RefCell;
use std::collections::BTreeMap;

use archy_api::state::PortState;

use super::places::Place;
use super::takes_away;
use crate::outcome::{Fault, PhaseResult};
use crate::phase::Phase;
use crate::spec::AppSpec;

/// What must be found again.
#[derive(Debug, Default, Clone)]
pub(crate) struct Known {
    /// Where it keeps data.
    pub(crate) places: Vec<Place>,
    /// Sums of the files that were written, by path.
    pub(crate) sums: BTreeMap<String, String>,
    /// Sums of secrets by name.
    pub(crate) secrets: BTreeMap<String, String>,
    /// Published ports.
    pub(crate) ports: Option<Vec<PortState>>,
    /// The author's own data was written.
    pub(crate) own_written: bool,
    /// The next version runs.
    pub(crate) updated: bool,
    /// Why nothing more is tried.
    pub(crate) given_up: Option<String>,
}

/// An app on a stage.
#[derive(Debug)]
pub struct Subject {
    /// What is tested.
    pub spec: AppSpec,
    /// It was on the node before, and stays.
    pub existing: bool,
    known: RefCell<Known>,
    results: RefCell<Vec<PhaseResult>>,
}

impl Subject {
    /// An app to test.
    #[must_use]
    pub fn new(spec: AppSpec, existing: bool) -> Self {
        Self { spec, existing, known: RefCell::default(), results: RefCell::default() }
    }

    /// Names of the places with data that were watched.
    #[must_use]
    pub fn places(&self) -> Vec<String> {
        self.known.borrow().places.iter().map(|place| place.title.clone()).collect()
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        self.spec.id() == other.spec.id()
    }

    pub(crate) fn begin(&self) {
        self.known.replace(Known::default());
        self.results.borrow_mut().clear();
    }

    pub(crate) fn known(&self) -> Known {
        self.known.borrow().clone()
    }

    pub(crate) fn learn(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.borrow_mut());
    }

    pub(crate) fn push(&self, result: PhaseResult) {
        self.results.borrow_mut().push(result);
    }

    pub(crate) fn results(&self) -> Vec<PhaseResult> {
        self.results.borrow().clone()
    }

    pub(crate) fn last(&self) -> Option<PhaseResult> {
        self.results.borrow().last().cloned()
    }

    /// A failure after the phase was noted, as when a unit file is not healed.
    pub(crate) fn amend(&self, phase: Phase, fault: &Fault) {
        let mut results = self.results.borrow_mut();
        if let Some(result) = results.iter_mut().rev().find(|result| result.phase == phase) {
            result.outcome = fault.outcome();
        }
    }

    /// What a failure means for the phases to come.
    pub(crate) fn failed(&self, phase: Phase, fault: &Fault) {
        let mut known = self.known.borrow_mut();
        if known.given_up.is_some() {
            return;
        }
        match fault {
            _ if phase == Phase::Install => {
                known.given_up = Some("it was not installed".to_owned())
            }
            Fault::DataLost { .. } | Fault::Changed { .. } => {
                known.given_up = Some(format!("{fault}, found in the phase {}", phase.name()));
            }
            _ => {}
        }
    }

    /// Why a phase is not tried. What could still be removed is removed.
    pub(crate) fn skips(&self, phase: Phase) -> Option<String> {
        if self.existing && takes_away(phase) {
            return Some("the app was on the node before the test and stays".to_owned());
        }
        let known = self.known.borrow();
        match phase {
            Phase::Purge => None,
            Phase::BackOut if !known.updated => Some("there is no update to take back".to_owned()),
            _ => known.given_up.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::own_test::OwnTest;

    fn subject(existing: bool) -> Subject {
        let text = "app:\n  id: shelf\n  name: Shelf\n  version: 1.0.0\n  services:\n    main:\n      image: localhost/shelf:1\n";
        Subject::new(AppSpec::new(text.into(), OwnTest::default(), None).unwrap(), existing)
    }

    #[test]
    fn an_app_of_the_owner_is_never_taken_away() {
        let mine = subject(true);
        assert!(mine.skips(Phase::Purge).is_some());
        assert!(mine.skips(Phase::Uninstall).is_some());
        assert!(mine.skips(Phase::Stop).is_none());
        assert!(subject(false).skips(Phase::Purge).is_none());
    }

    #[test]
    fn after_a_loss_nothing_is_tried_but_the_removal() {
        let app = subject(false);
        app.failed(Phase::Stop, &Fault::DaemonAway("x".into()));
        assert!(app.skips(Phase::Start).is_none());
        assert!(app.skips(Phase::BackOut).is_some());
        let lost = Fault::DataLost { place: "p".into(), detail: "d".into() };
        app.failed(Phase::Start, &lost);
        assert!(app.skips(Phase::Restart).unwrap().contains("found in the phase start"));
        assert!(app.skips(Phase::Purge).is_none());
        let never = subject(false);
        never.failed(Phase::Install, &Fault::DaemonAway("x".into()));
        assert!(never.skips(Phase::Reachable).is_some());
    }
}
