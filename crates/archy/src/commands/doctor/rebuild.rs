//! `archy doctor --rebuild`: has the daemon's own program build the store again, as the service
//! user, while no daemon has it open.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use archy_api::NoParams;
use archy_api::method::Health;
use archy_types::UserError;
use serde::{Deserialize, Serialize};

use super::host::subject;
use crate::context::Context;
use crate::error::{CommandError, Kind};
use crate::ui::{Paint, Style, Table};

/// What the program says that it did.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    found: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aside: Option<PathBuf>,
    apps: Vec<AppOutcome>,
}

#[derive(Debug, Serialize, Deserialize)]
struct AppOutcome {
    app: String,
    outcome: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<UserError>,
}

/// Runs it.
pub(super) async fn run(
    context: &Context,
    even_if_whole: bool,
    yes: bool,
) -> Result<(), CommandError> {
    if context.client.call::<Health>(NoParams {}).await.is_ok() {
        let text = "The daemon runs and has its store open.";
        return Err(CommandError::new(Kind::Refused, "daemon-running", text).hint(
            "A damaged store is put right by a restart of the daemon. To build it again anyway: \
             `systemctl stop archipelago-https.socket archipelago-http.socket archipelago`, then \
             this again.",
        ));
    }
    if even_if_whole && !yes {
        let stakes = "This builds the store again although it may be whole. History, sessions and \
                      the ways back of updates are lost; the old store is kept beside.";
        if !context.ui.confirm(stakes, "Build it again?", "--yes")? {
            return Err(CommandError::new(Kind::Failed, "not-confirmed", "Nothing was changed."));
        }
    }
    let report = program(context, even_if_whole)?;
    context.ui.result(&report, |paint| render(&report, paint))?;
    let refused = report.apps.iter().any(|app| app.error.is_some());
    if refused { Err(CommandError::silent(Kind::Failed)) } else { Ok(()) }
}

/// Runs the daemon's program as the service user.
fn program(context: &Context, even_if_whole: bool) -> Result<Report, CommandError> {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let own = context.environment.uid;
    let subject = subject(&passwd, own);
    #[expect(clippy::disallowed_methods, reason = "the daemon's own program, which does not run")]
    let mut command = Command::new("archipelago");
    command.args(["--rebuild-store", "--log-level", "error"]).stdin(Stdio::null());
    if even_if_whole {
        command.arg("--even-if-whole");
    }
    match subject {
        Some((name, uid)) if Some(uid) != own => {
            if own != Some(0) {
                let text = format!("Only root and {name} may build the store again.");
                let error = CommandError::new(Kind::Unauthorized, "not-permitted", text);
                return Err(error.hint("Run it with sudo."));
            }
            let field = |index| field(&passwd, &name, index);
            let group = field(3).and_then(|group| group.parse().ok()).unwrap_or(uid);
            let home = field(5).unwrap_or_default();
            command.uid(uid).gid(group).env("HOME", home).env("USER", &name);
            command.env("XDG_RUNTIME_DIR", format!("/run/user/{uid}"));
            command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path=/run/user/{uid}/bus"));
            command.current_dir("/");
        }
        _ => {}
    }
    let output = command.output().map_err(|error| {
        CommandError::new(Kind::Failed, "program", format!("archipelago cannot be run: {error}."))
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let unreadable = || {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = format!("The store was not built again: {}", said.trim());
        CommandError::new(Kind::Failed, "rebuild-failed", said)
    };
    if output.status.success() {
        return serde_json::from_str(&text).map_err(|_| unreadable());
    }
    let error: UserError = serde_json::from_str(&text).map_err(|_| unreadable())?;
    Err(CommandError::failed(&error))
}

/// A field of a user's line, from nought.
fn field(passwd: &str, user: &str, index: usize) -> Option<String> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(user))?;
    line.split(':').nth(index).map(str::to_owned)
}

fn render(report: &Report, paint: &Paint) -> String {
    let mut out = match report.found.as_str() {
        "whole" => "The store is whole; nothing was changed.\n".to_owned(),
        "new" => "There was no store, and nothing that one could be built from.\n".to_owned(),
        "unwritable" => "The store cannot be written; nothing was changed.\n".to_owned(),
        "restored" => "The store was damaged; its last good copy took its place.\n".to_owned(),
        _ => "The store was built again.\n".to_owned(),
    };
    if let Some(reason) = &report.reason {
        out.push_str(&format!("Why: {reason}.\n"));
    }
    if let Some(aside) = &report.aside {
        out.push_str(&format!("The old files are kept at {}.\n", aside.display()));
    }
    if report.apps.is_empty() {
        return out;
    }
    let mut table = Table::new(&["APP", "OUTCOME"]);
    for app in &report.apps {
        let style = if app.error.is_some() { Style::Bad } else { Style::Good };
        table.row(vec![(app.app.clone(), None), (app.outcome.clone(), Some(style))]);
    }
    out.push('\n');
    out.push_str(&table.render(paint));
    for app in &report.apps {
        if let Some(error) = &app.error {
            out.push_str(&format!("{}: {} [{}]\n", app.app, error.message, error.code));
        }
    }
    out.push_str("\nStart the daemon: `systemctl start archipelago-https.socket archipelago`.\n");
    out
}
