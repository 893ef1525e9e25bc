//! Cancelling an operation at work: where it has a way back, and where it is safe to take it.

use std::sync::atomic::Ordering;

use archy_plan::{DesiredApp, DesiredState, Step};
use archy_types::{Actor, OperationId, Timestamp, UserError};

use crate::handle::Cancel;
use crate::operation::{Job, OperationKind, Order};
use crate::ports::{Clock, Ending, Host, Ledger};
use crate::task::Engine;
use crate::worker::Worker;

/// Code of the error that a cancelled operation ends with.
pub const CANCELLED: &str = "cancelled";

/// The operation was cancelled.
pub(crate) fn is(error: &UserError) -> bool {
    error.code.as_str() == CANCELLED
}

/// What was cancelled and is back where it was, ended as cancelled.
pub(crate) fn told(ending: Ending) -> Ending {
    match ending {
        Ending::RolledBack(error) if is(&error) => Ending::Cancelled(error),
        other => other,
    }
}

/// Steps amid which nothing is cancelled: data or foreign containers are being touched.
pub(crate) const fn is_unsafe(step: &Step) -> bool {
    matches!(step, Step::Snapshot { .. } | Step::RestoreSnapshot { .. } | Step::Legacy(_))
}

/// The desired state that an install goes back to; nothing when something was asked for since, which
/// then stands.
pub(crate) fn before_install(
    desired: &DesiredApp,
    job: &Job,
    now: Timestamp,
) -> Option<DesiredApp> {
    (desired.generation == job.app.generation).then(|| DesiredApp {
        generation: desired.generation.next(),
        state: DesiredState::Removed,
        since: now,
        data_due: None,
        ..desired.clone()
    })
}

impl<H: Host, L: Ledger, C: Clock> Engine<H, L, C> {
    /// Tells the operation at work on an app to go back.
    ///
    /// # Errors
    /// There is none, it has no way back, or it is at a step that must not be left.
    pub(crate) fn cancel(&self, wish: Cancel) -> Result<OperationId, UserError> {
        let Cancel { actor, app, operation } = wish;
        let entry = self.apps.get(&app).ok_or_else(|| {
            UserError::new(
                "app-not-installed",
                format!("Not found: the app {app} is not installed."),
            )
            .hint("`archy list` shows the installed apps.")
        })?;
        let named = |job: &Job| operation.is_none_or(|wanted| wanted == job.operation);
        let Some(work) = entry.work.as_ref().filter(|work| named(&work.job)) else {
            if entry.queue.iter().any(named) {
                let message = "It has not begun yet: another operation is at work before it.";
                return Err(UserError::new("cancel-waiting", message)
                    .hint(format!("`archy stop {app}` takes the place of both.")));
            }
            let message =
                format!("There is nothing to cancel: no such operation is at work on {app}.");
            return Err(UserError::new("nothing-to-cancel", message)
                .hint(format!("`archy history {app}` shows what was done.")));
        };
        if !work.job.can_be_cancelled() {
            let kind = work.job.kind.as_str();
            let message = format!("This operation ({kind}) has no way back.");
            let hint = match work.job.kind {
                OperationKind::Uninstall => format!("`archy install {app}` finds its data again."),
                _ => format!("`archy stop {app}` takes its place at once."),
            };
            return Err(UserError::new("cancel-impossible", message).hint(hint));
        }
        let superseded = *work.order.borrow() == Order::GiveWay;
        if superseded || entry.desired.generation != work.job.app.generation {
            let message =
                format!("Something newer was asked for {app} since, which takes its place.");
            return Err(UserError::new("cancel-late", message)
                .hint(format!("`archy status {app}` shows what is at work.")));
        }
        if work.held.load(Ordering::Relaxed) {
            let message = format!("It cannot be left here: {}.", work.view.text);
            return Err(UserError::new("cancel-unsafe", message)
                .hint("Data is not left half touched. Try again when this step is over."));
        }
        tracing::info!(%app, operation = %work.job.operation, "operation is cancelled");
        work.order.send_replace(Order::Cancel(actor));
        Ok(work.job.operation)
    }
}

impl<H: Host, L: Ledger, C: Clock> Worker<H, L, C> {
    /// Cancelling it still has a meaning.
    pub(crate) fn can_be_cancelled(&self) -> bool {
        self.job.can_be_cancelled() && !self.goes_back && !self.backs_out
    }

    /// Goes back to what was before the operation, since somebody cancelled it.
    pub(crate) async fn cancel(&mut self, actor: &Actor) -> Ending {
        self.backs_out = true;
        self.held.store(true, Ordering::Relaxed);
        let (name, version) = (&self.job.app.manifest.name, &self.job.app.manifest.version);
        let who = match actor {
            Actor::User(name) => name.as_str(),
            Actor::System => "Archipelago",
            Actor::Outside => "Somebody",
        };
        let what = match self.job.kind {
            OperationKind::Install => format!("the installation of {name}"),
            OperationKind::Migrate => format!("the migration of {name}"),
            _ => format!("the update of {name} to {version}"),
        };
        self.turn_back(UserError::new(CANCELLED, format!("{who} cancelled {what}."))).await
    }
}
