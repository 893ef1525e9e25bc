//! `archy update`.

use std::collections::BTreeMap;

use archy_api::NoParams;
use archy_api::method::{PackagePlan, PackageUpdate, ServerGetState};
use archy_api::package::{InstallParams, PlanAction, PlanParams, PlanResult, UpdateParams};
use archy_api::state::Severity;
use serde_json::{Value, json};

use super::install::{self, Choices};
use super::lifecycle;
use super::plan::finding;
use crate::context::Context;
use crate::error::{CommandError, Kind};
use crate::ui::Style;
use crate::wait;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Installed apps, or paths of manifests or of their directories
    #[arg(value_name = "APP|PATH", required_unless_present = "all")]
    targets: Vec<String>,
    /// All apps of which the node has another manifest than the installed one
    #[arg(long, conflicts_with = "targets")]
    all: bool,
    /// Do not ask: consent to what the new version may do beyond the installed one
    #[arg(long, short)]
    yes: bool,
}

/// What became of one app.
struct Ending {
    app: String,
    line: String,
    json: Value,
}

/// An update that was accepted.
struct Begun {
    app: String,
    operation: Option<i64>,
}

/// Runs it: every app for itself, so that one failure does not hold the others.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), CommandError> {
    let state = context.client.call::<ServerGetState>(NoParams {}).await?.data;
    let installed: BTreeMap<String, String> =
        state.package_data.into_iter().map(|(id, package)| (id, package.digest)).collect();
    let mut failures = Vec::new();
    let mut targets = Vec::new();
    if args.all {
        let known = |id: &String| InstallParams { id: id.clone(), ..InstallParams::default() };
        targets.extend(installed.keys().map(known));
    }
    for target in &args.targets {
        match install::params(context, target, Choices::default()) {
            Ok(params) => targets.push(params),
            Err(error) => failures.push(error),
        }
    }
    let (mut begun, mut endings) = (Vec::new(), Vec::new());
    for target in targets {
        let app = target.id.clone();
        match begin(context, &args, target, installed.get(&app)).await {
            Ok(Some(operation)) => begun.push(Begun { app, operation }),
            Ok(None) => endings.push(unchanged(app)),
            Err(error) => failures.push(error),
        }
    }
    for update in begun {
        match end(context, update).await {
            Ok(ending) => endings.push(ending),
            Err(error) => failures.push(error),
        }
    }
    endings.sort_by(|one, other| one.app.cmp(&other.app));
    if !endings.is_empty() || failures.is_empty() {
        let list: Vec<&Value> = endings.iter().map(|ending| &ending.json).collect();
        context.ui.result(&list, |paint| {
            let lines = endings.iter().map(|ending| paint.paint(Style::Good, &ending.line));
            lines.collect::<Vec<_>>().join("\n")
        })?;
    }
    lifecycle::first_failure(context, failures)
}

fn unchanged(app: String) -> Ending {
    let line = format!("{app} is up to date.");
    let json = json!({ "package_id": app, "outcome": "unchanged" });
    Ending { app, line, json }
}

/// Plans, shows what matters, asks where it must, and begins. Nothing when there is nothing to do.
async fn begin(
    context: &Context,
    args: &Args,
    target: InstallParams,
    installed: Option<&String>,
) -> Result<Option<Option<i64>>, CommandError> {
    let app = target.id.clone();
    let (action, target) = (PlanAction::Update, target);
    let params = PlanParams { action, target: target.clone(), purge: false, keep_data: false };
    let plan = match context.client.call::<PackagePlan>(params).await {
        Ok(plan) => plan,
        Err(error) => {
            let error = CommandError::from(error);
            // an app that came from a path has no other manifest to be brought to
            let nothing = args.all && error.code == "manifest-not-found";
            return if nothing { Ok(None) } else { Err(error) };
        }
    };
    let older = plan.checks.iter().any(|check| check.code.as_str() == "downgrade-refused");
    if installed == Some(&plan.manifest) || (args.all && older) {
        return Ok(None);
    }
    let consent = consent(context, args, &plan)?;
    let answer = context.client.call::<PackageUpdate>(UpdateParams { target, consent }).await?;
    if let Some(warning) = &answer.warning {
        context.ui.warn(warning);
    }
    if answer.operation.is_none() {
        context.ui.tell(&format!("{app}: nothing changes."));
    }
    Ok(Some(answer.operation))
}

/// Shows the plan's findings; asks for consent when the new version may do more.
fn consent(
    context: &Context,
    args: &Args,
    plan: &PlanResult,
) -> Result<Option<String>, CommandError> {
    let shown = |severity| {
        let checks = plan.checks.iter().filter(move |check| check.severity == severity);
        checks.map(|check| finding(check, context.ui.paint())).collect::<String>()
    };
    let notes = format!("{}{}", shown(Severity::Warning), shown(Severity::Note));
    context.ui.tell(&format!("{}: {} steps\n{notes}", plan.package_id, plan.steps.len()));
    let wider = plan.checks.iter().filter(|check| check.code.as_str() == "rights-widened");
    let wider: Vec<String> = wider.map(|check| format!("  - {}", check.message)).collect();
    if wider.is_empty() || !plan.allowed {
        return Ok(None);
    }
    let stakes = format!("The new version of {} now wants:\n{}", plan.package_id, wider.join("\n"));
    if !args.yes && !context.ui.confirm(&stakes, "Allow this?", "--yes")? {
        let message = format!("{} stays as it is.", plan.package_id);
        return Err(CommandError::new(Kind::Failed, "not-confirmed", message));
    }
    Ok(Some(plan.manifest.clone()))
}

async fn end(context: &Context, update: Begun) -> Result<Ending, CommandError> {
    let Begun { app, operation } = update;
    let Some(id) = operation.filter(|_| context.wait) else {
        let line = format!("{app} is being updated; `archy status {app}` shows how far it is.");
        let json = json!({ "package_id": app, "outcome": "running", "operation": operation });
        return Ok(Ending { app, line, json });
    };
    let record = wait::operation(context, &app, id).await?;
    let json = json!({ "package_id": app, "outcome": record.outcome, "operation": id });
    Ok(Ending { line: format!("{app} is updated."), app, json })
}
