//! Apps of which only the units tell what they should be: read back, and taken only when a pass
//! would change nothing of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use archy_engine::ports::{Interest, Ledger as _, Observe as _};
use archy_manifest::Manifest;
use archy_plan::rebuild::{Beside, from_units, would_change};
use archy_plan::{DesiredApp, Observed};
use archy_store::Store;
use archy_types::{AppId, Digest, Timestamp, UserError};

use super::Evidence;
use crate::config::{Config, Paths};
use crate::connect::host_config;
use crate::host::SystemHost;
use crate::ledger::{self, StoreLedger};
use crate::{catalog, clock};

/// How long Podman and systemd may take to answer after a boot.
const HOST_DEADLINE: Duration = Duration::from_secs(45);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// At most so many differences are named.
const NAMED: usize = 3;

/// A manifest that an app's units were made from.
struct Source {
    manifest: Arc<Manifest>,
    text: Vec<u8>,
    digest: Digest,
    /// Where its package may be; nothing is tried last.
    dirs: Vec<Option<PathBuf>>,
}

/// Reads the apps back and puts those that agree into the store.
pub(super) async fn rebuild(
    config: &Config,
    store: &Store,
    evidence: &Evidence,
    apps: &[AppId],
) -> Result<Vec<(AppId, Result<(), UserError>)>, UserError> {
    let mut outcomes = Vec::new();
    let mut sources = Vec::new();
    for app in apps {
        match source(config, evidence, app) {
            Ok(source) => sources.push(source),
            Err(error) => outcomes.push((app.clone(), Err(error))),
        }
    }
    if sources.is_empty() {
        return Ok(outcomes);
    }
    let known = StoreLedger::new(store.clone()).load().await?;
    let observed = observe(config, &known, &sources).await?;
    let mut candidates = Vec::new();
    for source in &sources {
        match candidate(evidence, source) {
            Ok(app) => candidates.push(app),
            Err(error) => outcomes.push((source.manifest.id.clone(), Err(error))),
        }
    }
    // apps are ordered after each other and named in each other's variables
    let all: Vec<DesiredApp> = known.iter().chain(&candidates).cloned().collect();
    for app in candidates {
        let id = app.manifest.id.clone();
        let source = sources.iter().find(|source| source.manifest.id == id);
        let Some(source) = source else { continue };
        let outcome = match agreeing(source, app, &observed, &all) {
            Ok(app) => keep(store, source, &app).await,
            Err(error) => Err(error),
        };
        outcomes.push((id, outcome));
    }
    Ok(outcomes)
}

/// The candidate with the package's directory with which nothing would change.
fn agreeing(
    source: &Source,
    app: DesiredApp,
    observed: &Observed,
    all: &[DesiredApp],
) -> Result<DesiredApp, UserError> {
    let mut first = None;
    for dir in &source.dirs {
        let app = DesiredApp { package_dir: dir.clone(), ..app.clone() };
        let changes = would_change(&app, observed, all)?;
        if changes.is_empty() {
            return Ok(app);
        }
        first.get_or_insert(changes);
    }
    let changes = first.unwrap_or_default();
    let more = match changes.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let named: Vec<&str> = changes.iter().take(NAMED).map(String::as_str).collect();
    let text = format!(
        "What its units tell does not lead to the same units again; a pass would: {}{more}.",
        named.join(", ")
    );
    Err(UserError::new("rebuild-differs", text)
        .hint("A setting that only reaches a file, or an edited unit, cannot be read back."))
}

async fn keep(store: &Store, source: &Source, app: &DesiredApp) -> Result<(), UserError> {
    store.accept_manifest(source.text.clone(), clock::now()).await?;
    store.put_app(ledger::record(app)?).await?;
    Ok(())
}

fn candidate(evidence: &Evidence, source: &Source) -> Result<DesiredApp, UserError> {
    let none = archy_quadlet::DeployedApp::default();
    let deployed = evidence.deployed.apps.get(&source.manifest.id).unwrap_or(&none);
    let since = deployed.files.iter().filter_map(|file| evidence.written.get(&file.file_name));
    let since = since.max().copied().unwrap_or_default();
    let beside = Beside { since, package_dir: source.dirs.first().cloned().flatten() };
    from_units(&source.manifest, source.digest, deployed, &evidence.texts, beside)
}

/// The manifest that an app's units were made from, beside the store or in the catalog.
fn source(config: &Config, evidence: &Evidence, app: &AppId) -> Result<Source, UserError> {
    let digests = evidence.deployed.apps.get(app).map(|app| app.manifests.clone());
    let digests = digests.unwrap_or_default();
    let mut found: BTreeMap<Digest, (Vec<u8>, Vec<Option<PathBuf>>)> = BTreeMap::new();
    if let Some(text) = evidence.copies.get(app).and_then(|copy| copy.manifest.clone()) {
        found.entry(Digest::of(&text)).or_insert_with(|| (text, Vec::new()));
    }
    for entry in in_catalog(&config.paths, app) {
        let digest = Digest::of(&entry.0);
        found.entry(digest).or_insert((entry.0, Vec::new())).1.push(Some(entry.1));
    }
    let Some((digest, (text, mut dirs))) =
        found.into_iter().find(|(digest, _)| digests.contains(digest))
    else {
        let text = format!("No manifest with the digest in the units of {app} is kept.");
        return Err(UserError::new("rebuild-no-manifest", text)
            .hint("Put it into the catalog's or the sideload directory."));
    };
    let parsed = catalog::parse(text.clone(), None).map_err(|refusal| refusal.error)?;
    dirs.push(None);
    Ok(Source { manifest: parsed.manifest, text, digest, dirs })
}

/// Texts of an app's manifests in the catalog, with their directories.
fn in_catalog(paths: &Paths, app: &AppId) -> Vec<(Vec<u8>, PathBuf)> {
    let dirs = paths.apps_dirs.iter().rev().map(|dir| dir.join(app.as_str()));
    let entries = dirs.filter_map(|dir| {
        let entry = catalog::open(&dir).ok()?;
        Some((entry.text.to_vec(), dir))
    });
    entries.collect()
}

/// A look at the host, as soon as it answers.
async fn observe(
    config: &Config,
    known: &[DesiredApp],
    sources: &[Source],
) -> Result<Observed, UserError> {
    let host = SystemHost::new(host_config(config))?;
    let mut interest = Interest::of(known.iter(), &[]);
    interest.apps.extend(sources.iter().map(|source| source.manifest.clone()));
    let began = clock::steady_millis();
    loop {
        let observed = host.observe(&interest).await;
        let missing = observed.states_unknown();
        let late = u128::from(clock::steady_millis() - began) > HOST_DEADLINE.as_millis();
        if missing.is_none() || late {
            return Ok(observed);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// When a file was written.
pub(super) fn written(path: &std::path::Path) -> Option<Timestamp> {
    let modified = path.metadata().ok()?.modified().ok()?;
    let since = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok().map(Timestamp)
}
