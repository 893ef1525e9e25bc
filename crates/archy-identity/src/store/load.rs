//! Reads the identities' files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use archy_types::UserError;

use super::{All, Dirs, Entry};
use crate::files;
use crate::record::FileRecord;
use crate::seal::SealKey;

/// Largest file of an identity, in bytes.
const MAX_FILE: u64 = 256 * 1024;
/// Names the default identity.
pub(super) const DEFAULT: &str = ".default";

/// A file that could not be opened. It is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// Name of the file.
    pub file: String,
    /// Code `identity-file-damaged`, what is wrong, what to do.
    pub error: UserError,
}

/// Reads all files; those of earlier versions are sealed on the way.
pub(super) fn all(dirs: &Dirs, key: &Arc<SealKey>) -> Result<All, UserError> {
    let mut all = All::default();
    for path in files::list(&dirs.identities, ".json")? {
        match one(&path, key) {
            Ok(entry) => {
                all.entries.insert(entry.record.id.clone(), entry);
            }
            Err(error) => {
                let file = file_name(&path);
                tracing::error!(file, %error, "an identity cannot be read");
                all.damaged.push(Damaged { file, error });
            }
        }
    }
    let default = files::read(&dirs.identities.join(DEFAULT), 256)?;
    let default = default.and_then(|text| String::from_utf8(text).ok());
    all.default =
        default.map(|text| text.trim().to_owned()).filter(|id| all.entries.contains_key(id));
    Ok(all)
}

/// True when a file holds a sealed part.
pub(super) fn any_sealed(paths: &[PathBuf]) -> bool {
    paths.iter().any(|path| {
        let text = files::read(path, MAX_FILE).ok().flatten().unwrap_or_default();
        let record: Result<FileRecord, _> = serde_json::from_slice(&text);
        record.map_or(true, |record| record.sealed.is_some())
    })
}

fn one(path: &Path, key: &SealKey) -> Result<Entry, UserError> {
    let damaged = |reason: &str| {
        let message = format!("identities/{} is damaged: {reason}.", file_name(path));
        UserError::new("identity-file-damaged", message)
            .hint("Put the file back from a backup; nothing was changed.")
    };
    let text = zeroize::Zeroizing::new(files::read(path, MAX_FILE)?.unwrap_or_default());
    let mut record: FileRecord =
        serde_json::from_slice(&text).map_err(|error| damaged(&error.to_string()))?;
    if uuid::Uuid::parse_str(&record.id).is_err() && !is_plain(&record.id) {
        return Err(damaged("its id is none"));
    }
    if path.file_stem().is_none_or(|stem| stem.to_string_lossy() != record.id) {
        return Err(damaged("its id is not the file's name"));
    }
    let (secrets, is_old) = record.open(key).map_err(damaged)?;
    if is_old {
        record.seal(key, &secrets)?;
        record.open(key).map_err(damaged)?;
        save(path, &record)?;
        tracing::info!(file = file_name(path), "an identity of an earlier version was encrypted");
    }
    Ok(Entry { record, secrets })
}

/// Ids of earlier versions: letters, digits and hyphens.
fn is_plain(id: &str) -> bool {
    !id.is_empty() && id.len() <= 64 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Writes a record.
pub(super) fn save(path: &Path, record: &FileRecord) -> Result<(), UserError> {
    let text = serde_json::to_vec_pretty(record).map_err(|error| {
        UserError::new("internal", format!("An identity could not be written: {error}."))
    })?;
    Ok(files::write(path, &text)?)
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}
