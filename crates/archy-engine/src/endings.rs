//! The ends of operations: noted in the journal, again and again if it cannot be written, and never
//! before what an operation left undone is itself in the journal.

use archy_plan::DesiredState;
use archy_types::{Actor, AppId, OperationId};

use crate::operation::{Job, OperationKind};
use crate::ports::{Clock, Ending, Host, Ledger};
use crate::task::Engine;

/// An end that the journal does not hold yet.
#[derive(Debug)]
pub(crate) struct Unnoted {
    pub(crate) app: AppId,
    pub(crate) operation: OperationId,
    pub(crate) ending: Ending,
    /// The operation stopped units to start them again, and did not come to that.
    pub(crate) owes_start: bool,
}

impl<H: Host, L: Ledger, C: Clock> Engine<H, L, C> {
    /// Notes the ends that are not noted yet.
    pub(crate) async fn note_endings(&mut self) {
        for mut end in std::mem::take(&mut self.unnoted) {
            if end.owes_start && !self.open_start(&end.app).await {
                self.unnoted.push(end);
                continue;
            }
            // it is in the journal: the next attempt is about the end alone
            end.owes_start = false;
            let now = self.world.clock.now();
            if let Err(error) = self.world.ledger.finish(end.operation, &end.ending, now).await {
                tracing::error!(app = %end.app, operation = %end.operation, %error,
                    "the end of an operation could not be noted");
                self.unnoted.push(end);
            }
        }
    }

    /// Journals a start for what an operation stopped, unless a newer wish is there. To the next
    /// look the stopped units are like units that the owner stopped past the engine, so that no
    /// repair would start them. False when the journal cannot be written.
    async fn open_start(&mut self, id: &AppId) -> bool {
        let Some(entry) = self.apps.get_mut(id) else { return true };
        if entry.busy() || entry.desired.state != DesiredState::Running {
            return true;
        }
        let (kind, actor, now) = (OperationKind::Start, Actor::System, self.world.clock.now());
        match self.world.ledger.open(id, kind.as_str(), &actor, now).await {
            Ok(operation) => {
                let app = entry.desired.clone();
                let (started, fresh, look, back) = (now, false, None, None);
                let job = Job { app, operation, kind, actor, started, fresh, look, back };
                entry.queue.push_back(job);
                true
            }
            Err(error) => {
                tracing::error!(app = %id, %error, "a start could not be journaled");
                false
            }
        }
    }

    /// Gives up the place of operations that wait, for a newer wish.
    pub(crate) async fn drop_waiting(&mut self, id: &AppId, which: impl Fn(&Job) -> bool) {
        let Some(entry) = self.apps.get_mut(id) else { return };
        let waiting = std::mem::take(&mut entry.queue);
        let (dropped, kept): (Vec<Job>, Vec<Job>) = waiting.into_iter().partition(which);
        entry.queue = kept.into();
        for job in dropped {
            let (app, operation) = (id.clone(), job.operation);
            let ending = Ending::Superseded;
            self.unnoted.push(Unnoted { app, operation, ending, owes_start: false });
        }
        self.note_endings().await;
    }

    /// Forgets an app of which nothing is left; a pass tries again what fails.
    pub(crate) async fn forget(&mut self, id: &AppId) {
        if let Err(error) = self.world.ledger.forget(id).await {
            tracing::error!(app = %id, %error, "a removed app could not be forgotten");
            return;
        }
        self.apps.remove(id);
        self.apps_changed();
    }
}
