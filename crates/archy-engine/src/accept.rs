//! Taking requests: decide, check the plan of what could be refused, journal, queue.

use std::sync::Arc;

use archy_plan::{Check, DesiredApp, Plan};
use archy_types::{AppId, UserError};

use crate::event::{Checked, Event};
use crate::handle::{Accepted, Request, RequestKind};
use crate::operation::{Job, OperationKind};
use crate::ports::{Clock, Ending, Host, Interest, Ledger};
use crate::request::{Current, Decision, decide, target};
use crate::task::{Engine, Entry, Reply};

impl<H: Host, L: Ledger, C: Clock> Engine<H, L, C> {
    pub(crate) async fn submit(&mut self, request: Request, reply: Reply<Accepted>) {
        match self.decide(&request) {
            Err(error) => answer(reply, Err(error)),
            Ok(Decision::AlreadySo) => answer(reply, Ok(Accepted::AlreadySo)),
            Ok(Decision::Do(app, kind)) if needs_check(kind) => {
                self.check(*app, kind, request, reply);
            }
            Ok(Decision::Do(app, kind)) => {
                let accepted = self.accept(*app, kind, &request).await;
                answer(reply, accepted);
            }
        }
    }

    /// Plans for a request without doing anything.
    pub(crate) fn answer_plan(&self, request: Request, reply: Reply<Plan>) {
        let (app, kind) = match self.decide(&request) {
            Ok(Decision::Do(app, kind)) => (*app, kind),
            Ok(Decision::AlreadySo) => match self.apps.get(target(&request.kind)) {
                Some(entry) => (entry.desired.clone(), OperationKind::Recover),
                None => return answer(reply, Err(already_so())),
            },
            Err(error) => return answer(reply, Err(error)),
        };
        let (host, all) = (self.world.host.clone(), self.others_and(&app));
        let (fresh, downgrade) = (!self.apps.contains_key(&app.manifest.id), self.downgrade(&app));
        tokio::spawn(async move {
            let observed = host.observe(&Interest::of([&app], &all)).await;
            let mut plan = archy_plan::plan(&app, &observed, &all, kind.intent(fresh));
            plan.checks.splice(0..0, downgrade);
            answer(reply, Ok(plan));
        });
    }

    fn check(
        &self,
        app: DesiredApp,
        kind: OperationKind,
        request: Request,
        reply: Reply<Accepted>,
    ) {
        let (host, all) = (self.world.host.clone(), self.others_and(&app));
        let (fresh, downgrade) = (!self.apps.contains_key(&app.manifest.id), self.downgrade(&app));
        let events = self.events.clone();
        tokio::spawn(async move {
            let observed = host.observe(&Interest::of([&app], &all)).await;
            let mut plan = archy_plan::plan(&app, &observed, &all, kind.intent(fresh));
            plan.checks.splice(0..0, downgrade);
            let checked = Checked { request, plan, reply };
            // the engine is gone: the reply's sender is dropped and says so
            drop(events.send(Event::Checked(Box::new(checked))).await);
        });
    }

    /// The refusal of an older version in the place of the installed one.
    fn downgrade(&self, app: &DesiredApp) -> Option<Check> {
        let before = self.apps.get(&app.manifest.id).filter(|entry| !entry.desired.is_leaving())?;
        archy_plan::check_downgrade(&before.desired.manifest, &app.manifest)
    }

    /// All apps with `app` in its new form.
    fn others_and(&self, app: &DesiredApp) -> Arc<Vec<DesiredApp>> {
        let others = self.all.iter().filter(|other| other.manifest.id != app.manifest.id);
        Arc::new(others.cloned().chain([app.clone()]).collect())
    }

    pub(crate) async fn accept_checked(&mut self, checked: Checked) {
        let Checked { request, plan, reply } = checked;
        if let Some(check) = plan.refusal() {
            return answer(reply, Err(check.into()));
        }
        // the world moved on while the plan was made: decide again
        let result = match self.decide(&request) {
            Err(error) => Err(error),
            Ok(Decision::AlreadySo) => Ok(Accepted::AlreadySo),
            Ok(Decision::Do(app, kind)) => self.accept(*app, kind, &request).await,
        };
        answer(reply, result);
    }

    fn decide(&self, request: &Request) -> Result<Decision, UserError> {
        let current = self.apps.get(target(&request.kind)).map(|entry| Current {
            desired: &entry.desired,
            state: entry
                .report
                .as_ref()
                .map_or(archy_types::AppState::Unknown, |report| report.state),
            busy: entry.busy(),
        });
        decide(current, &request.kind, &request.actor, self.world.clock.now())
    }

    async fn accept(
        &mut self,
        app: DesiredApp,
        kind: OperationKind,
        request: &Request,
    ) -> Result<Accepted, UserError> {
        let now = self.world.clock.now();
        let text = match &request.kind {
            RequestKind::Install { text, .. } => Some(&**text),
            _ => None,
        };
        let operation = self.world.ledger.accept(&app, text, kind.as_str(), now).await?;
        let id = app.manifest.id.clone();
        let fresh = !self.apps.contains_key(&id);
        if kind.supersedes() {
            self.supersede(&id).await?;
        }
        let entry = self.apps.entry(id.clone()).or_insert_with(|| Entry::new(app.clone()));
        entry.desired = app.clone();
        entry.rendered = None;
        let actor = request.actor.clone();
        entry.queue.push_back(Job { app, operation, kind, actor, started: now, fresh });
        self.apps_changed();
        self.start_next(&id);
        self.refresh(&id);
        self.publish();
        Ok(Accepted::Operation(operation))
    }

    /// Ends the operations that a newer wish takes the place of: the one at work at its next safe
    /// point, the waiting ones at once.
    async fn supersede(&mut self, id: &AppId) -> Result<(), UserError> {
        let Some(entry) = self.apps.get_mut(id) else { return Ok(()) };
        if let Some(work) = &entry.work {
            // the worker has just ended: nothing to supersede
            _ = work.superseded.send(true);
        }
        for waiting in std::mem::take(&mut entry.queue) {
            let now = self.world.clock.now();
            self.world.ledger.finish(waiting.operation, &Ending::Superseded, now).await?;
        }
        Ok(())
    }
}

/// Installs and settings can be refused by the host's state; a stop or an uninstall never is.
const fn needs_check(kind: OperationKind) -> bool {
    matches!(kind, OperationKind::Install | OperationKind::Configure)
}

fn already_so() -> UserError {
    UserError::new("nothing-to-do", "There is nothing to do.")
}

fn answer<T>(reply: Reply<T>, result: Result<T, UserError>) {
    // the asker went away: nobody is left to tell
    drop(reply.send(result));
}
