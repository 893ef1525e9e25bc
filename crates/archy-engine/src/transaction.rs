//! An update is one transaction: what is asked before it, and the way back when it fails.

use std::sync::atomic::AtomicU32;

use archy_plan::{Check, DataDue, DesiredApp, Observed, Plan, Step};
use archy_types::{AppId, Timestamp, UserError};
use tokio::sync::oneshot;

use crate::cancel;
use crate::endings::Failure;
use crate::event::{Back, Event, TurnBack};
use crate::handle::RequestKind;
use crate::operation::{Job, OperationKind, Order};
use crate::ports::{Clock, Ending, Host, Interest, Ledger, Previous};
use crate::task::Engine;
use crate::worker::{Stop, Worker};

impl<H: Host, L: Ledger, C: Clock> Engine<H, L, C> {
    /// What a change of the manifest means, before the plan's own checks: an older version in the
    /// place of a newer one, and wider rights.
    pub(crate) fn before_update(
        &self,
        app: &DesiredApp,
        kind: OperationKind,
        request: &RequestKind,
    ) -> Vec<Check> {
        let before = self.apps.get(&app.manifest.id).map(|entry| &entry.desired);
        let Some(before) = before.filter(|before| !before.is_leaving()) else { return Vec::new() };
        // the way back to what was there brings its own data, unless the owner does without
        let own_data = kind == OperationKind::Rollback
            && !matches!(request, RequestKind::Rollback { keep_data: true, .. });
        let downgrade = archy_plan::check_downgrade(&before.manifest, &app.manifest);
        let mut checks: Vec<Check> = downgrade.filter(|_| !own_data).into_iter().collect();
        if kind == OperationKind::Update {
            checks.extend(archy_plan::rights_diff(&before.manifest, &app.manifest));
        }
        checks
    }

    /// Puts the desired state of before an update in place of the update's, for a worker whose
    /// update failed. What was asked for meanwhile (a stop, a removal) stands.
    pub(crate) async fn turn_back(&mut self, turn: TurnBack) {
        let work = self.apps.get(&turn.app).and_then(|entry| entry.work.as_ref());
        let back = match work.map(|work| work.job.clone()) {
            Some(job) => self.back(&turn.app, &job, &turn.failure).await,
            None => None,
        };
        // the worker is gone: the engine is going down
        drop(turn.reply.send(back));
    }

    /// As [`Engine::turn_back`], for a job at work or one that ended. Nothing when the journal cannot
    /// be written, or nothing is kept of what was before.
    pub(crate) async fn back(&mut self, id: &AppId, job: &Job, failure: &Failure) -> Option<Back> {
        let (now, operation) = (self.world.clock.now(), job.operation);
        let entry = self.apps.get_mut(id)?;
        let app = if job.kind == OperationKind::Migrate {
            crate::adopt::before_migration(&entry.desired, now)
        } else if job.brings_new() {
            cancel::before_install(&entry.desired, job, now)?
        } else {
            let previous = entry.previous.as_ref()?;
            let (desired, generation) = (&entry.desired, entry.desired.generation.next());
            let snapshot = previous.replaced_by;
            // an install over a stopped app wished that it runs: that falls with it, unlike what was
            // asked for since
            let asked_since = desired.generation != job.app.generation;
            DesiredApp {
                generation,
                state: if asked_since { desired.state } else { previous.app.state },
                actor: desired.actor.clone(),
                since: now,
                data_due: failure.ran.then_some(DataDue::Restore { snapshot, wish: generation }),
                adopted: desired.adopted.clone(),
                ..previous.app.clone()
            }
        };
        if let Err(error) = self.world.ledger.turn_back(operation, &app, &failure.told).await {
            tracing::error!(app = %id, %operation, %error,
                "an update could not be turned back");
            return None;
        }
        entry.previous = None;
        entry.desired = app.clone();
        entry.rendered = None;
        if let Some(work) = &mut entry.work {
            work.job.app = app.clone();
        }
        for Job { app: waiting, .. } in &mut entry.queue {
            *waiting = DesiredApp { state: waiting.state, ..app.clone() };
        }
        self.apps_changed();
        self.refresh(id);
        self.publish();
        Some(Back { app, all: self.all.clone() })
    }

    /// Snapshots of an app are gone: so is the way back, if its time is over.
    pub(crate) async fn pruned(&mut self, id: &AppId) {
        let keep = i64::try_from(self.tuning.keep_previous.as_millis()).unwrap_or(i64::MAX);
        let now = self.world.clock.now();
        let Some(entry) = self.apps.get_mut(id) else { return };
        let over = |previous: &Previous| previous.replaced.plus_millis(keep) <= now;
        if entry.previous.as_ref().is_some_and(over) {
            match self.world.ledger.forget_previous(id).await {
                Ok(()) => entry.previous = None,
                Err(error) => {
                    tracing::error!(app = %id, %error, "a former state could not be forgotten");
                }
            }
        }
    }
}

impl<H: Host, L: Ledger, C: Clock> Worker<H, L, C> {
    /// An update failed: the desired state of before it is put back, in the ledger first, and then
    /// brought about.
    pub(crate) async fn turn_back(&mut self, error: UserError) -> Ending {
        let app = self.job.app.clone();
        let (name, version) = (&app.manifest.name, &app.manifest.version);
        let message = match self.job.kind {
            _ if cancel::is(&error) => error.message,
            OperationKind::Migrate => format!("The migration of {name} failed: {}", error.message),
            _ => format!("The update of {name} to {version} failed: {}", error.message),
        };
        let told = UserError { message, ..error };
        let observed = self.world.host.observe(&Interest::of([&app], &self.all)).await;
        let ran = match app.data_due {
            Some(DataDue::Snapshot { generation }) if self.job.kind != OperationKind::Migrate => {
                archy_plan::may_have_run(&app.manifest.id, generation, &observed)
            }
            _ => false,
        };
        let (reply, answer) = oneshot::channel();
        let failure = Failure { told: told.clone(), ran };
        let turn = TurnBack { app: app.manifest.id.clone(), failure: failure.clone(), reply };
        let sent = self.events.send(Event::TurnBack(Box::new(turn))).await;
        let Some(Back { app, all }) = (match sent {
            Ok(()) => answer.await.ok().flatten(),
            Err(_) => None,
        }) else {
            self.return_owed = Some(failure);
            return Ending::Failed(told);
        };
        self.job.app = app;
        self.all = all;
        if *self.order.borrow() == Order::GiveWay {
            // the newer wish goes on from there
            return Ending::Superseded;
        }
        self.return_to_before(told).await
    }

    /// Brings about what was before an update, and says so.
    pub(crate) async fn return_to_before(&mut self, told: UserError) -> Ending {
        self.goes_back = true;
        self.job.look = None;
        let app = self.job.app.clone();
        let version = &app.manifest.version;
        match self.converge(&app, &AtomicU32::new(0)).await {
            Ok(()) => {
                let data = match self.data_of {
                    Some(taken) => format!("with the data of {taken}"),
                    None => "and its data was not touched".to_owned(),
                };
                let message = match self.job.kind {
                    OperationKind::Migrate => {
                        format!("{} It runs again as it was adopted.", told.message)
                    }
                    OperationKind::Install => {
                        format!("{} What was installed is removed again.", told.message)
                    }
                    _ => format!("{} It is back at {version}, {data}.", told.message),
                };
                Ending::RolledBack(UserError { message, ..told })
            }
            Err(Stop::Superseded | Stop::Cancelled(_)) => Ending::Superseded,
            Err(Stop::Failed(second)) => {
                let second = second.message;
                let message =
                    format!("{} The return to {version} failed too: {second}", told.message);
                Ending::Failed(UserError { message, ..told })
            }
        }
    }
}

/// When the data was saved that the desired state goes back to.
pub(crate) fn data_of(app: &DesiredApp, observed: &Observed) -> Option<Timestamp> {
    let DataDue::Restore { snapshot, .. } = app.data_due? else { return None };
    let snapshots = observed.snapshots.get()?.get(&app.manifest.id)?;
    Some(snapshots.get(&snapshot)?.taken)
}

/// The refusal of a rollback for which an image would have to arrive first: were it not to come, the
/// data would be put back at some later time, when nobody expects it.
pub(crate) fn image_missing(request: &RequestKind, plan: &Plan) -> Option<UserError> {
    let RequestKind::Rollback { app, .. } = request else { return None };
    let reference = plan.steps.iter().find_map(|planned| match &planned.step {
        Step::PullImage { reference, .. } => Some(reference),
        _ => None,
    })?;
    let message =
        format!("The image {reference} of the version before is not on this node any more.");
    Some(UserError::new("image-missing", message).hint(format!(
        "`podman pull {reference}` as the service user, then `archy rollback {app}` again."
    )))
}

/// The refusal of an update to a manifest that may do more, without the owner's consent to it.
pub(crate) fn consent_needed(request: &RequestKind, plan: &Plan) -> Option<UserError> {
    let RequestKind::Update { to, consent } = request else { return None };
    if *consent == Some(to.digest) {
        return None;
    }
    let wider = plan.checks.iter().filter(|check| check.code.as_str() == "rights-widened");
    let wider: Vec<&str> = wider.map(|check| check.message.as_str()).collect();
    if wider.is_empty() {
        return None;
    }
    let message = format!(
        "{} {} now wants more than the installed version: {}",
        to.manifest.name,
        to.manifest.version,
        wider.join(" ")
    );
    Some(UserError::new("consent-needed", message).hint(format!(
        "Consent to it with the manifest's digest {}, or stay with the installed version.",
        to.digest
    )))
}
