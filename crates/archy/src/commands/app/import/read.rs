//! Files of a source, within limits: a directory may be larger than an app.

use std::path::{Path, PathBuf};

use archy_import::Files;

use crate::error::{CommandError, Kind};

/// Most files that are read.
const MAX_FILES: usize = 50_000;
/// Most bytes in all.
const MAX_TOTAL: u64 = 512 << 20;
/// Largest single file; larger ones are no descriptions, and no small seeds.
const MAX_FILE: u64 = 4 << 20;
/// Directories that hold no app.
const SKIPPED: &[&str] = &[".git", "node_modules"];

/// Name of what a path stands for.
pub(super) fn name(path: &Path) -> String {
    let full = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let dir = if full.is_file() { full.parent().unwrap_or(&full) } else { &full };
    dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// All files below a path; a single file is the compose file of its directory.
pub(super) fn files(path: &Path) -> Result<Files, CommandError> {
    let unreadable = |path: &Path, error: &std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::Failed,
        };
        let message = format!("{} cannot be read: {error}.", path.display());
        CommandError::new(kind, "import-unreadable", message)
    };
    let meta = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if meta.is_dir() {
        return below(path).map_err(|(path, error)| unreadable(&path, &error))?;
    }
    let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    let mut files = below(parent).map_err(|(path, error)| unreadable(&path, &error))??;
    let own = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let usual = |name: &str| archy_import::source::COMPOSE_NAMES.contains(&name);
    // apps in directories below are others
    let elsewhere = |name: &str| name.rsplit_once('/').is_some_and(|(_, last)| usual(last));
    files.retain(|name, _| *name != own && !usual(name) && !elsewhere(name));
    files.insert("compose.yaml".to_owned(), bytes);
    Ok(files)
}

type Failure = (PathBuf, std::io::Error);

fn below(root: &Path) -> Result<Result<Files, CommandError>, Failure> {
    let mut files = Files::new();
    let mut total = 0;
    let mut open = vec![root.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).map_err(|error| (dir.clone(), error))? {
            let entry = entry.map_err(|error| (dir.clone(), error))?;
            let path = entry.path();
            // links are not followed: they may lead out of the directory
            let Ok(kind) = entry.file_type() else { continue };
            let name = entry.file_name().to_string_lossy().into_owned();
            if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
                open.push(path);
            } else if kind.is_file() {
                let size = entry.metadata().map_err(|error| (path.clone(), error))?.len();
                if size > MAX_FILE {
                    continue;
                }
                total += size;
                if files.len() >= MAX_FILES || total > MAX_TOTAL {
                    return Ok(Err(too_large(root)));
                }
                let Ok(relative) = path.strip_prefix(root) else { continue };
                let relative = relative.to_string_lossy().into_owned();
                let bytes = std::fs::read(&path).map_err(|error| (path.clone(), error))?;
                files.insert(relative, bytes);
            }
        }
    }
    Ok(Ok(files))
}

fn too_large(root: &Path) -> CommandError {
    let message = format!("{} holds more than an app or a store of apps.", root.display());
    CommandError::new(Kind::Usage, "import-too-large", message)
        .hint("Name the directory of the app, or of the store's apps.")
}
