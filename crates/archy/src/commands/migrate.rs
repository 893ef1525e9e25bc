//! `archy migrate`.

use archy_api::method::{PackageMigrate, PackagePlan};
use archy_api::package::{InstallParams, MigrateParams, MigrateWay, PlanAction, PlanParams};

use super::lifecycle::{self, Words};
use super::plan::render;
use crate::context::Context;
use crate::error::{CommandError, Kind};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The adopted app
    app: String,
    /// Bring back the containers that were there before the migration
    #[arg(long, conflicts_with = "commit")]
    rollback: bool,
    /// Give up the way back: containers that were kept aside are removed, their data is not
    #[arg(long)]
    commit: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Runs it.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let (way, words) = match (args.rollback, args.commit) {
        (true, _) => (
            MigrateWay::Rollback,
            Words {
                done: "runs again as it was adopted",
                going: "is being brought back",
                already: "runs as it was adopted",
            },
        ),
        (_, true) => (
            MigrateWay::Commit,
            Words {
                done: "is migrated for good",
                going: "is being migrated for good",
                already: "is migrated for good already",
            },
        ),
        _ => (
            MigrateWay::Migrate,
            Words {
                done: "is migrated; `archy migrate --rollback` brings the old containers back",
                going: "is being migrated",
                already: "is migrated already",
            },
        ),
    };
    if !args.yes {
        confirm(context, args, way).await?;
    }
    let params = MigrateParams { id: args.app.clone(), accept: true, way };
    lifecycle::each::<PackageMigrate>(context, std::iter::once(params), words).await
}

/// Shows the plan with what will change, and asks.
async fn confirm(context: &Context, args: &Args, way: MigrateWay) -> Result<(), CommandError> {
    let app = &args.app;
    let (action, question) = match way {
        MigrateWay::Migrate => (PlanAction::Migrate, format!("Migrate {app}?")),
        MigrateWay::Rollback => {
            (PlanAction::MigrateRollback, format!("Bring the old containers of {app} back?"))
        }
        MigrateWay::Commit => {
            let stakes = format!(
                "The containers of {app} from before the migration are removed; there is no way \
                 back then. Their data stays where it is."
            );
            return match context.ui.confirm(&stakes, "Remove them?", "--yes")? {
                true => Ok(()),
                false => Err(unchanged()),
            };
        }
    };
    let params = PlanParams {
        action,
        target: InstallParams { id: app.clone(), ..InstallParams::default() },
        purge: false,
        keep_data: false,
    };
    let plan = context.client.call::<PackagePlan>(params).await?;
    if !plan.allowed || plan.steps.is_empty() {
        // the request itself says why
        return Ok(());
    }
    let stakes = render(&plan, context.ui.paint());
    match context.ui.confirm(&stakes, &question, "--yes")? {
        true => Ok(()),
        false => Err(unchanged()),
    }
}

fn unchanged() -> CommandError {
    CommandError::new(Kind::Failed, "not-confirmed", "Nothing was changed.")
}
