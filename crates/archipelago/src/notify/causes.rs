//! What of the node's state needs attention. Pure.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use archy_api::notify::AttentionKind;
use archy_api::state::{Notice, Severity};
use archy_catalog::compare_versions;
use archy_engine::{AppView, Snapshot};
use archy_types::AppState;
use archy_types::doctor::{Check, Level};

use super::book::{Cause, Group};

/// Of apps: which failed, which are not well, of which an update failed.
pub(super) fn of_apps(snapshot: &Snapshot) -> Vec<Cause> {
    snapshot.apps.values().flat_map(|view| [state(view), update(view)]).flatten().collect()
}

fn state(view: &AppView) -> Option<Cause> {
    let (kind, severity) = match view.report.state {
        AppState::Failed => (AttentionKind::AppFailed, Severity::Error),
        AppState::Unhealthy => (AttentionKind::AppUnhealthy, Severity::Warning),
        _ => return None,
    };
    let word = if kind == AttentionKind::AppFailed { "failed" } else { "unhealthy" };
    let mend = view.report.repair.as_ref().map(|repair| format!("{}.", repair.label));
    Some(Cause { mend, ..about(view, word, kind, severity, view.report.cause.text.clone()) })
}

fn update(view: &AppView) -> Option<Cause> {
    let operation = view.operation.as_ref().filter(|operation| operation.kind == "update")?;
    let error = operation.error.as_ref()?;
    let key = format!("update-{}", operation.id);
    let kind = AttentionKind::UpdateRolledBack;
    let cause = about(view, &key, kind, Severity::Warning, error.message.clone());
    Some(Cause { mend: error.hint.clone(), ..cause })
}

fn about(
    view: &AppView,
    what: &str,
    kind: AttentionKind,
    severity: Severity,
    text: String,
) -> Cause {
    let id = view.manifest.id.to_string();
    Cause {
        key: format!("app/{id}/{what}"),
        group: Group::Apps,
        kind,
        severity,
        app: Some(id),
        title: view.manifest.name.clone(),
        text,
        mend: None,
    }
}

/// Versions that the catalog offers and that are newer than what is installed.
pub(super) fn of_updates(snapshot: &Snapshot, offers: &BTreeMap<String, String>) -> Vec<Cause> {
    let newer = |view: &AppView| {
        let id = view.manifest.id.to_string();
        let version = offers.get(&id)?;
        let installed = &view.manifest.version;
        (compare_versions(version, installed) == Ordering::Greater).then(|| Cause {
            key: format!("update/{id}/{version}"),
            group: Group::Updates,
            text: format!("Version {version} can be installed; {installed} is."),
            ..about(view, "", AttentionKind::UpdateAvailable, Severity::Note, String::new())
        })
    };
    snapshot.apps.values().filter_map(|view| newer(view)).collect()
}

/// What is told of the node as a whole.
pub(super) fn of_notices(notices: &[Notice]) -> Vec<Cause> {
    let loud = notices.iter().filter(|notice| notice.severity != Severity::Note);
    loud.map(|notice| {
        let code = notice.code.as_str();
        let disk = code.starts_with("disk-") || code == "inodes-full";
        Cause {
            key: format!("notice/{code}"),
            group: Group::Node,
            kind: if disk { AttentionKind::Disk } else { AttentionKind::Node },
            severity: notice.severity,
            app: None,
            title: code.to_owned(),
            text: notice.text.clone(),
            mend: notice.mend.clone(),
        }
    })
    .collect()
}

/// What an examination of the node found, without what is told otherwise or passes by itself.
pub(super) fn of_checks(checks: &[Check]) -> Vec<Cause> {
    let mut causes: Vec<Cause> = Vec::new();
    for check in checks {
        let severity = match check.level {
            Level::Warn => Severity::Warning,
            Level::Fail => Severity::Error,
            Level::Ok | Level::Unknown => continue,
        };
        let kind = match (check.area.as_str(), check.name.as_str()) {
            // the states of apps, the node's notices and the next pass tell of these
            ("apps" | "space", _) | ("units", "drift") | ("host", "recovery") => continue,
            ("certificates", _) => AttentionKind::Certificate,
            _ => AttentionKind::Doctor,
        };
        let key = format!("doctor/{}/{}", check.area, check.name);
        if causes.iter().any(|cause| cause.key == key) {
            continue;
        }
        causes.push(Cause {
            key,
            group: Group::Doctor,
            kind,
            severity,
            app: check.app.clone(),
            title: format!("{}: {}", check.area, check.name),
            text: check.text.clone(),
            mend: check.mend.clone(),
        });
    }
    causes
}
