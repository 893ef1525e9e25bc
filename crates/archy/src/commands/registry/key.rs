//! `archy registry key`.

use std::path::PathBuf;

use archy_registry::PrivateKey;
use serde_json::json;

use crate::context::Context;
use crate::error::CommandError;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File of the key; the public half stands beside it with `.pub` at its end
    file: PathBuf,
    /// Show the key that is there instead of making one
    #[arg(long)]
    show: bool,
}

/// Runs it.
pub(crate) fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let public = if args.show {
        super::public_key(&args.file)?
    } else {
        PrivateKey::create(&args.file).map_err(super::failed)?.public().clone()
    };
    let id = public.id().map_err(super::failed)?;
    context.ui.result(&json!({"file": args.file, "id": id, "key": public}), |_| {
        let file = args.file.display();
        if args.show {
            return id.clone();
        }
        format!(
            "Wrote {file} and {file}.pub.\nId: {id}\nWhoever has {file} can sign; keep it offline."
        )
    })
}
