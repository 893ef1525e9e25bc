//! Manifests that can be installed by id: the owner's own directory first, then registries in their
//! order, then what the package brought. Directories are read again when files change. A broken manifest hides no other and is told with its reason.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use archy_catalog::{Entry, Offer, Source};
use archy_manifest::Diagnostics;
use archy_manifest::model::ImageSource;
use archy_types::{AppId, UserError};

use crate::config::Paths;

/// Names of a manifest file, the first that exists counts.
const FILE_NAMES: [&str; 3] = ["manifest.yml", "manifest.yaml", "manifest.json"];
/// Directories that are looked at in one place.
const MAX_APPS: usize = 4096;

/// Rank of the owner's directory among the sources; those of registries are larger.
const OWN_RANK: u32 = 0;
/// Rank of the directories that came with the package: they are what is left when no registry has an
/// app.
const BUNDLED_RANK: u32 = 1_000_000;
/// Beside a manifest of the owner's directory: where the package's other files are.
const PLACE: &str = "package-dir";

/// Why a manifest is not used.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// For people.
    pub error: UserError,
    /// All findings, when the text was read.
    pub findings: Diagnostics,
}

impl From<UserError> for Refusal {
    fn from(error: UserError) -> Self {
        Self { error, findings: Diagnostics::default() }
    }
}

/// Reads a manifest's text.
///
/// # Errors
/// It has errors, or its id is one of the platform's own directories.
pub fn parse(text: Vec<u8>, dir: Option<PathBuf>) -> Result<Entry, Refusal> {
    let parsed = archy_manifest::parse(&text);
    let Some(manifest) = parsed.manifest else {
        let error = parsed.diagnostics.to_user_error().unwrap_or_else(|| {
            UserError::new("manifest-invalid", "Invalid manifest: it could not be read.")
        });
        return Err(Refusal { error, findings: parsed.diagnostics });
    };
    if Paths::is_reserved_name(manifest.id.as_str()) {
        let message = format!("Invalid manifest: the id {} is the platform's own.", manifest.id);
        return Err(UserError::new("id-reserved", message).hint("Choose another id.").into());
    }
    Ok(Entry::new(manifest, text).at(dir))
}

/// Reads the package in a directory, or the one of a manifest file. Blocks.
///
/// # Errors
/// There is no manifest, it cannot be read, or it has errors.
pub fn open(path: &Path) -> Result<Entry, Refusal> {
    let unusable = |reason: String| {
        let message = format!("Invalid package: {}: {reason}", path.display());
        UserError::new("package-dir-invalid", message)
            .hint("Give an absolute path to a directory with a manifest.yml that the service user can read.")
    };
    if !path.is_absolute() {
        return Err(unusable("the path is not absolute".into()).into());
    }
    let data = std::fs::metadata(path).map_err(|error| unusable(error.to_string()))?;
    let file = if data.is_dir() {
        manifest_in(path).ok_or_else(|| unusable("there is no manifest.yml in it".into()))?.0
    } else {
        path.to_owned()
    };
    let text = read_bounded(&file).map_err(|error| unusable(error.to_string()))?;
    let dir = file.parent().map(Path::to_owned);
    let place = dir.as_deref().and_then(place_of);
    parse(text, place.or(dir))
}

/// Where the files of a side-loaded package are, if it left them where they were.
fn place_of(dir: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(dir.join(PLACE)).ok()?;
    Some(PathBuf::from(text.trim())).filter(|place| place.is_absolute() && place.is_dir())
}

/// True for what comes from the owner's own directory.
#[must_use]
pub const fn is_local(offer: &Offer) -> bool {
    offer.rank == OWN_RANK
}

/// What people call the source of an offer: the name of a registry, `local` or `bundled`.
#[must_use]
pub fn source_of(app: &crate::app::App, offer: &Offer) -> String {
    if is_local(offer) {
        "local".to_owned()
    } else if app.registries.has(&offer.source) {
        offer.source.to_string()
    } else {
        "bundled".to_owned()
    }
}

/// A manifest that could not be read.
#[derive(Debug, Clone)]
pub struct Broken {
    /// Name of its directory.
    pub name: String,
    /// Why.
    pub error: UserError,
}

type Stamp = (SystemTime, u64);

/// What was read from the directories.
#[derive(Debug, Default, Clone)]
struct Loaded {
    merged: archy_catalog::Catalog,
    broken: Vec<Broken>,
    files: BTreeMap<PathBuf, (Stamp, Result<Entry, Refusal>)>,
}

/// The manifests of this node.
#[derive(Debug)]
pub struct Catalog {
    dirs: Vec<PathBuf>,
    registries: RwLock<Vec<Source>>,
    loaded: RwLock<Arc<Loaded>>,
}

impl Catalog {
    /// A catalog over these directories, a later one winning; the last is the owner's. Nothing is
    /// read yet.
    #[must_use]
    pub fn new(dirs: Vec<PathBuf>) -> Self {
        Self { dirs, registries: RwLock::default(), loaded: RwLock::default() }
    }

    /// Takes what registries offer; it counts from the next [`Catalog::refresh`].
    pub fn set_registries(&self, sources: Vec<Source>) {
        *self.registries.write().unwrap_or_else(PoisonError::into_inner) = sources;
    }

    /// Keeps a manifest that the owner installed from a path, so that it can be installed by its id
    /// and wins over every catalog. Blocks.
    ///
    /// # Errors
    /// The owner's directory cannot be written.
    pub fn keep(&self, entry: &Entry) -> std::io::Result<()> {
        let Some(own) = self.dirs.last() else { return Ok(()) };
        let dir = own.join(entry.manifest.id.as_str());
        if entry.dir.as_deref() == Some(&dir) {
            return Ok(());
        }
        std::fs::create_dir_all(&dir)?;
        if let Some(place) = entry.dir.as_deref().and_then(Path::to_str) {
            put(&dir, PLACE, place.as_bytes())?;
        }
        put(&dir, FILE_NAMES[0], &entry.text)
    }

    /// True when the owner's directory has a manifest of this app.
    #[must_use]
    pub fn keeps(&self, app: &AppId) -> bool {
        self.dirs.last().is_some_and(|own| manifest_in(&own.join(app.as_str())).is_some())
    }

    /// The winning offer of an app, as it was read last.
    #[must_use]
    pub fn offer(&self, app: &AppId) -> Option<Offer> {
        self.current().merged.get(app).cloned()
    }

    /// Looks for changed files and reads them. Blocks.
    pub fn refresh(&self) {
        let before = self.current();
        let mut next = Loaded::default();
        let mut sources = Vec::new();
        // the last is the owner's
        let ranks = std::iter::once(OWN_RANK).chain(BUNDLED_RANK..);
        for (rank, dir) in ranks.zip(self.dirs.iter().rev()) {
            let mut entries = Vec::new();
            for (file, stamp) in manifests_below(dir) {
                let known = before.files.get(&file).filter(|(seen, _)| *seen == stamp);
                let result = known.map_or_else(|| read_new(&file), |(_, result)| result.clone());
                match &result {
                    Ok(entry) => entries.push(entry.clone()),
                    Err(refusal) => {
                        let (name, error) = (dir_name(&file), refusal.error.clone());
                        next.broken.push(Broken { name, error });
                    }
                }
                next.files.insert(file, (stamp, result));
            }
            sources.push(Source { name: dir.display().to_string(), rank, entries });
        }
        let registries = self.registries.read().unwrap_or_else(PoisonError::into_inner).clone();
        sources.extend(with_contexts(registries, &sources));
        next.merged = archy_catalog::Catalog::merge(sources);
        next.tell_shadowed();
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
    }

    /// The offer of an app that wins; the directories are looked at again when it is not known.
    pub async fn find(&self, app: &AppId) -> Option<Offer> {
        let winner = || self.offer(app);
        if let Some(known) = winner().filter(|offer| self.is_fresh(&offer.entry)) {
            return Some(known);
        }
        tokio::task::block_in_place(|| self.refresh());
        winner()
    }

    /// The winning manifests by id.
    #[must_use]
    pub fn offers(&self) -> Vec<Offer> {
        self.current().merged.iter().map(|(_, listing)| listing.winner.clone()).collect()
    }

    /// Manifests that could not be read.
    #[must_use]
    pub fn broken(&self) -> Vec<Broken> {
        self.current().broken.clone()
    }

    fn current(&self) -> Arc<Loaded> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True when the file is still as it was read.
    fn is_fresh(&self, entry: &Entry) -> bool {
        let now = entry.dir.as_deref().and_then(manifest_in);
        let current = self.current();
        now.is_some_and(|(file, stamp)| current.files.get(&file).is_some_and(|f| f.0 == stamp))
    }
}

/// Offers of registries with the files that a build needs: a registry brings manifests, the package
/// on disk has the contexts.
fn with_contexts(mut registries: Vec<Source>, disk: &[Source]) -> Vec<Source> {
    let on_disk = disk.iter().flat_map(|source| &source.entries);
    let dirs: BTreeMap<&AppId, &PathBuf> =
        on_disk.filter_map(|entry| Some((&entry.manifest.id, entry.dir.as_ref()?))).collect();
    for entry in registries.iter_mut().flat_map(|source| &mut source.entries) {
        let mut services = entry.manifest.services.values();
        if services.any(|it| matches!(it.source, ImageSource::Build { .. })) {
            entry.dir = dirs.get(&entry.manifest.id).map(|dir| (*dir).clone());
        }
    }
    registries
}

/// Puts a file in place as a whole.
fn put(dir: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write as _;
    let temporary = dir.join(format!(".{name}.part"));
    let mut file = std::fs::File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, dir.join(name))?;
    std::fs::File::open(dir)?.sync_all()
}

impl Loaded {
    fn tell_shadowed(&self) {
        for (app, listing) in self.merged.iter() {
            for other in &listing.shadowed {
                let hidden = other.offer.entry.dir.as_deref().unwrap_or(Path::new(""));
                let hidden = hidden.display();
                tracing::debug!(%app, %hidden, why = %other.reason, "a manifest is hidden");
            }
        }
    }
}

/// Name of the directory that a file is in.
fn dir_name(file: &Path) -> String {
    let dir = file.parent().and_then(Path::file_name).unwrap_or_default();
    dir.to_string_lossy().into_owned()
}

/// Reads a file that is new or changed, and tells the log what is wrong with it.
fn read_new(file: &Path) -> Result<Entry, Refusal> {
    let result = open(file);
    match &result {
        Ok(entry) => tracing::debug!(app = %entry.manifest.id, "manifest read"),
        Err(refusal) => {
            let app = dir_name(file);
            tracing::warn!(%app, file = %file.display(), error = %refusal.error, "manifest refused");
        }
    }
    result
}

fn manifests_below(dir: &Path) -> Vec<(PathBuf, Stamp)> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                tracing::warn!(dir = %dir.display(), %error, "manifests cannot be listed");
            }
            return Vec::new();
        }
    };
    let mut dirs: Vec<_> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).take(MAX_APPS).collect();
    dirs.sort();
    dirs.iter().filter_map(|dir| manifest_in(dir)).collect()
}

fn manifest_in(dir: &Path) -> Option<(PathBuf, Stamp)> {
    FILE_NAMES.iter().find_map(|name| {
        let file = dir.join(name);
        let data = std::fs::metadata(&file).ok().filter(std::fs::Metadata::is_file)?;
        Some((file, (data.modified().ok()?, data.len())))
    })
}

fn read_bounded(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    // one byte more than allowed, so that the parser sees that it is too large
    let limit = archy_manifest::yaml::MAX_BYTES as u64 + 1;
    std::fs::File::open(file)?.take(limit).read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, id: &str, version: &str) {
        let text = format!(
            "app:\n  id: {id}\n  name: N\n  version: {version}\n  description: D\n  container:\n    \
             image: registry.example/n:{version}\n"
        );
        std::fs::create_dir_all(dir.join(id)).unwrap();
        std::fs::write(dir.join(id).join("manifest.yml"), text).unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_owners_manifest_wins_and_a_broken_one_hides_no_other() {
        let root = tempfile::tempdir().unwrap();
        let (catalog_dir, own) = (root.path().join("apps"), root.path().join("sideload"));
        write(&catalog_dir, "one", "1.0.0");
        write(&catalog_dir, "two", "1.0.0");
        write(&own, "one", "2.0.0");
        write(&own, "secrets", "1.0.0");
        std::fs::write(own.join("one").join("other.txt"), "").unwrap();
        std::fs::create_dir_all(own.join("bad")).unwrap();
        std::fs::write(own.join("bad/manifest.yml"), "app: [").unwrap();
        let catalog = Catalog::new(vec![catalog_dir, own.clone()]);
        catalog.refresh();
        let found: Vec<_> = catalog
            .offers()
            .iter()
            .map(|it| {
                let manifest = it.manifest();
                (manifest.id.to_string(), manifest.version.clone(), is_local(it))
            })
            .collect();
        let row = |id: &str, version: &str, local| (id.to_owned(), version.to_owned(), local);
        assert_eq!(found, [row("one", "2.0.0", true), row("two", "1.0.0", false)]);
        let broken: Vec<_> = catalog.broken().into_iter().map(|b| (b.name, b.error.code)).collect();
        let codes = [("bad", "manifest-invalid"), ("secrets", "id-reserved")];
        for ((name, code), (expected, expected_code)) in broken.iter().zip(codes) {
            assert_eq!((name.as_str(), code.as_str()), (expected, expected_code));
        }
        assert_eq!(broken.len(), 2);
        // a manifest that appears is found without waiting for a timer, a changed one too
        write(&own, "three", "1.0.0");
        let three = AppId::new("three").unwrap();
        assert!(catalog.find(&three).await.is_some());
        write(&own, "three", "10.0.0");
        assert_eq!(catalog.find(&three).await.unwrap().manifest().version, "10.0.0");
        assert!(catalog.find(&AppId::new("none").unwrap()).await.is_none());
    }
}
