//! Taking requests: decide, check the plan of what could be refused, journal, queue.

use std::sync::Arc;

use archy_manifest::Manifest;
use archy_manifest::model::ImageSource;
use archy_plan::{DesiredApp, Observed, Plan};
use archy_types::{Actor, AppId, UserError};

use crate::adopt;
use crate::event::{Checked, Event};
use crate::handle::{Accepted, Request, RequestKind};
use crate::operation::{Job, OperationKind, Order};
use crate::ports::{Clock, Host, Interest, Ledger, Previous};
use crate::request::{Current, Decision, Wish, decide, target};
use crate::task::{Engine, Entry, Reply};
use crate::transaction::{consent_needed, image_missing};
use crate::worker::World;

impl<H: Host, L: Ledger, C: Clock> Engine<H, L, C> {
    pub(crate) async fn submit(&mut self, request: Request, reply: Reply<Accepted>) {
        match self.decide(&request) {
            Err(error) => answer(reply, Err(error)),
            Ok(Decision::AlreadySo) => answer(reply, Ok(Accepted::AlreadySo)),
            Ok(Decision::Do(app, kind)) if needs_check(kind) => {
                self.check(*app, kind, request, reply);
            }
            Ok(Decision::Do(app, kind)) => {
                // a stop depends on no file: it begins at once
                let look = self.current_look().filter(|_| kind == OperationKind::Stop);
                let accepted = self.accept(*app, kind, &request, look).await;
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
        let (world, all) = (self.world.clone(), self.others_and(&app));
        let fresh = !self.apps.contains_key(&app.manifest.id);
        let before = self.before_update(&app, kind, &request.kind);
        let interest = self.interest(&app, &all, kind);
        tokio::spawn(async move {
            let observed = world.look_at(&app, interest).await;
            let app = match adopt::settle(app, kind, &observed) {
                Ok(app) => app,
                Err(error) => return answer(reply, Err(error)),
            };
            let mut plan = archy_plan::plan(&app, &observed, &all, kind.intent(fresh));
            plan.checks.splice(0..0, before);
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
        let (world, all) = (self.world.clone(), self.others_and(&app));
        let fresh = !self.apps.contains_key(&app.manifest.id);
        let before = self.before_update(&app, kind, &request.kind);
        let (events, interest) = (self.events.clone(), self.interest(&app, &all, kind));
        tokio::spawn(async move {
            let observed = world.look_at(&app, interest).await;
            let app = match adopt::settle(app, kind, &observed) {
                Ok(app) => app,
                Err(error) => return answer(reply, Err(error)),
            };
            let mut plan = archy_plan::plan(&app, &observed, &all, kind.intent(fresh));
            plan.checks.splice(0..0, before);
            let checked = Checked { request, plan, observed: Arc::new(observed), reply };
            // the engine is gone: the reply's sender is dropped and says so
            drop(events.send(Event::Checked(Box::new(checked))).await);
        });
    }

    /// What a plan has to know of the host; before an update also how large things are.
    fn interest(&self, app: &DesiredApp, all: &[DesiredApp], kind: OperationKind) -> Interest {
        let id = &app.manifest.id;
        let interest = adopt::interest(Interest::of([app], all), app, kind);
        if kind != OperationKind::Update {
            return interest;
        }
        let before = self.apps.get(id).map(|entry| &entry.desired.manifest);
        let mut interest = interest.measure(id);
        interest.images.extend(before.into_iter().flat_map(|manifest| images(manifest)));
        interest
    }

    /// All apps with `app` in its new form.
    fn others_and(&self, app: &DesiredApp) -> Arc<Vec<DesiredApp>> {
        let others = self.all.iter().filter(|other| other.manifest.id != app.manifest.id);
        Arc::new(others.cloned().chain([app.clone()]).collect())
    }

    pub(crate) async fn accept_checked(&mut self, checked: Checked) {
        let Checked { request, plan, observed, reply } = checked;
        if let Some(check) = plan.refusal() {
            return answer(reply, Err(check.into()));
        }
        let missing = consent_needed(&request.kind, &plan);
        let missing = missing.or_else(|| adopt::consent_needed(&request.kind, &plan));
        if let Some(missing) = missing.or_else(|| image_missing(&request.kind, &plan)) {
            return answer(reply, Err(missing));
        }
        // the world moved on while the plan was made: decide again
        let result = match self.decide(&request) {
            Err(error) => Err(error),
            Ok(Decision::AlreadySo) => Ok(Accepted::AlreadySo),
            Ok(Decision::Do(app, kind)) => match adopt::settle(*app, kind, &observed) {
                Ok(app) => self.accept(app, kind, &request, Some(observed)).await,
                Err(error) => Err(error),
            },
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
            transaction: entry.in_transaction(),
            previous: entry.previous.as_ref(),
        });
        let wish = Wish { kind: &request.kind, actor: &request.actor, now: self.world.clock.now() };
        decide(current, &wish, self.tuning.keep_previous)
    }

    async fn accept(
        &mut self,
        app: DesiredApp,
        kind: OperationKind,
        request: &Request,
        look: Option<Arc<Observed>>,
    ) -> Result<Accepted, UserError> {
        let now = self.world.clock.now();
        let text = match &request.kind {
            RequestKind::Install { text, .. } => Some(&**text),
            RequestKind::Update { to, .. } | RequestKind::Adopt { to } => Some(&*to.text),
            RequestKind::PurgeLeft { left, .. } => Some(&*left.text),
            _ => None,
        };
        let operation = self.world.ledger.accept(&app, text, kind.as_str(), now).await?;
        let id = app.manifest.id.clone();
        // what was adopted is not undone by taking it away, nor is a removal
        let undone = !matches!(kind, OperationKind::Adopt | OperationKind::Uninstall);
        let fresh = !self.apps.contains_key(&id) && undone;
        self.supersede(&id, kind).await;
        let entry = self.apps.entry(id.clone()).or_insert_with(|| Entry::new(app.clone()));
        match kind {
            OperationKind::Update => {
                let (replaced_by, before) = (app.generation, entry.desired.clone());
                entry.previous = Some(Previous { app: before, replaced_by, replaced: now });
            }
            OperationKind::Rollback => entry.previous = None,
            _ => {}
        }
        entry.desired = app.clone();
        entry.rendered = None;
        let actor = request.actor.clone();
        // what waits for another operation looks again
        let look = look.filter(|_| !entry.busy());
        let (started, back) = (now, None);
        entry.queue.push_back(Job { app, operation, kind, actor, started, fresh, look, back });
        self.apps_changed();
        self.start_next(&id);
        self.refresh(&id);
        self.publish();
        Ok(Accepted::Operation(operation))
    }

    /// Ends the operations that a newer wish takes the place of: the one at work at its next safe
    /// point, the waiting ones at once. What the engine itself has waiting gives way to every wish.
    async fn supersede(&mut self, id: &AppId, kind: OperationKind) {
        let Some(entry) = self.apps.get_mut(id) else { return };
        if let Some(work) = entry.work.as_ref().filter(|_| kind.supersedes()) {
            // the worker has just ended: nothing to supersede
            _ = work.order.send(Order::GiveWay);
        }
        let gives_way = move |job: &Job| kind.supersedes() || job.actor == Actor::System;
        self.drop_waiting(id, gives_way).await;
    }
}

/// Installs, updates and settings can be refused by the host's state; a stop or an uninstall never
/// is.
const fn needs_check(kind: OperationKind) -> bool {
    matches!(
        kind,
        OperationKind::Install
            | OperationKind::Update
            | OperationKind::Rollback
            | OperationKind::Configure
            | OperationKind::Adopt
            | OperationKind::Migrate
            | OperationKind::MigrateBack
    )
}

/// Images that an app's services are pulled as.
fn images(manifest: &Manifest) -> impl Iterator<Item = String> {
    manifest.services.values().filter_map(|service| match &service.source {
        ImageSource::Image(reference) => Some(reference.clone()),
        _ => None,
    })
}

impl<H: Host, L: Ledger, C> World<H, L, C> {
    /// A look for a request, with what the journal tells of the app.
    async fn look_at(&self, app: &DesiredApp, interest: Interest) -> Observed {
        let measured = !interest.measured.is_empty();
        let mut observed = self.observe(interest, std::slice::from_ref(app)).await;
        if measured {
            let id = &app.manifest.id;
            match self.ledger.away_secs(id).await {
                Ok(secs) => observed.away_secs.extend(secs.map(|secs| (id.clone(), secs))),
                Err(error) => tracing::warn!(app = %id, %error, "earlier downtimes are not known"),
            }
        }
        observed
    }
}

fn already_so() -> UserError {
    UserError::new("nothing-to-do", "There is nothing to do.")
}

fn answer<T>(reply: Reply<T>, result: Result<T, UserError>) {
    // the asker went away: nobody is left to tell
    drop(reply.send(result));
}
