//! `system.doctor`: gathers facts about the node and judges them; each check names its mend.

pub mod certificate;
mod judge;
mod mend;
mod orphans;

use std::path::{Path, PathBuf};

use archy_engine::Snapshot;
use archy_engine::ports::{Interest, Ledger as _};
use archy_plan::rebuild::would_change;
use archy_plan::{DesiredApp, Known};
use archy_types::doctor::{Check, Room};
use archy_types::{AppId, Timestamp, UserError};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::app::App;
use crate::config::User;
use crate::host::facts;
use crate::ledger::StoreLedger;
use crate::survey::Survey;
use crate::{clock, guard, system};

pub use mend::{apply, parse};

/// No clock is right that is before this version was made (2026-01-01).
const BUILT: Timestamp = Timestamp(1_767_225_600_000);
/// Left by systemd-timesyncd when it has set the clock in this boot.
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";
/// There while systemd-timesyncd runs.
const TIMESYNC: &str = "/run/systemd/timesync";

/// Facts that need neither Podman nor systemd.
#[derive(Debug, Clone, Default)]
pub(crate) struct Local {
    pub(crate) user: String,
    pub(crate) kernel: Option<String>,
    pub(crate) subuids: Option<u64>,
    pub(crate) subgids: Option<u64>,
    pub(crate) unit_dir_writable: bool,
    /// What is kept there, the path, its room.
    pub(crate) rooms: Vec<(&'static str, PathBuf, Option<Room>)>,
    pub(crate) synchronised: Option<bool>,
    /// The node's certificate: when it counts, or why it cannot be read.
    pub(crate) certificate: Option<Result<(Timestamp, Timestamp), String>>,
}

/// What is known of the store.
#[derive(Debug, Clone)]
pub(crate) struct StoreFacts {
    pub(crate) dir: PathBuf,
    /// What the integrity check says: nothing when it is whole.
    pub(crate) fault: Result<Option<String>, UserError>,
    pub(crate) write_fault: Option<UserError>,
    pub(crate) last_good: Option<Timestamp>,
}

/// Everything that is judged.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) now: Timestamp,
    pub(crate) last_seen: Option<Timestamp>,
    pub(crate) version: &'a str,
    pub(crate) recovered: bool,
    pub(crate) local: &'a Local,
    pub(crate) survey: &'a Survey,
    pub(crate) store: &'a StoreFacts,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) apps: &'a [DesiredApp],
    /// Apps whose units and files a pass would change, and how.
    pub(crate) drift: &'a [(AppId, Result<Vec<String>, UserError>)],
}

/// Makes all checks.
///
/// # Errors
/// The store cannot be read at all.
pub async fn examine(app: &App) -> Result<Vec<Check>, UserError> {
    let (apps, survey) = survey(app).await;
    let drift = drift(&apps, &survey);
    let graph = survey.podman.get().map(|podman| PathBuf::from(&podman.graph_root));
    let paths = app.config.paths.clone();
    let local = tokio::task::spawn_blocking(move || Local::look(&paths, graph)).await;
    let local = local.map_err(|error| UserError::new("internal", error.to_string()))?;
    let store = StoreFacts {
        dir: app.config.paths.state_dir.clone(),
        fault: app.store.check().await.map_err(UserError::from),
        write_fault: app.store.write_fault().map(UserError::from),
        last_good: app.store.last_good_made(),
    };
    let snapshot = app.backends.engine.snapshot();
    let facts = Facts {
        now: clock::now(),
        last_seen: guard::last_seen(&app.store).await,
        version: crate::app::VERSION,
        recovered: app.recovery_complete().await,
        local: &local,
        survey: &survey,
        store: &store,
        snapshot: &snapshot,
        apps: &apps,
        drift: &drift,
    };
    Ok(judge::all(&facts))
}

/// The node's apps as they should be, and a look at the host.
pub async fn survey(app: &App) -> (Vec<DesiredApp>, Survey) {
    let apps = StoreLedger::new(app.store.clone()).load().await.unwrap_or_default();
    let interest = Interest::of(apps.iter(), &[]);
    let survey = app.backends.survey.survey(interest).await;
    (apps, survey)
}

fn drift(apps: &[DesiredApp], survey: &Survey) -> Vec<(AppId, Result<Vec<String>, UserError>)> {
    let installed = apps.iter().filter(|app| !app.is_leaving());
    installed
        .map(|app| (app.manifest.id.clone(), would_change(app, &survey.observed, apps)))
        .filter(|(_, changes)| !matches!(changes, Ok(changes) if changes.is_empty()))
        .collect()
}

impl Local {
    /// Looks. Blocks.
    fn look(paths: &crate::config::Paths, graph: Option<PathBuf>) -> Self {
        let user = User::current();
        let kernel = rustix::system::uname();
        let mut dirs = vec![
            ("data", paths.data_dir.clone()),
            ("store", paths.state_dir.clone()),
            ("units", paths.quadlet_dir.clone()),
        ];
        dirs.extend(graph.map(|graph| ("containers", graph)));
        let room = |path: &Path| path.ancestors().find_map(facts::room);
        let synchronised = Path::new(SYNCHRONISED).exists();
        let kept = synchronised || Path::new(TIMESYNC).exists();
        Self {
            kernel: kernel.release().to_str().ok().map(str::to_owned),
            subuids: system::subordinates("/etc/subuid", &user),
            subgids: system::subordinates("/etc/subgid", &user),
            unit_dir_writable: system::writable(&paths.quadlet_dir),
            rooms: dirs.into_iter().map(|(what, path)| (what, path.clone(), room(&path))).collect(),
            synchronised: kept.then_some(synchronised),
            certificate: read_certificate(&paths.ssl_dir.join("archipelago.crt")),
            user: user.name,
        }
    }
}

/// When the certificate counts; nothing when there is none.
fn read_certificate(path: &Path) -> Option<Result<(Timestamp, Timestamp), String>> {
    if !path.exists() {
        return None;
    }
    let read = CertificateDer::from_pem_file(path).map_err(|error| error.to_string());
    Some(read.and_then(|der| {
        certificate::validity(&der).ok_or_else(|| "its times cannot be read".to_owned())
    }))
}

/// A fact, or a check that says why it is not known.
#[expect(clippy::result_large_err, reason = "made a few times for each examination")]
fn known<'a, T>(fact: &'a Known<T>, area: &str, name: &str) -> Result<&'a T, Check> {
    match fact {
        Known::Yes(fact) => Ok(fact),
        Known::No(cause) => {
            let text = format!("{} [{}]", cause.text, cause.code);
            Err(Check::unknown(area, name, text))
        }
    }
}

#[cfg(test)]
mod tests;
