//! Containers that systemd made anew, and what programs in them said.

use archy_manifest::model::HookPoint;
use archy_plan::{DesiredApp, DesiredState, Plan, Step};
use archy_types::{OperationId, UserError};

use crate::execute::Context;
use crate::operation::OperationKind;
use crate::ports::{Clock, Host, Interest, Ledger};
use crate::worker::{Stop, Worker, World};

/// The steps of a plan after which its app's containers count as settled: ready, and the hooks of
/// their start have run.
#[derive(Debug)]
pub(crate) struct Settling {
    /// Steps that are still to come.
    left: usize,
    /// The step at work is one of them.
    at_work: bool,
    /// Names and ids of the containers that ran before the first of them.
    containers: Option<std::collections::BTreeMap<String, String>>,
}

impl Settling {
    pub(crate) fn of(plan: &Plan) -> Self {
        let left = plan.steps.iter().filter(|planned| archy_plan::settles(&planned.step)).count();
        Self { left, at_work: false, containers: None }
    }

    /// Call before a step. Looks before the first of them: a container that is made anew meanwhile
    /// has another id, and waits for the next pass.
    pub(crate) async fn before<H: Host, L: Ledger, C>(
        &mut self,
        world: &World<H, L, C>,
        app: &DesiredApp,
        step: &Step,
    ) {
        self.at_work = archy_plan::settles(step);
        if self.at_work && self.containers.is_none() {
            let observed = world.host.observe(&Interest::of([app], &[])).await;
            self.containers = archy_plan::running_containers(&app.manifest.id, &observed);
        }
    }

    /// Call after a step that was done. Remembers the containers after the last of them.
    pub(crate) async fn after<H: Host, L: Ledger, C>(
        &mut self,
        world: &World<H, L, C>,
        app: &DesiredApp,
    ) {
        if !self.at_work {
            return;
        }
        self.left = self.left.saturating_sub(1);
        let Some(containers) = self.containers.take_if(|_| self.left == 0) else { return };
        let id = &app.manifest.id;
        // what is not written is lost with the daemon, then the hooks run once more: passes try again
        if let Err(error) = world.ledger.note_hooked(id, &containers).await {
            tracing::error!(app = %id, %error, "it could not be noted that hooks have run");
            world.unsaved.lock().await.insert(id.clone());
        }
        world.hooked.lock().await.insert(id.clone(), containers);
    }
}

impl<H: Host, L: Ledger, C> World<H, L, C> {
    /// Notes again in which containers hooks have run, where that could not be written before.
    pub(crate) async fn save_hooked(&self) {
        let mut unsaved = self.unsaved.lock().await;
        for app in std::mem::take(&mut *unsaved) {
            // of an app that is gone nothing is left to note
            let Some(known) = self.hooked.lock().await.get(&app).cloned() else { continue };
            if let Err(error) = self.ledger.note_hooked(&app, &known).await {
                tracing::error!(%app, %error, "it could not be noted that hooks have run");
                unsaved.insert(app);
            }
        }
    }

    /// Notes what the programs of the step said, without the app's secrets.
    pub(crate) async fn note_said(&self, operation: OperationId, cx: &Context<'_, H>) {
        let Some(said) = cx.said.take() else { return };
        let said = self.host.strike_secrets(&cx.app.manifest, said).await;
        if let Err(error) = self.ledger.said(operation, &said).await {
            tracing::warn!(app = %cx.app.manifest.id, %error, "what a hook said is lost");
        }
    }
}

impl<H: Host, L: Ledger, C: Clock> Worker<H, L, C> {
    /// Notes before a first install that steps which may run only once are still to be run.
    ///
    /// # Errors
    /// It cannot be noted.
    pub(crate) async fn note_owed(&self) -> Result<(), UserError> {
        let manifest = &self.job.app.manifest;
        let steps = manifest.hooks.get(&HookPoint::PostInstall).into_iter().flatten();
        if !self.job.brings_new() || steps.into_iter().all(|step| step.idempotent) {
            return Ok(());
        }
        let mut known = self.world.hooked.lock().await;
        if !known.contains_key(&manifest.id) {
            let owed = archy_plan::owing();
            self.world.ledger.note_hooked(&manifest.id, &owed).await?;
            known.insert(manifest.id.clone(), owed);
        }
        Ok(())
    }

    /// A hook before a stop holds only a change back that can wait: no app that is to stop or to go,
    /// that is restarted or repaired since something is wrong with it, or that goes back to what was
    /// before a change.
    pub(crate) fn passes_over(&self, app: &DesiredApp, step: &Step) -> bool {
        let changes = matches!(
            self.job.kind,
            OperationKind::Install
                | OperationKind::Update
                | OperationKind::Configure
                | OperationKind::Migrate
        );
        matches!(step, Step::RunHook { point: HookPoint::PreStop })
            && (!changes || self.goes_back || app.state != DesiredState::Running)
    }
}

/// What a step came to whose failure holds nothing back; it is said all the same.
pub(crate) fn pass_over<H>(cx: &Context<'_, H>, done: Result<(), Stop>) -> Result<(), Stop> {
    match done {
        Err(Stop::Failed(error)) => {
            tracing::warn!(app = %cx.app.manifest.id, %error, "a hook failed; it is stopped all the same");
            cx.said.add("It failed and was passed over", &error.message);
            Ok(())
        }
        other => other,
    }
}
