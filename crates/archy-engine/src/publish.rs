//! Views of apps and the snapshot that everybody sees.

use std::sync::Arc;

use archy_manifest::model::PortAuth;
use archy_plan::{Assessment, DesiredApp, DesiredState};
use archy_types::{
    AppId, AppState, Cause, Health, NextStep, Repair, StatusReport, Timestamp, UserError,
};

use crate::operation::OperationKind;
use crate::ports::{Clock, Host, Ledger};
use crate::render::Rendered;
use crate::status::{AdoptedView, AppView, OperationView, PortView, ServiceView, Snapshot};
use crate::task::{Engine, Entry, Work};

impl<H: Host, L: Ledger, C: Clock> Engine<H, L, C> {
    /// Makes an app's view anew. Gives the cause when its state changed for good.
    pub(crate) fn refresh(&mut self, id: &AppId) -> Option<Cause> {
        let now = self.world.clock.now();
        let observed = self.observed.clone();
        let entry = self.apps.get_mut(id)?;
        let assessment = match (&observed, &entry.rendered) {
            (Some(observed), Some(Rendered { deployment: Ok(deployment), .. })) => {
                let before = entry.report.as_ref();
                let all = &self.all;
                Some(archy_plan::assess_among(
                    &entry.desired,
                    deployment,
                    observed,
                    all,
                    before,
                    now,
                ))
            }
            _ => None,
        };
        let assessment = assessment.unwrap_or_else(|| unseen(entry, now));
        let changed = settle(entry, &assessment.report);
        let report = with_next(entry, overlay(entry, &assessment.report), now);
        let view = AppView {
            manifest: entry.desired.manifest.clone(),
            digest: entry.desired.digest,
            generation: entry.desired.generation,
            desired: entry.desired.state,
            actor: entry.desired.actor.clone(),
            report,
            health: assessment.health,
            services: assessment.services.into_iter().map(ServiceView::from).collect(),
            ports: ports(&entry.desired),
            operation: entry
                .work
                .as_ref()
                .map(|work| work.view.clone())
                .or_else(|| entry.failed.clone()),
            notes: entry.notes.clone(),
            adopted: entry.desired.adopted.as_ref().map(AdoptedView::from),
        };
        if entry.view.as_deref() != Some(&view) {
            entry.view = Some(Arc::new(view));
        }
        changed
    }

    /// Publishes a new snapshot if anything in it changed.
    pub(crate) fn publish(&self) {
        let apps = self
            .apps
            .iter()
            .filter_map(|(id, entry)| Some((id.clone(), entry.view.clone()?)))
            .collect();
        let before = self.snapshot.borrow().clone();
        let mut next = Snapshot { seq: before.seq + 1, apps, ..(*before).clone() };
        if let Some(observed) = &self.observed {
            next.stale_because = observed.states_unknown().cloned();
            if next.stale_because.is_none() {
                next.observed_at = observed.at;
            }
        }
        let same_apps = before.apps.len() == next.apps.len()
            && before
                .apps
                .iter()
                .zip(&next.apps)
                .all(|((a, x), (b, y))| a == b && Arc::ptr_eq(x, y));
        if same_apps
            && before.stale_because == next.stale_because
            && before.observed_at == next.observed_at
        {
            return;
        }
        self.snapshot.send_replace(Arc::new(next));
    }
}

/// Keeps the settled report, and says whether state or cause changed.
fn settle(entry: &mut Entry, report: &StatusReport) -> Option<Cause> {
    let same = entry
        .report
        .as_ref()
        .is_some_and(|old| old.state == report.state && old.cause.code == report.cause.code);
    let first = entry.report.is_none();
    entry.report = Some(report.clone());
    (!same && !first && !report.state.is_transient()).then(|| report.cause.clone())
}

/// An app that was never seen, or whose units cannot be rendered.
fn unseen(entry: &Entry, now: Timestamp) -> Assessment {
    let cause = match &entry.rendered {
        Some(Rendered { deployment: Err(UserError { code, message, .. }), .. }) => {
            Cause { code: code.clone(), text: message.clone() }
        }
        _ => Cause::new("not-seen-yet", "The host was not looked at yet."),
    };
    let fresh = StatusReport {
        state: AppState::Unknown,
        cause,
        since: now,
        actor: entry.desired.actor.clone(),
        next: Some(NextStep { text: "The host is looked at.".to_owned(), at: None }),
        repair: None,
        deadline: None,
    };
    let report = match &entry.report {
        Some(old) if old.cause.code == fresh.cause.code => old.clone(),
        _ => fresh,
    };
    Assessment { report, health: Health::Unknown, services: Vec::new() }
}

/// What an operation at work, or one that failed, adds to the state that was seen.
fn overlay(entry: &Entry, seen: &StatusReport) -> StatusReport {
    if let Some(work) = &entry.work {
        return at_work(work, seen);
    }
    if let Some(report) = &entry.unsettled {
        return unsettled(report);
    }
    if let Some(refused) = refusal(entry, seen) {
        return refused;
    }
    let Some(failed) = &entry.failed else { return seen.clone() };
    let Some(error) = &failed.error else { return seen.clone() };
    if let Some(report) = taken_back(failed, error, seen) {
        return report;
    }
    if seen.state == AppState::Running && failed.kind != OperationKind::Uninstall.as_str() {
        return seen.clone();
    }
    StatusReport {
        state: if seen.state == AppState::Stopped { AppState::Stopped } else { AppState::Failed },
        cause: Cause { code: error.code.clone(), text: error.message.clone() },
        since: failed.started,
        actor: failed.actor.clone(),
        next: seen.next.clone(),
        repair: Some(repair(entry)),
        deadline: None,
    }
}

/// What was seen before an operation ended is not what it left: until that is seen, its app is shown
/// as it was at work.
fn unsettled(before: &StatusReport) -> StatusReport {
    let next = NextStep { text: "What came of it is looked at.".to_owned(), at: None };
    StatusReport { next: Some(next), ..before.clone() }
}

/// Says when the engine tries again by itself, where it will.
fn with_next(entry: &Entry, report: StatusReport, now: Timestamp) -> StatusReport {
    let Some(at) = entry.repair_at.filter(|at| *at > now && entry.work.is_none()) else {
        return report;
    };
    let rests = report.state == AppState::Running || entry.failed.is_none();
    if rests || entry.desired.state != DesiredState::Running || entry.refused.is_some() {
        return report;
    }
    let count = entry.repairs_failed;
    let text = format!("It is looked at and repaired again (attempt {}).", count.saturating_add(1));
    StatusReport { next: Some(NextStep { text, at: Some(at) }), ..report }
}

/// The state of an app that is as it was before an update that failed.
fn taken_back(
    failed: &OperationView,
    error: &UserError,
    seen: &StatusReport,
) -> Option<StatusReport> {
    let rests = matches!(seen.state, AppState::Running | AppState::Stopped);
    let code = match OperationKind::parse(&failed.kind) {
        OperationKind::Update => "update-taken-back",
        OperationKind::Migrate => "migration-taken-back",
        _ => return None,
    };
    if !rests {
        return None;
    }
    let cause = Cause::new(code, error.message.clone());
    Some(StatusReport { cause, ..seen.clone() })
}

/// The state of an app that should run, does not, and cannot be repaired as long as a check forbids
/// it.
fn refusal(entry: &Entry, seen: &StatusReport) -> Option<StatusReport> {
    let check = entry.refused.as_ref()?;
    let rests = matches!(seen.state, AppState::Running | AppState::Stopped | AppState::Unknown);
    if rests || entry.desired.state != DesiredState::Running {
        return None;
    }
    let text = match &check.mend {
        Some(mend) => format!("{} {mend}", check.message),
        None => check.message.clone(),
    };
    Some(StatusReport {
        state: AppState::Failed,
        cause: Cause { code: check.code.clone(), text },
        since: seen.since,
        actor: seen.actor.clone(),
        next: None,
        repair: Some(repair(entry)),
        deadline: None,
    })
}

fn repair(entry: &Entry) -> Repair {
    let (label, method) = match entry.desired.state {
        DesiredState::Running => ("Try again", "package.restart"),
        DesiredState::Stopped => ("Stop again", "package.stop"),
        DesiredState::Removed | DesiredState::Purged => ("Uninstall again", "package.uninstall"),
    };
    Repair { label: label.to_owned(), method: method.to_owned() }
}

fn at_work(work: &Work, seen: &StatusReport) -> StatusReport {
    let state = match work.job.kind {
        OperationKind::Install if work.job.removes() => AppState::Removing,
        OperationKind::Install if work.job.fresh => AppState::Installing,
        OperationKind::Install
        | OperationKind::Update
        | OperationKind::Rollback
        | OperationKind::Migrate
        | OperationKind::MigrateBack => AppState::Updating,
        OperationKind::Adopt | OperationKind::MigrateCommit => seen.state,
        OperationKind::Stop => AppState::Stopping,
        OperationKind::Uninstall => AppState::Removing,
        OperationKind::Recover if seen.state == AppState::Running => AppState::Running,
        OperationKind::Recover if work.job.app.state != DesiredState::Running => seen.state,
        OperationKind::Start
        | OperationKind::Restart
        | OperationKind::Configure
        | OperationKind::Recover => AppState::Starting,
    };
    let (step, steps) = work.view.step;
    StatusReport {
        state,
        cause: Cause::new("operation", work.view.text.clone()),
        since: work.job.started,
        actor: work.job.actor.clone(),
        next: Some(NextStep { text: format!("Step {step} of {steps} is at work."), at: None }),
        repair: None,
        deadline: Some(work.view.deadline),
    }
}

fn ports(app: &DesiredApp) -> Vec<PortView> {
    let mut views = Vec::new();
    for (name, service) in &app.manifest.services {
        for port in &service.ports {
            let host = app.port_overrides.get(&(port.host, port.protocol)).copied();
            views.push(PortView {
                service: name.clone(),
                host: host.unwrap_or(port.host),
                container: port.container,
                protocol: port.protocol,
                auth: port.auth,
                loopback_only: port
                    .bind
                    .map_or(port.auth != Some(PortAuth::None), |bind| bind.is_loopback()),
            });
        }
    }
    views
}
