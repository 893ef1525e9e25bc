//! Manifests on disk.

use std::path::{Path, PathBuf};

use archy_manifest::{Diagnostics, Manifest, Parsed};

use crate::error::{CommandError, Kind};

/// Names of a manifest in its directory, in the order they are looked for.
const NAMES: [&str; 3] = ["manifest.yml", "manifest.yaml", "manifest.json"];

/// A manifest that was read from disk.
#[derive(Debug)]
pub(crate) struct ManifestFile {
    /// The file as it was named.
    pub(crate) path: PathBuf,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// The manifest, unless it is broken.
    pub(crate) manifest: Option<Manifest>,
    /// What was found.
    pub(crate) diagnostics: Diagnostics,
}

/// True when the argument names a file or directory rather than an app.
pub(crate) fn is_path(argument: &str) -> bool {
    let ending = [".yml", ".yaml", ".json"].iter().any(|ending| argument.ends_with(ending));
    argument.contains('/') || argument == "." || argument == ".." || ending
}

/// Reads a manifest; a directory stands for the manifest in it.
pub(crate) fn read(path: &Path) -> Result<ManifestFile, CommandError> {
    let path = if path.is_dir() { in_directory(path)? } else { path.to_owned() };
    let bytes = std::fs::read(&path).map_err(|error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::Failed,
        };
        CommandError::new(
            kind,
            "manifest-unreadable",
            format!("{} cannot be read: {error}.", path.display()),
        )
    })?;
    let Parsed { manifest, diagnostics } = archy_manifest::parse(&bytes);
    Ok(ManifestFile { path, bytes, manifest, diagnostics })
}

fn in_directory(directory: &Path) -> Result<PathBuf, CommandError> {
    NAMES.iter().map(|name| directory.join(name)).find(|path| path.is_file()).ok_or_else(|| {
        CommandError::new(
            Kind::NotFound,
            "manifest-unreadable",
            format!("{} holds no manifest.", directory.display()),
        )
        .hint(format!("It must be called {}.", NAMES.join(" or ")))
    })
}

impl ManifestFile {
    /// Name for messages.
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The manifest, or everything that is wrong with it.
    pub(crate) fn valid(&self) -> Result<&Manifest, CommandError> {
        self.manifest.as_ref().ok_or_else(|| {
            CommandError::new(
                Kind::Refused,
                "manifest-invalid",
                format!("{} is not a valid manifest.", self.name()),
            )
            .details(self.diagnostics.render(&self.name()))
        })
    }

    /// The text; a valid manifest is UTF-8.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The absolute directory of the package.
    pub(crate) fn package_dir(&self) -> Result<PathBuf, CommandError> {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.unwrap_or(Path::new(".")).canonicalize().map_err(|error| {
            CommandError::new(
                Kind::Failed,
                "package-dir-invalid",
                format!("The directory of {} cannot be found: {error}.", self.name()),
            )
        })
    }
}
