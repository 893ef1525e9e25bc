//! `archy cancel`.

use archy_api::method::PackageCancel;
use archy_api::package::CancelParams;

use crate::context::Context;
use crate::error::{CommandError, Kind};
use crate::ui::Style;
use crate::wait;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The app
    app: String,
    /// Only this operation, by its number in `archy history`
    #[arg(long, value_name = "NUMBER")]
    operation: Option<i64>,
}

/// Runs it.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let params = CancelParams { id: args.app.clone(), operation: args.operation };
    let answer = context.client.call::<PackageCancel>(params).await?;
    let mut line = format!("{} goes back to what it was", args.app);
    if let Some(operation) = answer.operation.filter(|_| context.wait) {
        line = match wait::operation(context, &args.app, operation).await {
            // that it was cancelled is what was asked for
            Err(error) if error.code == "cancelled" => format!("{} is what it was", args.app),
            Ok(record) => {
                let message = format!("The {} was done before it could be cancelled.", record.kind);
                return Err(CommandError::new(Kind::Failed, "cancel-late", message)
                    .hint(format!("`archy status {}` shows how it is.", args.app)));
            }
            Err(error) => return Err(error),
        };
    }
    context.ui.result(&answer, |paint| paint.paint(Style::Good, &line))
}
