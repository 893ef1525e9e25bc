//! Digests of build contexts: what is in them decides whether an image is built anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use archy_manifest::Manifest;
use archy_manifest::model::ImageSource;
use archy_types::{AppId, ServiceName};
use sha2::{Digest as _, Sha256};

use super::ignore::Ignore;

/// Files and directories of a context that are looked at; of a greater one nothing is known.
const MOST_ENTRIES: usize = 20_000;

/// Digests that were computed, so that a file is read again only when it changed. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Contexts(Arc<Mutex<BTreeMap<Context, Kept>>>);

/// A directory, and the file in it that says how the image is built.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Context {
    dir: PathBuf,
    containerfile: PathBuf,
}

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
        apps: &[Arc<Manifest>],
    ) -> BTreeMap<AppId, BTreeMap<ServiceName, String>> {
        let mut found: BTreeMap<AppId, BTreeMap<ServiceName, String>> = BTreeMap::new();
        let mut wanted = BTreeSet::new();
        for (app, service, dir) in contexts {
            let containerfile = containerfile(apps, app, service).unwrap_or_default();
            let context = Context { dir: dir.clone(), containerfile };
            let digest = self.digest(&context);
            wanted.insert(context);
            match digest {
                Ok(digest) => {
                    found.entry(app.clone()).or_default().insert(service.clone(), digest);
                }
                Err(error) => {
                    tracing::debug!(%app, dir = %dir.display(), %error, "a context cannot be read");
                }
            }
        }
        if !wanted.is_empty() {
            self.with(|kept| kept.retain(|context, _| wanted.contains(context)));
        }
        found
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<Context, Kept>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn digest(&self, context: &Context) -> io::Result<String> {
        let outside = entries(context)?;
        let known = self.with(|kept| kept.get(context).cloned());
        if let Some(known) = known.filter(|known| known.outside == outside) {
            return Ok(known.digest);
        }
        let digest = content(&context.dir, &outside)?;
        // changed while it was read: the next look sees it
        if entries(context)? != outside {
            return Err(io::Error::other("it is being changed"));
        }
        let kept = Kept { outside, digest: digest.clone() };
        self.with(|all| all.insert(context.clone(), kept));
        Ok(digest)
    }
}

/// The file that says how a service's image is built, in its context.
fn containerfile(apps: &[Arc<Manifest>], app: &AppId, service: &ServiceName) -> Option<PathBuf> {
    let app = apps.iter().find(|manifest| manifest.id == *app)?;
    match &app.services.get(service)?.source {
        ImageSource::Build { containerfile, .. } => {
            Some(Path::new(containerfile).components().collect())
        }
        ImageSource::Image(_) => None,
    }
}

/// All entries of a context, in the order of their paths: without those that its ignore file leaves
/// out, but with what says how it is built.
fn entries(context: &Context) -> io::Result<Vec<Entry>> {
    let dir = &context.dir;
    let ignore = Ignore::of(dir)?;
    let mut found = Vec::new();
    let mut left = vec![PathBuf::new()];
    while let Some(at) = left.pop() {
        for entry in fs::read_dir(dir.join(&at))? {
            let path = at.join(entry?.file_name());
            let meta = fs::symlink_metadata(dir.join(&path))?;
            let left_out = path != context.containerfile && ignore.leaves_out(&path);
            let holds_it = context.containerfile.starts_with(&path);
            if meta.is_dir() && (!left_out || holds_it || !ignore.leaves_out_whole()) {
                left.push(path.clone());
            }
            if left_out {
                continue;
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

    fn of(dir: &Path) -> Context {
        Context { dir: dir.to_owned(), containerfile: "Containerfile".into() }
    }

    #[test]
    fn only_what_is_in_a_context_counts() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        context(&one);
        context(&two);
        let contexts = Contexts::default();
        let first = contexts.digest(&of(&one)).unwrap();
        assert_eq!(contexts.digest(&of(&one)).unwrap(), first);
        assert_eq!(contexts.digest(&of(&two)).unwrap(), first, "a copy is the same");
        fs::write(two.join("src/main"), "one").unwrap();
        assert_eq!(contexts.digest(&of(&two)).unwrap(), first, "a new time is the same");

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
            assert_eq!(contexts.digest(&of(&other)).unwrap(), first);
            change(&other);
            assert_ne!(contexts.digest(&of(&other)).unwrap(), first, "change {index}");
        }
        assert!(contexts.digest(&of(&dir.path().join("absent"))).is_err());
    }

    #[test]
    fn what_the_ignore_file_leaves_out_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let (one, contexts) = (dir.path().to_owned(), Contexts::default());
        context(&one);
        fs::write(one.join(".containerignore"), "*.log\ntmp\nContainerfile\n").unwrap();
        // does not count beside the other
        fs::write(one.join(".dockerignore"), "src\n").unwrap();
        let digest = || contexts.digest(&of(&one)).unwrap();
        let first = digest();
        fs::write(one.join("a.log"), "x").unwrap();
        fs::create_dir(one.join("tmp")).unwrap();
        fs::write(one.join("tmp/a"), "x").unwrap();
        assert_eq!(digest(), first, "it is left out");
        type Change = (&'static str, &'static str);
        let changes: [Change; 4] = [
            ("src/main", "two"),
            ("src/a.log", "counts: the pattern is of the first level"),
            ("Containerfile", "FROM scratch\nUSER 1\n"),
            (".containerignore", "*.log\ntmp\nContainerfile\n\n"),
        ];
        let mut last = first;
        for (path, text) in changes {
            fs::write(one.join(path), text).unwrap();
            let now = digest();
            assert_ne!(now, last, "{path}");
            last = now;
        }
        fs::write(one.join(".containerignore"), "*\n!src\n").unwrap();
        let only = digest();
        fs::write(one.join("link2"), "x").unwrap();
        assert_eq!(digest(), only);
        fs::write(one.join("src/main"), "three").unwrap();
        assert_ne!(digest(), only);
    }
}
