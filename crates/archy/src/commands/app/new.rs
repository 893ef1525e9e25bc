//! `archy app new`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use archy_types::AppId;
use serde_json::json;

use crate::context::Context;
use crate::error::{CommandError, Kind};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id of the app: a-z, 0-9 and hyphens
    id: String,
    /// Name for people [default: the id with a capital letter]
    #[arg(long)]
    name: Option<String>,
    /// Directory of the package [default: ./<ID>]
    #[arg(long, value_name = "PATH")]
    dir: Option<PathBuf>,
}

/// Runs it.
pub(crate) fn run(context: &Context, args: &Args) -> Result<(), CommandError> {
    let id = AppId::new(args.id.clone()).map_err(|error| {
        CommandError::new(Kind::Usage, "id-invalid", format!("The id {:?} {error}.", args.id))
    })?;
    let name = args.name.clone().unwrap_or_else(|| capital(id.as_str()));
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(CommandError::new(
            Kind::Usage,
            "name-invalid",
            "The name must be one line of 1 to 100 characters.",
        ));
    }
    let dir = args.dir.clone().unwrap_or_else(|| PathBuf::from(id.as_str()));
    let path = dir.join("manifest.yml");
    write(&dir, &path, &archy_manifest::starter(id.as_str(), &name))?;
    context.ui.result(&json!({"id": id, "path": path}), |_| {
        let (path, dir) = (path.display(), dir.display());
        format!(
            "Wrote {path}.\nEdit it, check it with `archy app validate {dir}`, then run \
             `archy install {dir}/`."
        )
    })
}

fn write(dir: &Path, path: &Path, text: &str) -> Result<(), CommandError> {
    let failed = |error: std::io::Error| {
        let error_text = format!("{} cannot be written: {error}.", path.display());
        CommandError::new(Kind::Failed, "manifest-unwritable", error_text)
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    let mut file =
        OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| match error
            .kind()
        {
            std::io::ErrorKind::AlreadyExists => CommandError::new(
                Kind::Refused,
                "manifest-exists",
                format!("{} is already there.", path.display()),
            )
            .hint("Choose another directory with --dir."),
            _ => failed(error),
        })?;
    file.write_all(text.as_bytes()).map_err(failed)
}

fn capital(id: &str) -> String {
    let words = id.replace('-', " ");
    let mut chars = words.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    first + chars.as_str()
}
