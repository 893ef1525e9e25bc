//! `archy uninstall`.

use archy_api::method::{PackagePlan, PackageUninstall};
use archy_api::package::{InstallParams, PlanAction, PlanParams, UninstallParams};

use super::lifecycle::{self, Words};
use crate::context::Context;
use crate::error::{CommandError, Kind};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Apps
    #[arg(required = true, value_name = "APP")]
    apps: Vec<String>,
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
        confirm(context, &args.apps).await?;
    }
    let words = Words {
        done: if args.purge { "and its data are gone" } else { "is uninstalled; its data stays" },
        going: "is being uninstalled",
        already: "is already uninstalled",
    };
    let params = args.apps.iter().map(|app| UninstallParams { id: app.clone(), purge: args.purge });
    lifecycle::each::<PackageUninstall>(context, params, words).await
}

/// Names what will go, and asks.
async fn confirm(context: &Context, apps: &[String]) -> Result<(), CommandError> {
    let mut stakes = Vec::new();
    for app in apps {
        let params = PlanParams {
            action: PlanAction::Uninstall,
            target: InstallParams { id: app.clone(), ..InstallParams::default() },
            purge: true,
            keep_data: false,
        };
        let plan = context.client.call::<PackagePlan>(params).await?;
        stakes.push(format!("This removes {app} and, for good:"));
        let lost = |kind: &str| kind.starts_with("purge") || kind == "prune-snapshots";
        let purges = plan.steps.iter().filter(|step| lost(&step.kind));
        stakes.extend(purges.map(|step| format!("  - {}", step.text)));
    }
    let (stakes, question) =
        (stakes.join("\n"), format!("Remove all of it from {}?", apps.join(", ")));
    match context.ui.confirm(&stakes, &question, "--yes")? {
        true => Ok(()),
        false => Err(CommandError::new(Kind::Failed, "not-confirmed", "Nothing was changed.")),
    }
}
