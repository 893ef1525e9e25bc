//! Digests of build contexts: what is in them decides whether an image is built anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use archy_types::{AppId, ServiceName};
use sha2::{Digest as _, Sha256};

/// Files and directories of a context that are looked at; of a greater one nothing is known.
const MOST_ENTRIES: usize = 20_000;

/// Digests that were computed, so that a file is read again only when it changed. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Contexts(Arc<Mutex<BTreeMap<PathBuf, Kept>>>);

/// What a context looked like from outside, and its digest.
#[derive(Debug, Clone)]
struct Kept {
    outside: Vec<Entry>,
    digest: String,
}

/// A file, link or directory as the file system lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    path: PathBuf,
    mode: u32,
    size: u64,
    inode: u64,
    changed: (i64, i64),
}

impl Contexts {
    /// Digests by app and service, of the contexts that can be read.
    pub(super) fn look(
        &self,
        contexts: &[(AppId, ServiceName, PathBuf)],
    ) -> BTreeMap<AppId, BTreeMap<ServiceName, String>> {
        let mut found: BTreeMap<AppId, BTreeMap<ServiceName, String>> = BTreeMap::new();
        for (app, service, dir) in contexts {
            match self.digest(dir) {
                Ok(digest) => {
                    found.entry(app.clone()).or_default().insert(service.clone(), digest);
                }
                Err(error) => {
                    tracing::debug!(%app, dir = %dir.display(), %error, "a context cannot be read");
                }
            }
        }
        let wanted: BTreeSet<&PathBuf> = contexts.iter().map(|(_, _, dir)| dir).collect();
        if !wanted.is_empty() {
            self.with(|kept| kept.retain(|dir, _| wanted.contains(dir)));
        }
        found
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<PathBuf, Kept>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn digest(&self, dir: &Path) -> io::Result<String> {
        let outside = entries(dir)?;
        let known = self.with(|kept| kept.get(dir).cloned());
        if let Some(known) = known.filter(|known| known.outside == outside) {
            return Ok(known.digest);
        }
        let digest = content(dir, &outside)?;
        // changed while it was read: the next look sees it
        if entries(dir)? != outside {
            return Err(io::Error::other("it is being changed"));
        }
        let kept = Kept { outside, digest: digest.clone() };
        self.with(|all| all.insert(dir.to_owned(), kept));
        Ok(digest)
    }
}

/// All entries below a directory, in the order of their paths.
fn entries(dir: &Path) -> io::Result<Vec<Entry>> {
    let mut found = Vec::new();
    let mut left = vec![PathBuf::new()];
    while let Some(at) = left.pop() {
        for entry in fs::read_dir(dir.join(&at))? {
            let path = at.join(entry?.file_name());
            let meta = fs::symlink_metadata(dir.join(&path))?;
            if meta.is_dir() {
                left.push(path.clone());
            }
            found.push(Entry {
                path,
                mode: meta.mode(),
                size: if meta.is_dir() { 0 } else { meta.len() },
                inode: meta.ino(),
                changed: (meta.ctime(), meta.ctime_nsec()),
            });
            if found.len() > MOST_ENTRIES {
                return Err(io::Error::other("it has too many files"));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Digest of names, rights and contents; not of times, owners and inodes, which a copy has of its own.
fn content(dir: &Path, entries: &[Entry]) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hasher.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(bytes);
    };
    for entry in entries {
        let at = dir.join(&entry.path);
        let meta = fs::symlink_metadata(&at)?;
        let kind = meta.file_type();
        field(entry.path.as_os_str().as_encoded_bytes());
        field(&(entry.mode & 0o170_777).to_le_bytes());
        if kind.is_symlink() {
            field(fs::read_link(&at)?.as_os_str().as_encoded_bytes());
        } else if kind.is_file() {
            field(&of_file(&at)?);
        }
    }
    Ok(hex::encode(hasher.finalize()))
}

fn of_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().to_vec()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn context(dir: &Path) {
        fs::create_dir_all(dir.join("src")).unwrap();
        fs::write(dir.join("Containerfile"), "FROM scratch\n").unwrap();
        fs::write(dir.join("src/main"), "one").unwrap();
        symlink("src/main", dir.join("link")).unwrap();
    }

    #[test]
    fn only_what_is_in_a_context_counts() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        context(&one);
        context(&two);
        let contexts = Contexts::default();
        let first = contexts.digest(&one).unwrap();
        assert_eq!(contexts.digest(&one).unwrap(), first);
        assert_eq!(contexts.digest(&two).unwrap(), first, "a copy is the same");
        fs::write(two.join("src/main"), "one").unwrap();
        assert_eq!(contexts.digest(&two).unwrap(), first, "a new time is the same");

        type Change = fn(&Path);
        let changes: [Change; 5] = [
            |dir| fs::write(dir.join("src/main"), "two").unwrap(),
            |dir| fs::write(dir.join("src/more"), "").unwrap(),
            |dir| fs::remove_file(dir.join("src/main")).unwrap(),
            |dir| {
                let mode = fs::Permissions::from_mode(0o755);
                fs::set_permissions(dir.join("src/main"), mode).unwrap();
            },
            |dir| {
                fs::remove_file(dir.join("link")).unwrap();
                symlink("src", dir.join("link")).unwrap();
            },
        ];
        for (index, change) in changes.iter().enumerate() {
            let other = dir.path().join(format!("change-{index}"));
            context(&other);
            assert_eq!(contexts.digest(&other).unwrap(), first);
            change(&other);
            assert_ne!(contexts.digest(&other).unwrap(), first, "change {index}");
        }
        assert!(contexts.digest(&dir.path().join("absent")).is_err());
    }
}
