//! `archy uninstall`.

use archy_api::method::{PackagePlan, PackageUninstall};
use archy_api::package::{InstallParams, PlanAction, PlanParams, UninstallParams};

use super::lifecycle::{self, Words};
use crate::context::Context;
use crate::error::{CommandError, Kind};
use crate::ui::Style;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The app
    app: String,
    /// Also remove its data, volumes and secrets, for good
    #[arg(long)]
    purge: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Runs it.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    if args.purge && !args.yes {
        confirm(context, &args.app).await?;
    }
    let params = UninstallParams { id: args.app.clone(), purge: args.purge };
    let answer = context.client.call::<PackageUninstall>(params).await?;
    let words = Words {
        done: if args.purge { "and its data are gone" } else { "is uninstalled; its data stays" },
        going: "is being uninstalled",
        already: "is already uninstalled",
    };
    let line = lifecycle::end(context, &answer, words).await?;
    context.ui.result(&answer, |paint| paint.paint(Style::Good, &line))
}

/// Names what will go, and asks.
async fn confirm(context: &Context, app: &str) -> Result<(), CommandError> {
    let params = PlanParams {
        action: PlanAction::Uninstall,
        target: InstallParams { id: app.to_owned(), ..InstallParams::default() },
        purge: true,
    };
    let plan = context.client.call::<PackagePlan>(params).await?;
    let mut stakes = format!("This removes {app} and, for good:");
    for step in plan.steps.iter().filter(|step| step.kind.starts_with("purge")) {
        stakes.push_str(&format!("\n  - {}", step.text));
    }
    let question = format!("Remove all of it from {app}?");
    match context.ui.confirm(&stakes, &question, "--yes")? {
        true => Ok(()),
        false => Err(CommandError::new(Kind::Failed, "not-confirmed", "Nothing was changed.")),
    }
}
