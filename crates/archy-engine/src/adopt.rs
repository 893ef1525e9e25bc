//! Adoption and migration: which wishes are taken, what they lead to, and the way back.

use std::collections::BTreeMap;
use std::sync::Arc;

use archy_manifest::Manifest;
use archy_plan::adopt::{Adopted, Candidate, Stage, candidate, ready_to_migrate};
use archy_plan::{DesiredApp, DesiredState, Observed, Plan, Severity};
use archy_types::{AppId, Generation, Timestamp, UserError};

use crate::handle::{Replacement, RequestKind};
use crate::operation::OperationKind;
use crate::ports::{Clock, Host, Interest, Ledger};
use crate::request::{Current, Decision, Wish};
use crate::task::{Engine, Reply};

/// Decides on wishes that are about what was adopted, and on those that have to wait for the
/// migration. Nothing for the others.
pub(crate) fn decide(
    current: Option<Current<'_>>,
    wish: &Wish<'_>,
) -> Option<Result<Decision, UserError>> {
    if let RequestKind::Adopt { to } = wish.kind {
        return Some(adopt(current, to, wish));
    }
    let current = current.filter(|current| !current.desired.is_leaving())?;
    let adopted = current.desired.adopted.as_ref();
    let id = &current.desired.manifest.id;
    match wish.kind {
        RequestKind::Migrate { .. } => Some(migrate(&current, adopted, wish)),
        RequestKind::MigrateBack(_) => Some(go_back(&current, adopted, wish)),
        RequestKind::MigrateCommit(_) => Some(commit(&current, adopted, wish)),
        RequestKind::Install { .. }
        | RequestKind::Update { .. }
        | RequestKind::Rollback { .. }
        | RequestKind::Configure { .. } => adopted.is_some_and(Adopted::is_watched).then(|| {
            let message = format!("{id} runs in containers that Archipelago did not make.");
            Err(UserError::new("adopted-not-migrated", message)
                .hint(format!("`archy migrate {id}` makes them its own; then this is possible.")))
        }),
        _ => None,
    }
}

fn adopt(
    current: Option<Current<'_>>,
    to: &Replacement,
    wish: &Wish<'_>,
) -> Result<Decision, UserError> {
    let id = &to.manifest.id;
    if let Some(current) = current {
        if current.desired.is_watched() && !current.desired.is_leaving() {
            return Ok(Decision::AlreadySo);
        }
        return Err(UserError::new("already-installed", format!("{id} is installed already."))
            .hint(format!("`archy status {id}` shows it; nothing is left to adopt.")));
    }
    let app = DesiredApp {
        manifest: to.manifest.clone(),
        digest: to.digest,
        generation: Generation(1),
        // what is found decides
        state: DesiredState::Stopped,
        actor: wish.actor.clone(),
        since: wish.now,
        settings: to.settings.clone(),
        port_overrides: BTreeMap::new(),
        package_dir: to.package_dir.clone(),
        data_due: None,
        adopted: None,
    };
    Ok(Decision::Do(Box::new(app), OperationKind::Adopt))
}

fn migrate(
    current: &Current<'_>,
    adopted: Option<&Adopted>,
    wish: &Wish<'_>,
) -> Result<Decision, UserError> {
    let id = &current.desired.manifest.id;
    match adopted {
        None => Err(not_adopted(id)),
        Some(adopted) if !adopted.is_watched() => Ok(Decision::AlreadySo),
        Some(_) => Ok(Decision::Do(Box::new(next(current, wish)), OperationKind::Migrate)),
    }
}

fn go_back(
    current: &Current<'_>,
    adopted: Option<&Adopted>,
    wish: &Wish<'_>,
) -> Result<Decision, UserError> {
    let id = &current.desired.manifest.id;
    match adopted.map(|adopted| adopted.stage) {
        None => Err(not_adopted(id)),
        Some(Stage::Watched) => Ok(Decision::AlreadySo),
        Some(Stage::Committed { .. }) => {
            let message = format!("The migration of {id} is final: the way back was given up.");
            Err(UserError::new("migration-final", message)
                .hint("The old data is where it was, if nobody removed it."))
        }
        Some(Stage::Migrated { .. }) => {
            let app = watched(next(current, wish));
            Ok(Decision::Do(Box::new(app), OperationKind::MigrateBack))
        }
    }
}

fn commit(
    current: &Current<'_>,
    adopted: Option<&Adopted>,
    wish: &Wish<'_>,
) -> Result<Decision, UserError> {
    let id = &current.desired.manifest.id;
    let mut app = next(current, wish);
    match adopted.map(|adopted| adopted.stage) {
        None => return Err(not_adopted(id)),
        Some(Stage::Committed { .. }) => return Ok(Decision::AlreadySo),
        Some(Stage::Watched) => {
            let message = format!("{id} was not migrated yet.");
            return Err(UserError::new("adopted-not-migrated", message)
                .hint(format!("`archy migrate {id}` comes first.")));
        }
        Some(Stage::Migrated { version, .. }) => {
            if let Some(adopted) = &mut app.adopted {
                adopted.stage = Stage::Committed { version, since: wish.now };
            }
        }
    }
    Ok(Decision::Do(Box::new(app), OperationKind::MigrateCommit))
}

fn not_adopted(id: &AppId) -> UserError {
    UserError::new("not-adopted", format!("{id} was not adopted: it is Archipelago's own."))
        .hint("There is nothing to migrate.")
}

/// The same desired state under the next generation.
fn next(current: &Current<'_>, wish: &Wish<'_>) -> DesiredApp {
    DesiredApp {
        generation: current.desired.generation.next(),
        actor: wish.actor.clone(),
        since: wish.now,
        ..current.desired.clone()
    }
}

/// The app in the containers that were adopted.
fn watched(mut app: DesiredApp) -> DesiredApp {
    if let Some(adopted) = &mut app.adopted {
        adopted.stage = Stage::Watched;
    }
    app
}

/// What a migration that failed goes back to.
pub(crate) fn before_migration(app: &DesiredApp, now: Timestamp) -> DesiredApp {
    watched(DesiredApp { generation: app.generation.next(), since: now, ..app.clone() })
}

/// The desired state with what a look found.
///
/// # Errors
/// What was found does not fit, or cannot be migrated.
pub(crate) fn settle(
    app: DesiredApp,
    kind: OperationKind,
    observed: &Observed,
) -> Result<DesiredApp, UserError> {
    match kind {
        OperationKind::Adopt => app.adopting(observed),
        OperationKind::Migrate => {
            let now = app.since;
            ready_to_migrate(app, observed, now)
        }
        _ => Ok(app),
    }
}

/// The refusal of a migration that changes more than the owner agreed to.
pub(crate) fn consent_needed(request: &RequestKind, plan: &Plan) -> Option<UserError> {
    let RequestKind::Migrate { app, accept: false } = request else { return None };
    let changes = |check: &&archy_plan::Check| {
        check.severity == Severity::Warning && check.code.as_str().starts_with("migrate-")
    };
    let changes: Vec<&str> =
        plan.checks.iter().filter(changes).map(|check| check.message.as_str()).collect();
    if changes.is_empty() {
        return None;
    }
    let message = format!("The migration of {app} changes this: {}", changes.join(" "));
    Some(UserError::new("consent-needed", message).hint(format!(
        "`archy migrate {app}` shows it and asks; over the API, `accept` agrees to it."
    )))
}

/// What a look has to cover for an operation of this kind.
pub(crate) fn interest(interest: Interest, app: &DesiredApp, kind: OperationKind) -> Interest {
    match kind {
        OperationKind::Adopt => interest.candidate(&app.manifest),
        _ => interest,
    }
}

impl<H: Host, L: Ledger, C: Clock> Engine<H, L, C> {
    /// Says which of these apps have containers that could be adopted.
    pub(crate) fn answer_adoptable(
        &self,
        manifests: Vec<Arc<Manifest>>,
        reply: Reply<Vec<Candidate>>,
    ) {
        let installed = |manifest: &Arc<Manifest>| self.apps.contains_key(&manifest.id);
        let manifests: Vec<Arc<Manifest>> =
            manifests.into_iter().filter(|manifest| !installed(manifest)).collect();
        let host = self.world.host.clone();
        tokio::spawn(async move {
            let interest = manifests
                .iter()
                .fold(Interest::default(), |interest, manifest| interest.candidate(manifest));
            let observed = host.observe(&interest).await;
            let answer = match &observed.foreign.unknown {
                Some(cause) => Err(UserError {
                    code: cause.code.clone(),
                    message: cause.text.clone(),
                    hint: None,
                }),
                None => Ok(manifests.iter().filter_map(|app| candidate(app, &observed)).collect()),
            };
            // the asker went away: nobody is left to tell
            drop(reply.send(answer));
        });
    }
}
