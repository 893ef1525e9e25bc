//! An app's data around an update: what has to be saved or put back before the app may run.
//!
//! Decided from what is on the host alone, so that an operation that was cut anywhere goes on right:
//! the generation in the unit files tells whether the new version can have run.

use std::collections::{BTreeMap, BTreeSet};

use archy_quadlet::UnitRole;
use archy_types::{AppId, Cause, Generation};

use crate::desired::DataDue;
use crate::drift::{Drift, FileDrift};
use crate::intent::Intent;
use crate::observed::{Known, Observed, SnapshotState};
use crate::scene::{self, Scene};
use crate::step::{Check, Severity, Step};

/// Clears what is left of snapshots that are gone, for example after a cut amid their removal.
const LEFT_OVER: Step = Step::PruneSnapshots { generations: Vec::new() };

/// The step that must come before anything of the app runs, if one is still to be done.
///
/// # Errors
/// The snapshots are not known.
pub(crate) fn due(scene: &Scene<'_>) -> Result<Option<Step>, Cause> {
    let Some(due) = scene.app.data_due else { return Ok(None) };
    let snapshots = match &scene.observed.snapshots {
        Known::Yes(snapshots) => snapshots.get(&scene.app.manifest.id),
        Known::No(cause) => return Err(cause.clone()),
    };
    let found = |generation: Generation| snapshots.and_then(|all| all.get(&generation));
    Ok(match due {
        DataDue::Snapshot { generation } => {
            let needed = match deployed(scene, generation) {
                // what the old version wrote since belongs into the snapshot: it is taken again
                Some(false) => true,
                Some(true) => false,
                None => found(generation).is_none(),
            };
            let taken = needed && anything_to_save(scene) && changes(scene);
            taken.then(|| Step::Snapshot { generation, volumes: volumes(scene) })
        }
        DataDue::Restore { snapshot, wish } => {
            let pending = |state: &SnapshotState| state.restored != Some(wish);
            let needed = found(snapshot).is_some_and(pending);
            needed.then_some(Step::RestoreSnapshot { generation: snapshot, wish })
        }
    })
}

/// The app goes back to the data of a snapshot: it is put back by this plan, or already is.
pub(crate) fn is_put_back(scene: &Scene<'_>) -> bool {
    let Some(DataDue::Restore { snapshot, wish }) = scene.app.data_due else { return false };
    let all = scene.observed.snapshots.get().and_then(|all| all.get(&scene.app.manifest.id));
    let state = all.and_then(|all| all.get(&snapshot));
    scene.restores() || state.is_some_and(|state| state.restored == Some(wish))
}

/// Why the parts are stopped for a step of [`due`].
pub(crate) const fn reason(step: &Step) -> &'static str {
    match step {
        Step::RestoreSnapshot { .. } => "its data from before the update is put back",
        _ => "its data is saved before the update",
    }
}

/// True unless the unit files on disk show that nothing of a generation was deployed: then its
/// containers cannot have run.
#[must_use]
pub fn may_have_run(app: &AppId, generation: Generation, observed: &Observed) -> bool {
    let Some(files) = observed.unit_files.get() else { return true };
    scene::generations(files, app).max().is_none_or(|newest| newest >= generation.0)
}

/// True when the generation was deployed, wholly or in part; nothing when no unit file tells.
fn deployed(scene: &Scene<'_>, generation: Generation) -> Option<bool> {
    let newest = scene::generations(scene.facts.unit_files, &scene.app.manifest.id).max()?;
    Some(newest >= generation.0)
}

fn anything_to_save(scene: &Scene<'_>) -> bool {
    scene.facts.app_files.is_some_and(|files| !files.is_empty()) || !volumes(scene).is_empty()
}

/// True when the new manifest changes anything of what runs.
fn changes(scene: &Scene<'_>) -> bool {
    let figure = |drift: Drift| drift != Drift::Same && drift != Drift::Inert;
    let built = |role: &UnitRole| matches!(role, UnitRole::Build(_));
    scene.parts.iter().any(|part| figure(part.drift))
        || scene.supports().any(|file| built(&file.role) || figure(scene.support_drift(file)))
        || scene.orphan_files().next().is_some()
        || scene.app.manifest.files.iter().any(|file| scene.file_drift(file) != FileDrift::Same)
        || scene.app.manifest.hooks.contains_key(&archy_manifest::model::HookPoint::PostUpdate)
}

/// The app's own volumes that are there: of the new units and of those on disk.
fn volumes(scene: &Scene<'_>) -> Vec<String> {
    let wanted = scene.supports().filter_map(|file| match &file.role {
        UnitRole::Volume(name) => Some(name.clone()),
        _ => None,
    });
    let old = scene.facts.files_of(&scene.app.manifest.id);
    let old = old.filter(|(name, _)| name.ends_with(".volume"));
    let old = old.filter_map(|(_, text)| scene::key(text, "VolumeName").map(str::to_owned));
    let mut found: BTreeSet<String> = wanted.chain(old).collect();
    found.retain(|name| scene.facts.volumes.contains(name) && !scene.is_strange_volume(name));
    found.into_iter().collect()
}

/// Snapshots that are not kept any longer: all but the newest, and the newest when its time is over;
/// with an install all that an earlier one left, since its generations begin anew and must not be
/// taken for those of then.
pub(crate) fn prunable(scene: &Scene<'_>) -> Option<Step> {
    let all = scene.observed.snapshots.get()?.get(&scene.app.manifest.id)?;
    let Some(newest) = all.keys().next_back() else { return Some(LEFT_OVER) };
    let updating = scene.intent == Intent::Update;
    let anew = scene.intent == Intent::Install;
    let over = |generation: &Generation, state: &SnapshotState| {
        anew || generation != newest || (!updating && state.expires <= scene.observed.at)
    };
    let over = all.iter().filter(|(generation, state)| over(generation, state));
    let generations: Vec<Generation> = over.map(|(generation, _)| *generation).collect();
    (!generations.is_empty()).then_some(Step::PruneSnapshots { generations })
}

/// All snapshots of an app that goes with its data, readable or not.
pub(crate) fn all_snapshots(scene: &Scene<'_>) -> Option<Step> {
    let id = &scene.app.manifest.id;
    let whole = scene.observed.snapshots.get()?.get(id);
    let unreadable = scene.observed.left.snapshots.get(id);
    if whole.is_none() && unreadable.is_none() {
        return None;
    }
    let whole = whole.into_iter().flat_map(BTreeMap::keys);
    let all: BTreeSet<Generation> =
        whole.chain(unreadable.into_iter().flatten()).copied().collect();
    Some(Step::PruneSnapshots { generations: all.into_iter().collect() })
}

/// What the owner should know of a rollback's data before it begins.
pub(crate) fn rollback_checks(scene: &Scene<'_>, due: Option<&Step>) -> Vec<Check> {
    if scene.intent != Intent::Rollback {
        return Vec::new();
    }
    let Some(DataDue::Restore { snapshot, .. }) = scene.app.data_due else { return Vec::new() };
    let all = scene.observed.snapshots.get().and_then(|all| all.get(&scene.app.manifest.id));
    let state = all.and_then(|all| all.get(&snapshot));
    let found = match (state, due) {
        (Some(state), Some(_)) => Check {
            severity: Severity::Warning,
            code: archy_types::Code::new("data-since-lost"),
            message: format!(
                "The data is put back as it was at {}; what was written since is lost.",
                state.taken
            ),
            mend: Some(
                "`--keep-data` keeps the data as it is, if the manifest allows it.".to_owned(),
            ),
        },
        (None, _) => Check {
            severity: Severity::Note,
            code: archy_types::Code::new("snapshot-missing"),
            message: "There is no snapshot from before the update; the data stays as it is."
                .to_owned(),
            mend: None,
        },
        (Some(_), None) => return Vec::new(),
    };
    vec![found]
}
