//! `archy app validate`.

use std::path::PathBuf;

use serde_json::json;

use crate::context::Context;
use crate::error::{CommandError, Kind};
use crate::manifest_file;
use crate::ui::Style;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Manifests, or directories that hold one
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Fail on warnings too
    #[arg(long)]
    strict: bool,
}

/// Runs it.
pub(crate) fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let mut reports = Vec::new();
    let mut bad = 0;
    for path in &args.paths {
        let file = manifest_file::read(path)?;
        let warned = file.diagnostics.warnings().next().is_some();
        let valid = file.manifest.is_some() && !(args.strict && warned);
        bad += usize::from(!valid);
        reports.push((file, valid));
    }
    let json: Vec<_> = reports
        .iter()
        .map(|(file, valid)| {
            json!({"path": file.path, "valid": valid, "findings": file.diagnostics.to_json()})
        })
        .collect();
    context.ui.result(&json, |paint| {
        let mut out = String::new();
        for (file, valid) in &reports {
            if !file.diagnostics.0.is_empty() {
                out.push_str(&file.diagnostics.render(&file.name()));
                out.push('\n');
            }
            let word = match valid {
                true => paint.paint(Style::Good, "valid"),
                false => paint.paint(Style::Bad, "not valid"),
            };
            out.push_str(&format!("{}: {word}\n", file.name()));
        }
        out
    })?;
    match bad {
        0 => Ok(()),
        _ => Err(CommandError::silent(Kind::Refused)),
    }
}
