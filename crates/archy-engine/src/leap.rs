//! A wall clock that jumps: what is shown with a moment moves with it, so that no deadline is over
//! because somebody set the clock. Waiting itself is by a steady clock everywhere.

use archy_types::{StatusReport, Timestamp};
use tokio::time::Instant;

use crate::ports::{Clock, Host, Ledger};
use crate::status::OperationView;
use crate::task::Engine;

/// What the clocks may drift apart between two passes, in milliseconds.
const DRIFT: i64 = 60_000;

/// Both clocks at the last pass.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leap {
    wall: Timestamp,
    steady: Instant,
}

impl Leap {
    pub(crate) const fn new(wall: Timestamp, steady: Instant) -> Self {
        Self { wall, steady }
    }

    /// By how many milliseconds the wall clock jumped; nought when it did not.
    fn look(&mut self, wall: Timestamp, steady: Instant) -> i64 {
        let passed = steady.saturating_duration_since(self.steady).as_millis();
        let passed = i64::try_from(passed).unwrap_or(i64::MAX);
        let jumped = wall.0.saturating_sub(self.wall.0).saturating_sub(passed);
        *self = Self { wall, steady };
        if jumped.abs() > DRIFT { jumped } else { 0 }
    }
}

impl<H: Host, L: Ledger, C: Clock> Engine<H, L, C> {
    /// Moves what is kept in memory with a clock that jumped since the last pass.
    pub(crate) fn mind_the_clock(&mut self) {
        let now = self.world.clock.now();
        let jumped = self.leap.look(now, Instant::now());
        if jumped == 0 {
            return;
        }
        tracing::warn!(millis = jumped, "the clock jumped: deadlines move with it");
        for entry in self.apps.values_mut() {
            let reports = entry.report.iter_mut();
            reports.for_each(|report| move_report(report, jumped));
            if let Some(work) = &mut entry.work {
                work.job.started = work.job.started.plus_millis(jumped);
                move_view(&mut work.view, jumped);
            }
            if let Some(failed) = &mut entry.failed {
                move_view(failed, jumped);
            }
            entry.repair_at = entry.repair_at.map(|at| at.plus_millis(jumped));
        }
    }
}

fn move_report(report: &mut StatusReport, millis: i64) {
    report.since = report.since.plus_millis(millis);
    report.deadline = report.deadline.map(|at| at.plus_millis(millis));
    if let Some(next) = &mut report.next {
        next.at = next.at.map(|at| at.plus_millis(millis));
    }
}

const fn moved(at: Timestamp, millis: i64) -> Timestamp {
    Timestamp(at.0.saturating_add(millis))
}

fn move_view(view: &mut OperationView, millis: i64) {
    view.started = moved(view.started, millis);
    view.deadline = moved(view.deadline, millis);
}
