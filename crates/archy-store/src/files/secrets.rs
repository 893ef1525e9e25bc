//! Secrets as files: generated once, never overwritten, 0600 in a 0700 directory.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use archy_types::{Secret, SecretKind};
use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use sha2::Sha256;

use super::{FileError, private_dir, set_mode, write_atomic, write_new};

/// File with the key of [`SecretStore::keyed_hash`]; it never leaves the node.
const HASH_KEY: &str = ".hash-key";
/// Ending of the file with the plaintext of a bcrypt hash.
const PLAINTEXT: &str = ".pw";
/// Work factor of a bcrypt hash.
const BCRYPT_COST: u32 = 10;

/// The node's secrets.
#[derive(Debug, Clone)]
pub struct SecretStore {
    dir: PathBuf,
}

impl SecretStore {
    /// Opens the directory, made if need be; narrows modes that are too wide, and removes what a
    /// crash left half written.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, FileError> {
        let store = Self { dir: dir.into() };
        store.heal()?;
        Ok(store)
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Brings the directory back to 0700 and its files to 0600.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn heal(&self) -> Result<(), FileError> {
        private_dir(&self.dir)?;
        for entry in fs::read_dir(&self.dir).map_err(FileError::io(&self.dir))? {
            let entry = entry.map_err(FileError::io(&self.dir))?;
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if !entry.file_type().map_err(FileError::io(&path))?.is_file() {
                continue;
            }
            if name.starts_with('.') && name.ends_with(".tmp") && is_left_over(&name) {
                super::remove_temporary(&path);
            } else {
                set_mode(&path, 0o600)?;
            }
        }
        Ok(())
    }

    /// Makes a secret unless it is there; says whether it made one.
    ///
    /// An empty file counts as absent: no kind generates one, and a crash of another writer can
    /// leave one. A bcrypt hash that is absent is made again from its plaintext if that is there.
    ///
    /// # Errors
    /// [`FileError::SecretMissing`] for a supplied secret that is absent, [`FileError::SecretName`],
    /// [`FileError::Io`].
    pub fn ensure(&self, name: &str, kind: SecretKind) -> Result<bool, FileError> {
        let path = self.path(name)?;
        if has_content(&path)? {
            set_mode(&path, 0o600)?;
            let plaintext = self.dir.join(format!("{name}{PLAINTEXT}"));
            if kind == SecretKind::Bcrypt && plaintext.is_file() {
                set_mode(&plaintext, 0o600)?;
            }
            return Ok(false);
        }
        let value = match kind {
            SecretKind::Hex16 => hex::encode(random::<16>(name)?),
            SecretKind::Hex32 => hex::encode(random::<32>(name)?),
            SecretKind::Base64 => {
                base64::engine::general_purpose::STANDARD.encode(random::<32>(name)?)
            }
            SecretKind::Bcrypt => self.hash_of_plaintext(name)?,
            SecretKind::Supplied => return Err(FileError::SecretMissing(name.to_owned())),
        };
        put_absent(&path, value.as_bytes())
    }

    /// Keeps a value that the owner gave. One that is there is replaced only when `replace` says
    /// so; the same value again is no change.
    ///
    /// # Errors
    /// [`FileError::SecretExists`], [`FileError::SecretName`], [`FileError::Io`].
    pub fn supply(&self, name: &str, value: &Secret, replace: bool) -> Result<(), FileError> {
        let path = self.path(name)?;
        if !has_content(&path)? && put_absent(&path, value.expose())? {
            return Ok(());
        }
        if self.read(name)? == *value {
            return set_mode(&path, 0o600);
        }
        if !replace {
            return Err(FileError::SecretExists(name.to_owned()));
        }
        write_atomic(&path, value.expose(), 0o600)
    }

    /// A secret's bytes as they are in its file.
    ///
    /// # Errors
    /// [`FileError::SecretMissing`], [`FileError::SecretName`], [`FileError::Io`].
    pub fn read(&self, name: &str) -> Result<Secret, FileError> {
        let path = self.path(name)?;
        match fs::read(&path) {
            Ok(bytes) => Ok(Secret::new(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(FileError::SecretMissing(name.to_owned()))
            }
            Err(source) => Err(FileError::Io { path, source }),
        }
    }

    /// True when the secret is there and not empty.
    ///
    /// # Errors
    /// [`FileError::SecretName`], [`FileError::Io`].
    pub fn has(&self, name: &str) -> Result<bool, FileError> {
        has_content(&self.path(name)?)
    }

    /// Names of all secrets in order, plaintexts (`.pw`) among them.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn list(&self) -> Result<Vec<String>, FileError> {
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(&self.dir).map_err(FileError::io(&self.dir))? {
            let entry = entry.map_err(FileError::io(&self.dir))?;
            if let Ok(name) = entry.file_name().into_string()
                && check_name(&name).is_ok()
                && entry.path().is_file()
            {
                names.insert(name);
            }
        }
        Ok(names.into_iter().collect())
    }

    /// Deletes a secret and its plaintext, for an owner who purges an app; absent is no error.
    ///
    /// # Errors
    /// [`FileError::SecretName`], [`FileError::Io`].
    pub fn remove(&self, name: &str) -> Result<(), FileError> {
        let path = self.path(name)?;
        for path in [self.dir.join(format!("{name}{PLAINTEXT}")), path] {
            super::remove_stale(&path).map_err(FileError::io(&path))?;
        }
        super::sync_parent(&self.dir.join(name)).map_err(FileError::io(&self.dir))
    }

    /// HMAC-SHA256 as hex over the named secrets, whatever their order, under a key that only this
    /// node has: it changes when one of them does and tells nothing about them.
    ///
    /// # Errors
    /// [`FileError::SecretMissing`], [`FileError::SecretName`], [`FileError::Io`].
    pub fn keyed_hash<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<String, FileError> {
        let key = self.hash_key()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).map_err(|error| {
            FileError::Generate { name: HASH_KEY.to_owned(), reason: error.to_string() }
        })?;
        for name in names.into_iter().collect::<BTreeSet<_>>() {
            let value = self.read(name)?;
            for part in [name.as_bytes(), value.expose()] {
                // Lengths keep ("ab", "c") and ("a", "bc") apart.
                mac.update(&(part.len() as u64).to_be_bytes());
                mac.update(part);
            }
        }
        Ok(hex::encode(mac.finalize().into_bytes()))
    }

    fn hash_key(&self) -> Result<Secret, FileError> {
        let path = self.dir.join(HASH_KEY);
        if !has_content(&path)? {
            put_absent(&path, &random::<32>(HASH_KEY)?)?;
        }
        fs::read(&path).map(Secret::new).map_err(FileError::io(&path))
    }

    /// The plaintext is on the disk before its hash: a crash in between loses neither.
    fn hash_of_plaintext(&self, name: &str) -> Result<String, FileError> {
        let plain_name = format!("{name}{PLAINTEXT}");
        self.ensure(&plain_name, SecretKind::Hex16)?;
        let plaintext = self.read(&plain_name)?;
        let failed = |reason: String| FileError::Generate { name: name.to_owned(), reason };
        let text = plaintext.expose_trimmed().ok_or_else(|| failed("no UTF-8".into()))?;
        bcrypt::hash(text, BCRYPT_COST).map_err(|error| failed(error.to_string()))
    }

    fn path(&self, name: &str) -> Result<PathBuf, FileError> {
        check_name(name)?;
        Ok(self.dir.join(name))
    }
}

/// Writes a secret where none (or an empty file) is; says whether it was this call that did.
fn put_absent(path: &Path, value: &[u8]) -> Result<bool, FileError> {
    // Between the look at an empty file and its removal another thread must not fill it.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if fs::metadata(path).is_ok_and(|meta| meta.len() == 0) {
        fs::remove_file(path).map_err(FileError::io(path))?;
    }
    write_new(path, value, 0o600)
}

fn has_content(path: &Path) -> Result<bool, FileError> {
    match fs::metadata(path) {
        Ok(meta) => Ok(meta.len() > 0),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(FileError::Io { path: path.to_owned(), source }),
    }
}

fn check_name(name: &str) -> Result<(), FileError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > 200 || name.starts_with('.') || !name.chars().all(plain) {
        return Err(FileError::SecretName(name.to_owned()));
    }
    Ok(())
}

/// A temporary file of another process: this one's may be in use by another thread.
fn is_left_over(name: &str) -> bool {
    !name.contains(&format!(".{}-", std::process::id()))
}

fn random<const N: usize>(name: &str) -> Result<[u8; N], FileError> {
    let mut bytes = [0; N];
    OsRng.try_fill_bytes(&mut bytes).map_err(|error| FileError::Generate {
        name: name.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(bytes)
}
