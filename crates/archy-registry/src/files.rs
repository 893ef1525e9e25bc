//! Files read with a limit and written whole or not at all.

use std::io::{Read as _, Write as _};
use std::path::Path;

use archy_types::durable;

use crate::error::RegistryError;

/// Reads a file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, RegistryError> {
    let failed = |error: std::io::Error| RegistryError::io(path, &error);
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(RegistryError::TooLarge { file: path.display().to_string(), limit });
    }
    Ok(bytes)
}

/// The same; nothing when there is no such file.
pub(crate) fn read_if_there(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, RegistryError> {
    if path.exists() { read(path, limit).map(Some) } else { Ok(None) }
}

/// Puts a file in place: written beside, synced, renamed.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), RegistryError> {
    let failed = |error: std::io::Error| RegistryError::io(path, &error);
    let directory = durable::parent(path);
    std::fs::create_dir_all(&directory).map_err(failed)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = directory.join(format!(".{name}.{}.part", std::process::id()));
    let put = || {
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        std::fs::File::open(&directory)?.sync_all()
    };
    put().map_err(|error| {
        std::fs::remove_file(&temporary).ok();
        failed(error)
    })
}
