//! What a node keeps of a registry: the root that it trusts, and the last good catalog. Files are
//! verified again whenever they are read, and come into force all together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use archy_types::Digest;
use serde::{Deserialize, Serialize};

use crate::error::RegistryError;
use crate::files;

/// Largest root, in bytes.
pub(crate) const MAX_ROOT: u64 = 512 * 1024;
/// Largest file that is kept, in bytes.
pub(crate) const MAX_FILE: u64 = 32 * 1024 * 1024;
/// Largest index.
const MAX_INDEX: u64 = 1024 * 1024;

/// Which files belong together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Mark of the timestamp's file, for conditional requests.
    #[serde(default)]
    pub tag: Option<String>,
    /// When the registry was last asked with success (seconds since 1970).
    pub checked: i64,
    /// When what is here came.
    pub fetched: i64,
    /// Digest of the timestamp's file.
    pub timestamp: String,
    /// Digest of the snapshot's file.
    pub snapshot: String,
    /// Digests of lists of targets by role.
    pub roles: BTreeMap<String, String>,
    /// Digests of catalogs by role.
    pub catalogs: BTreeMap<String, String>,
}

impl Index {
    fn blobs(&self) -> impl Iterator<Item = &String> {
        let all = [&self.timestamp, &self.snapshot].into_iter();
        all.chain(self.roles.values()).chain(self.catalogs.values())
    }
}

/// The directory of one registry.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    dir: PathBuf,
}

impl Store {
    pub(crate) const fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    fn blob(&self, digest: &str) -> PathBuf {
        self.dir.join("blobs").join(digest)
    }

    pub(crate) fn root(&self) -> Result<Option<Vec<u8>>, RegistryError> {
        files::read_if_there(&self.dir.join("root.json"), MAX_ROOT)
    }

    pub(crate) fn put_root(&self, bytes: &[u8]) -> Result<(), RegistryError> {
        files::write(&self.dir.join("root.json"), bytes)
    }

    pub(crate) fn index(&self) -> Result<Option<Index>, RegistryError> {
        let Some(text) = files::read_if_there(&self.dir.join("current.json"), MAX_INDEX)? else {
            return Ok(None);
        };
        let index = serde_json::from_slice(&text);
        index.map(Some).map_err(|error| RegistryError::format("current.json", error))
    }

    /// Reads a file by its digest, and checks it.
    pub(crate) fn get(&self, digest: &str) -> Result<Vec<u8>, RegistryError> {
        if digest.len() != 64 || !digest.bytes().all(|c| c.is_ascii_hexdigit()) {
            return Err(RegistryError::Name(digest.chars().take(80).collect()));
        }
        let bytes = files::read(&self.blob(digest), MAX_FILE)?;
        if Digest::of(&bytes).hex() != digest {
            return Err(RegistryError::Target { name: digest.to_owned(), what: "digest" });
        }
        Ok(bytes)
    }

    /// Keeps a file; gives its digest.
    pub(crate) fn put(&self, bytes: &[u8]) -> Result<String, RegistryError> {
        let digest = Digest::of(bytes).hex();
        let path = self.blob(&digest);
        if self.get(&digest).is_err() {
            files::write(&path, bytes)?;
        }
        Ok(digest)
    }

    /// Puts a set of files in force; what belongs to none goes.
    pub(crate) fn commit(&self, index: &Index) -> Result<(), RegistryError> {
        let text = serde_json::to_vec_pretty(index)
            .map_err(|error| RegistryError::format("current.json", error))?;
        files::write(&self.dir.join("current.json"), &text)?;
        self.sweep(index);
        Ok(())
    }

    fn sweep(&self, index: &Index) {
        let keep: std::collections::BTreeSet<&str> = index.blobs().map(String::as_str).collect();
        for entry in std::fs::read_dir(self.dir.join("blobs")).into_iter().flatten().flatten() {
            if !entry.file_name().to_str().is_some_and(|name| keep.contains(name)) {
                std::fs::remove_file(entry.path()).ok();
            }
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) -> Result<(), RegistryError> {
        match std::fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(RegistryError::io(Path::new(&self.dir), &error))
            }
            _ => Ok(()),
        }
    }
}
