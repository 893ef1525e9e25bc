//! `archy app test`.

use std::path::PathBuf;

use archy_gate::document;
use archy_gate::gate::{self, Plan};
use archy_gate::outcome::Verdict;
use archy_gate::report::Format;

use crate::commands::gating::{self, FormatArg, NodeArgs};
use crate::context::Context;
use crate::error::{CommandError, Kind};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id of an app that the node knows, or the path of a manifest or of its directory
    #[arg(value_name = "APP|PATH", required_unless_present = "verify")]
    target: Option<String>,
    /// Form of the result
    #[arg(long, value_enum, default_value_t)]
    format: FormatArg,
    /// Also write the result in every form into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Do seeded harm in every phase
    #[arg(long, value_name = "SEED")]
    chaos: Option<u64>,
    #[command(flatten)]
    node: NodeArgs,
    /// Check the signature of a result instead, and show it
    #[arg(long, value_name = "FILE", conflicts_with = "target")]
    verify: Option<PathBuf>,
}

/// Runs it.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let format = if context.ui.is_json() { Format::Json } else { args.format.into() };
    if let Some(file) = &args.verify {
        let bytes = std::fs::read(file).map_err(|error| {
            let message = format!("{} cannot be read: {error}.", file.display());
            CommandError::new(Kind::NotFound, "file-unreadable", message)
        })?;
        let document = document::verify(&bytes).map_err(gating::document_error)?;
        return context.ui.raw(&gating::form(format, &[document])?);
    }
    let node = gating::node(context, &args.node).await?;
    let target = args.target.as_deref().unwrap_or_default();
    let plan = Plan {
        specs: vec![gating::spec(target, &node).await?],
        iterations: 1,
        chaos: args.chaos,
        existing: args.node.existing,
        parallel: args.node.parallel,
        progress: None,
    };
    let payloads =
        gate::run(&node, &plan, &|line| context.ui.tell(line)).await.map_err(gating::gate_error)?;
    let documents = gating::sign(context, payloads)?;
    if let Some(out) = &args.out {
        for form in Format::ALL {
            let file = out.join(format!("{}.{}", plan.specs[0].id(), form.ending()));
            gating::write(&file, &gating::form(form, &documents)?)?;
        }
    }
    context.ui.raw(&gating::form(format, &documents)?)?;
    end(documents.iter().fold(Verdict::Passed, |verdict, d| verdict.and(d.payload.verdict)))
}

/// The exit code of a verdict: only what passed in full is a success.
pub(crate) fn end(verdict: Verdict) -> Result<(), CommandError> {
    match verdict {
        Verdict::Passed => Ok(()),
        Verdict::Incomplete => Err(CommandError::new(
            Kind::Failed,
            "gate-incomplete",
            "Nothing failed, but not everything could be tried.",
        )
        .hint("The result says what was skipped and why.")),
        Verdict::Failed => Err(CommandError::new(Kind::Failed, "gate-failed", "Something failed.")
            .hint("The result says what, and who is to blame.")),
    }
}
