//! `archy rollback`.

use archy_api::method::{PackagePlan, PackageRollback};
use archy_api::package::{InstallParams, PlanAction, PlanParams, RollbackParams};

use super::lifecycle::{self, Words};
use super::plan::render;
use crate::context::Context;
use crate::error::{CommandError, Kind};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The app
    app: String,
    /// Keep the data as it is instead of that from before the update
    #[arg(long)]
    keep_data: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Runs it.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    if !args.yes {
        confirm(context, args).await?;
    }
    let words = Words {
        done: "is back at the version before the update",
        going: "is being brought back",
        already: "needs no way back",
    };
    let params = RollbackParams { id: args.app.clone(), keep_data: args.keep_data };
    lifecycle::each::<PackageRollback>(context, std::iter::once(params), words).await
}

/// Shows the plan with what would be lost, and asks.
async fn confirm(context: &Context, args: &Args) -> Result<(), CommandError> {
    let params = PlanParams {
        action: PlanAction::Rollback,
        target: InstallParams { id: args.app.clone(), ..InstallParams::default() },
        purge: false,
        keep_data: args.keep_data,
    };
    let plan = context.client.call::<PackagePlan>(params).await?;
    if !plan.allowed {
        // the request itself says why it is refused
        return Ok(());
    }
    let question = format!("Take the last update of {} back?", args.app);
    let stakes = render(&plan, context.ui.paint());
    match context.ui.confirm(&stakes, &question, "--yes")? {
        true => Ok(()),
        false => Err(CommandError::new(Kind::Failed, "not-confirmed", "Nothing was changed.")),
    }
}
