//! Opens the store, whatever happened to it.
//!
//! A damaged database gives way to its last good copy, a lost one is built again from what lies
//! beside it and from the units; both stay beside. Where the copy is older than what is deployed,
//! the newer counts: an app is neither thrown back to an older version nor installed again after it
//! was uninstalled. What does not agree is named, and nothing of it is touched. A database that
//! cannot be written, for its disk is full or read-only, is read from a copy until it can.

mod decide;
mod units;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use archy_api::state::{Notice, Severity};
use archy_quadlet::{Deployed, parse_deployed};
use archy_store::{KeptCopy, NewEvent, Options, Store, StoreError, kept_copies};
use archy_types::{AppId, Code, Timestamp, UserError};
use serde::Serialize;

use crate::clock;
use crate::config::Config;
use decide::{Decision, decide};

/// How the store was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// Whole.
    Whole,
    /// There was none, and nothing that one could be built from.
    New,
    /// Damaged; its last good copy took its place.
    Restored,
    /// Lost; it was built again.
    Rebuilt,
    /// It cannot be written.
    Unwritable,
}

/// What became of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AppOutcome {
    /// The app.
    pub app: String,
    /// `kept`, `forgotten`, `from-record`, `from-units`, `refused`.
    pub outcome: &'static str,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<UserError>,
}

/// What was done to have a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How it was found.
    pub found: Found,
    /// Why it was not whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where the damaged files went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aside: Option<PathBuf>,
    /// What became of the apps, unless it was whole.
    pub apps: Vec<AppOutcome>,
}

/// A store and what the owner should know of how it was found.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Store,
    /// What was done.
    pub report: Report,
    /// The same for people.
    pub notices: Vec<Notice>,
}

/// What lies beside a store.
#[derive(Debug, Default)]
struct Evidence {
    copies: BTreeMap<AppId, KeptCopy>,
    deployed: Deployed,
    /// Unit files by name.
    texts: BTreeMap<String, String>,
    /// When each was written.
    written: BTreeMap<String, Timestamp>,
}

/// Opens the store; `anew` sets one that is whole aside, and builds it again.
///
/// # Errors
/// Another process has it, a newer release wrote it, or not even a copy of it can be read.
pub async fn open(config: &Config, anew: bool) -> Result<Opened, UserError> {
    let paths = &config.paths;
    let (state, quadlet) = (paths.state_dir.clone(), paths.quadlet_dir.clone());
    let scratch = paths.rpc_socket.parent().unwrap_or(&paths.runtime_dir).join("store");
    let opened = tokio::task::spawn_blocking(move || {
        // before the store is opened: opening writes copies of what it holds
        let evidence = Evidence::look(&state, &quadlet);
        open_some(&state, &scratch, anew).map(|(store, report)| (store, report, evidence))
    });
    let (store, mut report, evidence) =
        opened.await.map_err(|error| UserError::new("internal", error.to_string()))??;
    if matches!(report.found, Found::New | Found::Restored | Found::Rebuilt) {
        let restored = report.found == Found::Restored;
        report.apps = reconcile(config, &store, &evidence, restored).await?;
        if report.found == Found::New && !report.apps.is_empty() {
            report.found = Found::Rebuilt;
            report.reason = Some("there was none".to_owned());
        }
    }
    let notices = notices(&report, &paths.state_dir);
    for notice in &notices {
        tracing::warn!(code = %notice.code, "{}", notice.text);
    }
    if !notices.is_empty() && store.unwritable().is_none() {
        let events = notices.iter().map(event).collect();
        store.add_events(events).await.map_err(UserError::from)?;
    }
    Ok(Opened { store, report, notices })
}

/// Opens what can be opened. Blocks.
fn open_some(dir: &Path, scratch: &Path, anew: bool) -> Result<(Store, Report), StoreError> {
    let options = Options::new(dir);
    let there = archy_store::is_there(dir);
    let mut report = Report { found: Found::Whole, reason: None, aside: None, apps: Vec::new() };
    if !there {
        report.found = Found::New;
    } else if anew {
        report.found = Found::Rebuilt;
        report.reason = Some("it was asked for".to_owned());
        report.aside = Some(archy_store::set_aside(dir, clock::now())?);
    }
    let error = match Store::open(&options) {
        Ok(store) => return Ok((store, report)),
        Err(error) => error,
    };
    match error {
        StoreError::Corrupt { reason, last_good, .. } => {
            report.reason = Some(reason);
            let restored = last_good.map(|_| Store::restore_last_good(dir, clock::now()));
            if let Some(Ok(aside)) = restored
                && let Ok(store) = Store::open(&options)
            {
                (report.found, report.aside) = (Found::Restored, Some(aside));
                return Ok((store, report));
            }
            report.found = Found::Rebuilt;
            report.aside = Some(archy_store::set_aside(dir, clock::now())?);
            Ok((Store::open(&options)?, report))
        }
        reason if there && reason.is_of_the_disk() => {
            let opened = Store::open_unwritable(&options, scratch, reason.clone());
            // what cannot even be read from a copy is told with the first reason
            let store = opened.map_err(|second| match second {
                StoreError::Locked { .. } => second,
                _ => reason.clone(),
            })?;
            (report.found, report.reason) = (Found::Unwritable, Some(reason.to_string()));
            Ok((store, report))
        }
        error => Err(error),
    }
}

impl Evidence {
    /// Reads what lies beside the store and what is deployed. Blocks.
    fn look(state_dir: &Path, quadlet_dir: &Path) -> Self {
        let copies = kept_copies(state_dir).unwrap_or_default();
        let entries = std::fs::read_dir(quadlet_dir).into_iter().flatten().flatten();
        let (mut texts, mut written) = (BTreeMap::new(), BTreeMap::new());
        for entry in entries {
            let (Ok(name), path) = (entry.file_name().into_string(), entry.path()) else {
                continue;
            };
            if let Ok(text) = std::fs::read_to_string(&path) {
                written.extend(units::written(&path).map(|at| (name.clone(), at)));
                texts.insert(name, text);
            }
        }
        Self { copies, deployed: parse_deployed(&texts), texts, written }
    }
}

/// Brings the store to what lies beside it.
async fn reconcile(
    config: &Config,
    store: &Store,
    evidence: &Evidence,
    restored: bool,
) -> Result<Vec<AppOutcome>, UserError> {
    let stored: BTreeMap<AppId, _> =
        store.apps().await?.into_iter().map(|record| (record.app.clone(), record)).collect();
    let mut apps: BTreeSet<&AppId> = stored.keys().collect();
    apps.extend(evidence.copies.keys().chain(evidence.deployed.apps.keys()));
    let mut outcomes = BTreeMap::new();
    let mut from_units = Vec::new();
    for app in apps {
        let deployed = evidence.deployed.apps.get(app);
        let known = stored.get(app).filter(|_| restored);
        let outcome = match decide(app, known, evidence.copies.get(app), deployed) {
            Decision::Keep => "kept",
            Decision::Forget => {
                store.forget_app(app, None).await?;
                "forgotten"
            }
            Decision::Take(record, text) => {
                store.accept_manifest(text, clock::now()).await?;
                store.put_app(*record).await?;
                "from-record"
            }
            Decision::FromUnits => {
                from_units.push(app.clone());
                continue;
            }
            Decision::Refuse(error) => {
                outcomes.insert(app.clone(), ("refused", Some(error)));
                continue;
            }
        };
        outcomes.insert(app.clone(), (outcome, None));
    }
    if !from_units.is_empty() {
        for (app, result) in units::rebuild(config, store, evidence, &from_units).await? {
            let outcome = match result {
                Ok(()) => ("from-units", None),
                Err(error) => ("refused", Some(error)),
            };
            outcomes.insert(app, outcome);
        }
    }
    let outcome = |(app, (outcome, error)): (AppId, (&'static str, Option<UserError>))| {
        AppOutcome { app: app.to_string(), outcome, error }
    };
    Ok(outcomes.into_iter().map(outcome).collect())
}

fn event(notice: &Notice) -> NewEvent {
    NewEvent {
        app: None,
        at: Timestamp(notice.since),
        kind: notice.code.to_string(),
        text: notice.text.clone(),
        fields: serde_json::Map::new(),
    }
}

/// What the owner should know.
fn notices(report: &Report, state_dir: &Path) -> Vec<Notice> {
    let since = clock::now().0;
    let reason = report.reason.as_deref().unwrap_or("for a reason that is not known");
    let kept = match &report.aside {
        Some(aside) => format!(" The old files are kept at {}.", aside.display()),
        None => String::new(),
    };
    let mut all = Vec::new();
    let count = |word: &str| report.apps.iter().filter(|app| app.outcome == word).count();
    let (records, units) = (count("from-record"), count("from-units"));
    let found = format!(
        "{} apps were found again: {records} by their records, {units} by their units.",
        records + units
    );
    match report.found {
        Found::Restored => all.push((
            "store-recovered",
            format!(
                "The store was damaged ({reason}); its last good copy took its place. {found}{kept}"
            ),
        )),
        Found::Rebuilt => all.push((
            "store-rebuilt",
            format!(
                "The store was lost ({reason}) and built again. {found} History, sessions and \
                     ways back of updates are gone.{kept}"
            ),
        )),
        Found::Whole | Found::New | Found::Unwritable => {}
    }
    let mut notices: Vec<Notice> = all
        .into_iter()
        .map(|(code, text)| Notice {
            severity: Severity::Warning,
            code: Code::new(code),
            text,
            since,
            mend: Some(
                "`archy list` shows what was found again; `archy doctor` looks for more."
                    .to_owned(),
            ),
        })
        .collect();
    notices.extend(report.apps.iter().filter_map(|app| refused(app, state_dir, since)));
    notices
}

/// An app that was not found again.
fn refused(app: &AppOutcome, state_dir: &Path, since: i64) -> Option<Notice> {
    let (id, error) = (&app.app, app.error.as_ref()?);
    let copy = state_dir.join(format!("manifests/{id}.yml"));
    let mend = match copy.exists() {
        true => format!("`archy install {}` takes it up with its data.", copy.display()),
        false => format!("`archy install {id}` takes it up with its data."),
    };
    let text = format!(
        "{id} was not found again, and is left as it is: {} [{}]",
        error.message, error.code
    );
    let code = Code::new("app-not-rebuilt");
    Some(Notice { severity: Severity::Error, code, text, since, mend: Some(mend) })
}

#[cfg(test)]
mod tests;
