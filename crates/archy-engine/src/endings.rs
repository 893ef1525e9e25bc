//! The ends of operations: noted in the journal, again and again if it cannot be written, and never
//! before what an operation left undone is itself in the journal.

use archy_plan::DesiredState;
use archy_types::{Actor, AppId, OperationId, UserError};

use crate::operation::{Job, OperationKind};
use crate::ports::{Clock, Ending, Host, Ledger};
use crate::task::{Engine, Entry};

/// An end that the journal does not hold yet.
#[derive(Debug)]
pub(crate) struct Unnoted {
    pub(crate) app: AppId,
    pub(crate) operation: OperationId,
    pub(crate) ending: Ending,
    /// The operation stopped units to start them again, and did not come to that.
    pub(crate) owes_start: bool,
    /// It failed, and that it goes back could not be journaled: it is not over then.
    pub(crate) return_owed: Option<Box<ReturnOwed>>,
}

/// An operation that is still to go back to what was before it.
#[derive(Debug)]
pub(crate) struct ReturnOwed {
    pub(crate) job: Job,
    pub(crate) failure: Failure,
}

/// What an update or a migration failed with.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) told: UserError,
    /// The new version may have run on the data.
    pub(crate) ran: bool,
}

impl Unnoted {
    /// One of an operation that gave way to a newer wish.
    pub(crate) const fn superseded(app: AppId, operation: OperationId) -> Self {
        let ending = Ending::Superseded;
        Self { app, operation, ending, owes_start: false, return_owed: None }
    }
}

impl<H: Host, L: Ledger, C: Clock> Engine<H, L, C> {
    /// Notes the ends that are not noted yet.
    pub(crate) async fn note_endings(&mut self) {
        for mut end in std::mem::take(&mut self.unnoted) {
            if let Some(owed) = &end.return_owed
                && self.still_returns(owed)
            {
                if !self.begin_return(owed).await {
                    self.unnoted.push(end);
                }
                continue;
            }
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

    /// Nothing was asked for since that changes more than whether the app runs.
    fn still_returns(&self, owed: &ReturnOwed) -> bool {
        let asked = &owed.job.app;
        self.apps.get(&asked.manifest.id).is_some_and(|entry| {
            let desired = &entry.desired;
            !desired.is_leaving()
                && desired.digest == asked.digest
                && desired.settings == asked.settings
                && desired.adopted == asked.adopted
                && (owed.job.kind == OperationKind::Migrate
                    || owed.job.brings_new() && desired.generation == asked.generation
                    || entry.previous.as_ref().map(|p| p.replaced_by) == Some(asked.generation))
        })
    }

    /// Journals that an operation goes back, and takes it up again. False when that has to wait.
    async fn begin_return(&mut self, owed: &ReturnOwed) -> bool {
        let id = &owed.job.app.manifest.id;
        if self.apps.get(id).is_none_or(Entry::busy) {
            return false;
        }
        let Some(back) = self.back(id, &owed.job, &owed.failure).await else { return false };
        if let Some(entry) = self.apps.get_mut(id) {
            let back_to = Some(owed.failure.told.clone());
            let job =
                Job { app: back.app, back: back_to, fresh: false, look: None, ..owed.job.clone() };
            entry.queue.push_back(job);
        }
        true
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
            self.unnoted.push(Unnoted::superseded(id.clone(), job.operation));
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
        self.world.hooked.lock().await.remove(id);
        self.apps_changed();
    }
}
