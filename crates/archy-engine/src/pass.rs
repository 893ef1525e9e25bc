//! The level pass: from a look at the host to states, and to repairs of drift.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use archy_plan::{Intent, Observed, Plan};
use archy_quadlet::Deployment;
use archy_types::{Actor, AppId, Cause};
use tokio::time::Instant;

use crate::operation::{Job, OperationKind};
use crate::ports::{Clock, Host, Ledger};
use crate::render::{Fingerprint, Rendered};
use crate::task::Engine;

impl<H: Host, L: Ledger, C: Clock> Engine<H, L, C> {
    /// Takes a look at the host into account.
    pub(crate) async fn pass(&mut self, observed: Box<Observed>) {
        let again = self.looked(&observed);
        self.mind_the_clock();
        let observed: Arc<Observed> = Arc::from(observed);
        self.observed = Some(observed.clone());
        self.render_all(&observed);
        self.note_endings().await;
        self.world.save_hooked().await;
        let mut ids: Vec<AppId> = self.apps.keys().cloned().collect();
        // what several apps lack is begun in the order in which they start at boot
        let levels = archy_plan::boot_levels(&self.all);
        ids.sort_by_key(|id| levels.get(id).copied().unwrap_or(u8::MAX));
        for id in &ids {
            // what was seen before an operation ended says nothing about what it left; another look
            // follows
            let Some(entry) = self.apps.get_mut(id) else { continue };
            if entry.stale_look == Some(self.looks) {
                continue;
            }
            if observed.states_unknown().is_none() || entry.failed.is_some() {
                entry.unsettled = None;
            }
            // a start that waited for its pause
            self.start_next(id);
            self.heal(id, &observed).await;
            let at_work = self.apps.get(id).is_some_and(|entry| entry.work.is_some());
            // what an operation does on its way is its own story
            if let Some(cause) = self.refresh(id).filter(|_| !at_work) {
                self.note(id, &cause).await;
            }
        }
        self.last_pass.store(self.world.clock.now().0, Ordering::Relaxed);
        self.publish();
        if again {
            self.look();
        }
    }

    /// Renders the apps whose units may have changed since the last pass.
    fn render_all(&mut self, observed: &Observed) {
        let shared = Fingerprint::shared(observed, &self.all);
        for entry in self.apps.values_mut() {
            let print = Fingerprint::of(&shared, &entry.desired, observed);
            if entry.rendered.as_ref().is_none_or(|rendered| rendered.print != print) {
                let deployment = archy_plan::render_app(&entry.desired, observed, &self.all);
                entry.rendered = Some(Rendered { print, deployment });
            }
        }
    }

    /// Plans for an app that nothing is at work on, and starts a repair if it drifted.
    async fn heal(&mut self, id: &AppId, observed: &Observed) {
        let Some(entry) = self.apps.get_mut(id) else { return };
        let nothing = Deployment::default();
        let deployment = match &entry.rendered {
            // what goes needs no units, so that it also goes when they cannot be rendered
            _ if entry.desired.is_leaving() => &nothing,
            Some(Rendered { deployment: Ok(deployment), .. }) => deployment,
            _ => return,
        };
        if entry.busy() || entry.repair_not_before.is_some_and(|at| at > Instant::now()) {
            return;
        }
        let plan: Plan = archy_plan::plan_with(
            &entry.desired,
            deployment,
            observed,
            &self.all,
            Intent::Converge,
        );
        entry.refused = plan.refusal().cloned();
        entry.notes.clone_from(&plan.checks);
        if plan.is_empty() && entry.desired.is_leaving() && plan.unknown().is_none() {
            // its removal was over before that could be noted
            return self.forget(id).await;
        }
        if plan.is_empty() || plan.refusal().is_some() {
            return;
        }
        let now = self.world.clock.now();
        let kind = OperationKind::Recover;
        match self.world.ledger.open(id, kind.as_str(), &Actor::System, now).await {
            Ok(operation) => {
                let app = entry.desired.clone();
                let actor = Actor::System;
                entry.queue.push_back(Job {
                    app,
                    operation,
                    kind,
                    actor,
                    started: now,
                    fresh: false,
                    // a repair is decided by two looks: one alone may catch the host in between
                    look: None,
                    back: None,
                });
                self.start_next(id);
            }
            Err(error) => tracing::error!(app = %id, %error, "a repair could not be journaled"),
        }
    }

    /// Notes in the history that an app's state changed.
    async fn note(&self, id: &AppId, cause: &Cause) {
        let now = self.world.clock.now();
        if let Err(error) = self.world.ledger.event(id, cause, &Actor::System, now).await {
            tracing::error!(app = %id, %error, "an event could not be noted");
        }
    }
}
