//! `archy doctor`: looks for what is wrong with this machine, says how to mend it, and mends what
//! loses nothing.
//!
//! With the daemon's help where it answers, else by looking at the files of this machine.

mod host;
mod rebuild;

use archy_api::NoParams;
use archy_api::doctor::{MendParams, MendResult};
use archy_api::method::{SystemDoctor, SystemMend};
use archy_client::ClientError;
use archy_types::doctor::{Check, Level};
use serde_json::json;

use crate::context::Context;
use crate::error::{CommandError, Kind};
use crate::ui::{Paint, Style, Table};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Apply the mends that lose nothing
    #[arg(long)]
    fix: bool,
    /// Build a store that is lost or damaged again, from manifests, units and data; as root or the
    /// service user, with the daemon stopped
    #[arg(long, conflicts_with = "fix")]
    rebuild: bool,
    /// With --rebuild: also a store that is whole, which is kept beside
    #[arg(long, requires = "rebuild")]
    even_if_whole: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Runs it.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    if args.rebuild {
        return rebuild::run(context, args.even_if_whole, args.yes).await;
    }
    let (checks, online) = examine(context).await;
    let mut mended = None;
    if args.fix {
        mended = mend(context, &checks, online, args.yes).await?;
    }
    // what was mended is looked at again
    let checks = if mended.is_some() { examine(context).await.0 } else { checks };
    let json = json!({"checks": checks, "mends": mended.as_ref().map(|done| &done.mends)});
    context.ui.result(&json, |paint| {
        let done = mended.as_ref().map(|done| done_text(done, paint)).unwrap_or_default();
        format!("{done}{}", render(&checks, paint))
    })?;
    let failed = checks.iter().any(|check| check.level == Level::Fail);
    let unmended = mended.iter().flat_map(|done| &done.mends).any(|mend| mend.error.is_some());
    if failed || unmended { Err(CommandError::silent(Kind::Failed)) } else { Ok(()) }
}

/// The checks, and whether the daemon made them.
pub(super) async fn examine(context: &Context) -> (Vec<Check>, bool) {
    match context.client.call::<SystemDoctor>(NoParams {}).await {
        Ok(report) => (report.checks, true),
        Err(error) => {
            let mut checks = vec![unreachable(context, &error)];
            host::checks(&context.environment, &mut checks);
            (checks, false)
        }
    }
}

fn unreachable(context: &Context, error: &ClientError) -> Check {
    let text = match error {
        ClientError::Unreachable { source, .. } => {
            format!("{} does not answer: {source}", context.socket.display())
        }
        other => other.to_string(),
    };
    let mend = "`systemctl status archipelago`, `journalctl -u archipelago`; apps go on without it";
    Check::fail("host", "daemon", text, mend)
}

/// Asks and applies.
async fn mend(
    context: &Context,
    checks: &[Check],
    online: bool,
    yes: bool,
) -> Result<Option<MendResult>, CommandError> {
    let offered: Vec<&Check> = checks.iter().filter(|check| check.fix.is_some()).collect();
    if !online || offered.is_empty() {
        let why = if online {
            "No check offers a mend."
        } else {
            "The daemon applies mends, and it does not answer."
        };
        context.ui.tell(why);
        return Ok(None);
    }
    if !yes {
        let lines: Vec<String> = offered
            .iter()
            .map(|check| {
                format!("  - {} ({})", check.text, check.fix.as_deref().unwrap_or_default())
            })
            .collect();
        let stakes = format!("These are mended; no data is lost:\n{}", lines.join("\n"));
        if !context.ui.confirm(&stakes, "Mend them?", "--yes")? {
            return Err(CommandError::new(Kind::Failed, "not-confirmed", "Nothing was changed."));
        }
    }
    let fixes = offered.iter().filter_map(|check| check.fix.clone()).collect();
    let params = MendParams { fixes: Some(fixes) };
    Ok(Some(context.client.call::<SystemMend>(params).await?))
}

fn done_text(done: &MendResult, paint: &Paint) -> String {
    let line = |mend: &archy_api::doctor::Mended| match &mend.error {
        None => format!("{} {}\n", paint.paint(Style::Good, "mended"), mend.text),
        Some(error) => {
            let word = paint.paint(Style::Bad, "not mended");
            format!("{word} {}: {} [{}]\n", mend.fix, error.message, error.code)
        }
    };
    done.mends.iter().map(line).chain(["\n".to_owned()]).collect()
}

fn render(checks: &[Check], paint: &Paint) -> String {
    let mut table = Table::new(&["RESULT", "AREA", "CHECK", "FOUND"]);
    for check in checks {
        let (word, style) = match check.level {
            Level::Ok => ("ok", Style::Good),
            Level::Warn => ("warn", Style::Warn),
            Level::Fail => ("fail", Style::Bad),
            Level::Unknown => ("unknown", Style::Faint),
        };
        table.row(vec![
            (word.to_owned(), Some(style)),
            (check.area.clone(), None),
            (check.name.clone(), None),
            (check.text.clone(), None),
        ]);
    }
    let mut out = table.render(paint);
    let told: Vec<&Check> = checks.iter().filter(|check| check.mend.is_some()).collect();
    if !told.is_empty() {
        out.push('\n');
    }
    for check in told {
        let mend = check.mend.as_deref().unwrap_or_default();
        let itself = if check.fix.is_some() { " (--fix does it)" } else { "" };
        let place = paint.paint(Style::Strong, &format!("{}/{}", check.area, check.name));
        out.push_str(&format!("{place}: {mend}{itself}\n"));
    }
    let count = |level: Level| checks.iter().filter(|check| check.level == level).count();
    out.push_str(&format!(
        "\n{} checks: {} ok, {} warnings, {} failures, {} unknown\n",
        checks.len(),
        count(Level::Ok),
        count(Level::Warn),
        count(Level::Fail),
        count(Level::Unknown)
    ));
    out
}
