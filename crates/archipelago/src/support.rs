//! `system.support`: what somebody who helps needs to see, with all secrets struck out.
//!
//! Nothing leaves when the secrets cannot be read, for then they could not be struck out.

use std::fmt::Write as _;

use archy_api::doctor::{SupportFile, SupportParams};
use archy_types::doctor::Check;
use archy_types::{Redactor, Secret, Timestamp, UserError};
use futures_util::future::join_all;
use serde_json::json;

use crate::app::{App, VERSION};
use crate::host::facts;
use crate::logs::LogEntry;
use crate::rpc::operation_record;
use crate::survey::Survey;
use crate::{clock, doctor};

/// Lines of each log when none are asked for, and at most.
const LINES: (u32, u32) = (500, 5_000);
/// Longest text of one file, in bytes: its end is kept.
const MAX_FILE: usize = 512 * 1024;
/// Longest text of all files together, in bytes.
const MAX_ALL: usize = 12 * 1024 * 1024;
/// Operations of the history, and events.
const RECORDS: usize = 200;

/// The files of a bundle, secrets struck out.
///
/// # Errors
/// The secrets or the store cannot be read.
pub async fn files(app: &App, params: SupportParams) -> Result<Vec<SupportFile>, UserError> {
    let secrets = secrets(app).await?;
    let mut redactor = Redactor::new(&secrets);
    if params.anonymous == Some(true) {
        redactor = anonymous(app, redactor);
    }
    let lines = params.lines.unwrap_or(LINES.0).clamp(1, LINES.1);
    let mut bundle = Bundle { redactor, files: Vec::new(), room: MAX_ALL };
    let (apps, survey) = doctor::survey(app).await;
    let checks = doctor::examine(app).await?;
    bundle.add("doctor.txt", "all checks with their mends", &checks_text(&checks));
    bundle.add("doctor.json", "the same for programs", &pretty(&checks));
    bundle.add("versions.json", "versions of all parts", &pretty(&versions(app, &survey)));
    let state = app.hub.now().data;
    let state: serde_json::Value = serde_json::from_slice(&state).unwrap_or_default();
    bundle.add("state.json", "the published state", &pretty(&state));
    bundle.add("podman.txt", "what Podman has of ours", &podman(&survey));
    history(app, &mut bundle).await?;
    if let Some(units) = survey.observed.unit_files.get() {
        for (name, text) in units {
            bundle.add(&format!("units/{name}"), "a unit file", text);
        }
    }
    logs(app, &apps, lines, &mut bundle).await;
    for (name, text) in app.backends.survey.journal(lines).await {
        bundle.add(&format!("journal/{name}.log"), "lines of the journal", &text);
    }
    Ok(bundle.files)
}

/// Everything that must be struck out.
///
/// # Errors
/// The secrets cannot be read.
pub async fn secrets(app: &App) -> Result<Vec<Secret>, UserError> {
    let mut secrets = app.backends.survey.secrets().await?;
    secrets.extend(app.notify.secrets());
    Ok(secrets)
}

/// A bundle that grows up to its limit.
struct Bundle {
    redactor: Redactor,
    files: Vec<SupportFile>,
    /// Bytes that still fit.
    room: usize,
}

impl Bundle {
    fn add(&mut self, name: &str, about: &str, text: &str) {
        let text = self.redactor.clean(text);
        let limit = MAX_FILE.min(self.room);
        let cut = text.len() > limit;
        let from = if cut { text.ceil_char_boundary(text.len() - limit) } else { 0 };
        let text = text[from..].to_owned();
        self.room -= text.len();
        let name = self.redactor.clean(name);
        self.files.push(SupportFile { name, about: about.to_owned(), text, cut });
    }
}

/// Also without names and addresses of the host.
fn anonymous(app: &App, redactor: Redactor) -> Redactor {
    let home = crate::config::User::current().home;
    let home = home.map(|home| home.display().to_string()).unwrap_or_default();
    let mut redactor = redactor.rename(home, "<home>").rename(&app.hostname, "<host>");
    if let Some(address) = crate::app::host_ip(&app.config) {
        redactor = redactor.rename(address.to_string(), "<address>");
    }
    match &app.config.naming.public_host {
        Some(name) => redactor.rename(name, "<public-host>"),
        None => redactor,
    }
}

fn pretty<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn checks_text(checks: &[Check]) -> String {
    let mut out = String::new();
    for check in checks {
        let level = format!("{:?}", check.level).to_lowercase();
        // writing into a text does not fail
        _ = writeln!(out, "{level:<8}{}/{}: {}", check.area, check.name, check.text);
        if let Some(mend) = &check.mend {
            _ = writeln!(out, "        mend: {mend}");
        }
    }
    out
}

fn versions(app: &App, survey: &Survey) -> serde_json::Value {
    let kernel = rustix::system::uname();
    let podman = survey.podman.get();
    json!({
        "archipelago": VERSION,
        "uptime_seconds": app.uptime_secs(),
        "taken": clock::now().to_string(),
        "kernel": kernel.release().to_string_lossy(),
        "architecture": crate::system::architecture(),
        "os": std::fs::read_to_string("/etc/os-release").unwrap_or_default(),
        "podman": podman.map(|podman| &podman.version),
        "systemd": survey.manager.get().map(|manager| &manager.version),
        "data": facts::figures(&app.config.paths.data_dir),
        "state": facts::figures(&app.config.paths.state_dir),
    })
}

fn podman(survey: &Survey) -> String {
    format!("{:#?}\n\n{:#?}\n\n{:#?}\n", survey.podman, survey.belongings, survey.manager)
}

async fn history(app: &App, bundle: &mut Bundle) -> Result<(), UserError> {
    let rows = app.store.history(None, None, RECORDS).await?;
    let records: Vec<_> = rows.into_iter().map(|row| operation_record(row, true)).collect();
    bundle.add("history.json", "operations with their plans and outcomes", &pretty(&records));
    let events = app.store.events(None, None, RECORDS).await?;
    bundle.add("events.json", "what happened to apps and node", &pretty(&events));
    Ok(())
}

/// The last lines of every service's log.
async fn logs(app: &App, apps: &[archy_plan::DesiredApp], lines: u32, bundle: &mut Bundle) {
    let services = apps.iter().flat_map(|app| {
        let manifest = &app.manifest;
        manifest.services.keys().map(|name| archy_manifest::names::container(manifest, name))
    });
    let containers: Vec<String> = services.collect();
    let source = &app.backends.logs;
    let tails = containers.iter().map(|name| source.tail(name, lines as usize, None));
    for (container, entries) in containers.iter().zip(join_all(tails).await) {
        let text = match entries {
            Ok(entries) => entries.iter().map(line).collect(),
            Err(error) => format!("could not be read: {error}\n"),
        };
        bundle.add(&format!("logs/{container}.log"), "a container's last lines", &text);
    }
}

fn line(entry: &LogEntry) -> String {
    let Timestamp(millis) = entry.at;
    format!("{}.{:03} {}\n", entry.at, millis.rem_euclid(60_000), entry.line)
}
