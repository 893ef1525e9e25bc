//! `archy doctor`: looks for what is wrong with this machine, and says how to mend it.
//!
//! With the daemon's help where it answers, else by looking at the files of this machine.

mod host;
mod remote;

use serde::Serialize;

use crate::context::Context;
use crate::error::{CommandError, Kind};
use crate::ui::{Paint, Style};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warn,
    Fail,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    name: String,
    level: Level,
    detail: String,
    mend: Option<String>,
}

impl Check {
    fn ok(name: &str, detail: impl Into<String>) -> Self {
        Self { name: name.to_owned(), level: Level::Ok, detail: detail.into(), mend: None }
    }

    fn warn(name: &str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        let mend = Some(mend.into());
        Self { name: name.to_owned(), level: Level::Warn, detail: detail.into(), mend }
    }

    fn fail(name: &str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { level: Level::Fail, ..Self::warn(name, detail, mend) }
    }
}

/// Runs it.
pub(crate) async fn run(context: &Context, _: &Args) -> Result<(), CommandError> {
    let mut checks = Vec::new();
    if remote::checks(context, &mut checks).await.is_none() {
        host::checks(&context.environment, &mut checks);
    }
    let failed = checks.iter().filter(|check| check.level == Level::Fail).count();
    context.ui.result(&checks, |paint| render(&checks, paint))?;
    match failed {
        0 => Ok(()),
        _ => Err(CommandError::silent(Kind::Failed)),
    }
}

fn render(checks: &[Check], paint: &Paint) -> String {
    let mut out = String::new();
    for check in checks {
        let word = match check.level {
            Level::Ok => paint.paint(Style::Good, "ok  "),
            Level::Warn => paint.paint(Style::Warn, "warn"),
            Level::Fail => paint.paint(Style::Bad, "fail"),
        };
        out.push_str(&format!("{word} {:<12} {}\n", check.name, check.detail));
        if let Some(mend) = &check.mend {
            out.push_str(&format!("     {:<12} mend: {mend}\n", ""));
        }
    }
    let count = |level: Level| checks.iter().filter(|check| check.level == level).count();
    let (warn, fail) = (count(Level::Warn), count(Level::Fail));
    out.push_str(&format!("{} checks, {warn} warnings, {fail} failures\n", checks.len()));
    out
}
