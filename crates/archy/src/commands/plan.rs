//! `archy plan`.

use archy_api::method::PackagePlan;
use archy_api::package::{InstallParams, PlanAction, PlanParams, PlanResult};
use archy_api::state::{Finding, Severity};
use clap::ValueEnum;

use super::install::{self, Choices};
use crate::context::Context;
use crate::error::{CommandError, Kind};
use crate::ui::{Paint, Style};

/// Actions that can be planned.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Action {
    Install,
    Start,
    Stop,
    Restart,
    Uninstall,
    Update,
    Rollback,
    Adopt,
    Migrate,
    MigrateRollback,
}

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The action
    action: Action,
    /// The app; for an install or an update also the path of a manifest
    #[arg(value_name = "APP|PATH")]
    target: String,
    /// For an uninstall: also its data
    #[arg(long)]
    purge: bool,
    /// For a rollback: the data stays as it is
    #[arg(long)]
    keep_data: bool,
    #[command(flatten)]
    choices: Choices,
}

/// Runs it.
pub(crate) async fn run(context: &Context, args: Args) -> Result<(), CommandError> {
    let (action, target) = match args.action {
        Action::Install => {
            (PlanAction::Install, install::params(context, &args.target, args.choices)?)
        }
        Action::Start => (PlanAction::Start, app(args.target)),
        Action::Stop => (PlanAction::Stop, app(args.target)),
        Action::Restart => (PlanAction::Restart, app(args.target)),
        Action::Uninstall => (PlanAction::Uninstall, app(args.target)),
        Action::Update => {
            (PlanAction::Update, install::params(context, &args.target, args.choices)?)
        }
        Action::Rollback => (PlanAction::Rollback, app(args.target)),
        Action::Adopt => (PlanAction::Adopt, install::params(context, &args.target, args.choices)?),
        Action::Migrate => (PlanAction::Migrate, app(args.target)),
        Action::MigrateRollback => (PlanAction::MigrateRollback, app(args.target)),
    };
    let params = PlanParams { action, target, purge: args.purge, keep_data: args.keep_data };
    let plan = context.client.call::<PackagePlan>(params).await?;
    context.ui.result(&plan, |paint| render(&plan, paint))?;
    match plan.allowed {
        true => Ok(()),
        false => Err(CommandError::new(
            Kind::Refused,
            "plan-refused",
            "A check forbids this plan; it would be refused.",
        )),
    }
}

fn app(id: String) -> InstallParams {
    InstallParams { id, ..InstallParams::default() }
}

pub(crate) fn render(plan: &PlanResult, paint: &Paint) -> String {
    let mut out = String::new();
    if plan.steps.is_empty() {
        out.push_str("Nothing to do: it is already so.\n");
    }
    for (index, step) in plan.steps.iter().enumerate() {
        let number = paint.paint(Style::Strong, &format!("{:>2}.", index + 1));
        let reason = paint.paint(Style::Faint, &format!("({})", step.reason.trim_end_matches('.')));
        out.push_str(&format!("{number} {} {reason}\n", step.text));
        for line in step.diff.iter().flat_map(|diff| diff.lines()) {
            let style = match line.as_bytes().first() {
                Some(b'+') => Style::Good,
                Some(b'-') => Style::Bad,
                _ => Style::Faint,
            };
            out.push_str(&format!("      {}\n", paint.paint(style, line)));
        }
    }
    for check in &plan.checks {
        out.push_str(&finding(check, paint));
    }
    out
}

/// A finding with its mend, one or two lines.
pub(crate) fn finding(check: &Finding, paint: &Paint) -> String {
    let word = match check.severity {
        Severity::Note => paint.paint(Style::Accent, "note"),
        Severity::Warning => paint.paint(Style::Warn, "warning"),
        Severity::Error => paint.paint(Style::Bad, "error"),
    };
    let mend = check.mend.iter().map(|mend| format!("  mend: {mend}\n")).collect::<String>();
    format!("{word}[{}]: {}\n{mend}", check.code, check.message)
}
