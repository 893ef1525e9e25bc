//! Snapshots of apps' data: `<data>/snapshots/<app>/<generation>/` with the data directory, the
//! named volumes, and what they are.
//!
//! A snapshot is made under another name and renamed when all of it is on the disk: one that has its
//! name is whole. What belongs to ids of containers is copied and removed in Podman's user namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use archy_engine::ports::{HostError, HostResult};
use archy_plan::observed::SnapshotState;
use archy_plan::{DesiredApp, Known};
use archy_podman::{ContainerState, Unshare, VolumeSpec};
use archy_quadlet::render::LABEL_APP;
use archy_store::files as store;
use archy_types::{AppId, Generation, Timestamp, UserError, doctor};
use serde::{Deserialize, Serialize};

use super::{SystemHost, error, facts};
use crate::clock;
use crate::sources::SnapshotFact;

/// Directory of all snapshots, below the data directory.
const DIR: &str = "snapshots";
/// What a snapshot is, in its directory.
const META: &str = "snapshot.json";
/// How long one copy may take.
const COPY_DEADLINE: Duration = Duration::from_secs(4 * 3600);

/// What a snapshot is.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Meta {
    app: AppId,
    /// The generation it was taken before.
    generation: Generation,
    /// Version of the manifest that came next.
    before_version: String,
    /// Digest of that manifest.
    before_manifest: String,
    taken: Timestamp,
    /// Bytes of the data directory, if there was one.
    data: Option<u64>,
    /// Bytes of each named volume.
    volumes: BTreeMap<String, u64>,
    /// The wish for which it was put back last.
    #[serde(default)]
    restored: Option<Generation>,
}

/// One directory of a snapshot and where it belongs.
#[derive(Debug)]
struct Part {
    saved: PathBuf,
    live: PathBuf,
    bytes: u64,
}

fn failed(path: &Path, source: io::Error) -> UserError {
    error::file(&store::FileError::Io { path: path.to_owned(), source })
}

fn is_directory(path: &Path) -> bool {
    // never through a link
    path.symlink_metadata().is_ok_and(|meta| meta.is_dir())
}

/// Brings what was written below a directory to the disk.
fn sync(path: &Path) -> Result<(), UserError> {
    let open = std::fs::File::open(path).map_err(|source| failed(path, source))?;
    rustix::fs::syncfs(&open).map_err(|errno| failed(path, errno.into()))
}

impl SystemHost {
    fn snapshot_dir(&self, app: &AppId) -> PathBuf {
        self.config.data_dir.join(DIR).join(app.as_str())
    }

    pub(super) fn copier(&self) -> Unshare {
        self.unshare.within(COPY_DEADLINE)
    }

    /// All whole snapshots, and those whose note cannot be read. Blocking.
    pub(super) fn snapshots(&self) -> HostResult<(Snapshots, Unreadable)> {
        let dir = self.config.data_dir.join(DIR);
        let (mut found, mut unreadable) = (Snapshots::new(), Unreadable::new());
        for app in list(&dir).map_err(|source| error::fatal(failed(&dir, source)))? {
            let Ok(id) = AppId::new(app.clone()) else { continue };
            let path = dir.join(app);
            let names = list(&path).map_err(|source| error::fatal(failed(&path, source)))?;
            let numbers = names.iter().filter_map(|name| name.parse().ok());
            let mut states = BTreeMap::new();
            for generation in numbers.map(Generation) {
                let dir = path.join(generation.to_string());
                match read_meta(&dir) {
                    Some(meta) => drop(states.insert(generation, self.snapshot_state(&meta))),
                    None if is_directory(&dir) => {
                        unreadable.entry(id.clone()).or_default().insert(generation);
                    }
                    // a number written otherwise, or no directory
                    None => {}
                }
            }
            // names of somebody else are not ours to clear
            let rest = names.is_empty() || names.iter().any(|name| name.starts_with('.'));
            if rest || !states.is_empty() {
                found.insert(id, states);
            }
        }
        Ok((found, unreadable))
    }

    /// The whole snapshots of an app. Blocking.
    pub(super) fn snapshot_facts(&self, app: &AppId) -> Result<Vec<SnapshotFact>, UserError> {
        let dir = self.snapshot_dir(app);
        let names = list(&dir).map_err(|source| failed(&dir, source))?;
        let numbers = names.iter().filter_map(|name| name.parse().ok());
        let fact = |generation: Generation| {
            let meta = read_meta(&dir.join(generation.to_string()))?;
            let state = self.snapshot_state(&meta);
            Some(SnapshotFact {
                generation,
                taken: state.taken,
                expires: state.expires,
                bytes: state.bytes,
                before_version: meta.before_version,
                restored: state.restored.is_some(),
            })
        };
        Ok(numbers.map(Generation).filter_map(fact).collect())
    }

    fn snapshot_state(&self, meta: &Meta) -> SnapshotState {
        let kept = i64::try_from(self.config.keep_snapshots.as_millis()).unwrap_or(i64::MAX);
        let expires = meta.taken.plus_millis(kept);
        // a clock that jumped is no reason to remove anything
        let doubted = self.doubt.at(clock::steady_millis()).is_some();
        let expires = if doubted { expires.max(clock::now().plus_millis(kept)) } else { expires };
        SnapshotState {
            taken: meta.taken,
            expires,
            bytes: meta.data.unwrap_or(0) + meta.volumes.values().sum::<u64>(),
            restored: meta.restored,
        }
    }

    /// Bytes that a snapshot of each app would take.
    pub(super) async fn data_sizes(&self, apps: &[AppId]) -> BTreeMap<AppId, Known<u64>> {
        let mut sizes = BTreeMap::new();
        for app in apps {
            let size = match self.data_size(app).await {
                Ok(size) => Known::Yes(size),
                Err(failure) => Known::No(error::cause(&failure)),
            };
            sizes.insert(app.clone(), size);
        }
        sizes
    }

    async fn data_size(&self, app: &AppId) -> HostResult<u64> {
        let label = format!("{LABEL_APP}={app}");
        let volumes = self.podman.volumes(&[&label]).await.map_err(|e| error::podman(&e))?;
        let volumes = volumes.into_iter().map(|volume| PathBuf::from(volume.mountpoint));
        let shares = self.blocking(|host| Ok(host.shares_copies())).await?;
        let mut total = 0;
        let there = |place: &PathBuf| match place.symlink_metadata() {
            Ok(meta) => meta.is_dir(),
            // a volume is below a directory of its owner
            Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
        };
        for place in volumes.chain([self.app_path(app, "")?]).filter(there) {
            if shares && same_device(&place, &self.config.data_dir) {
                continue;
            }
            total += self.unshare.size_of(&place).await.map_err(|e| error::unshare(&e))?;
        }
        Ok(total)
    }

    /// True when a copy on the file system of the data shares its blocks with the original.
    pub(super) fn shares_copies(&self) -> bool {
        let probe = || {
            self.make_staging().ok()?;
            let (one, two) =
                (self.staging(Path::new("clone-a")), self.staging(Path::new("clone-b")));
            std::fs::write(&one, [0; 4096]).ok()?;
            let source = std::fs::File::open(&one).ok()?;
            let target = std::fs::File::create(&two).ok()?;
            let cloned = rustix::fs::ioctl_ficlone(&target, &source).is_ok();
            _ = std::fs::remove_file(&one);
            _ = std::fs::remove_file(&two);
            Some(cloned)
        };
        probe().unwrap_or(false)
    }

    /// Copies data directory and volumes aside.
    pub(super) async fn save(
        &self,
        app: &DesiredApp,
        generation: Generation,
        volumes: &[String],
    ) -> HostResult<()> {
        let id = &app.manifest.id;
        let dir = self.snapshot_dir(id);
        let (making, whole) =
            (dir.join(format!(".{generation}")), dir.join(generation.to_string()));
        self.clear(id, &[generation]).await?;
        let prepare = making.join("volumes");
        self.blocking(move |_| store::private_dir(&prepare).map_err(|e| error::file(&e))).await?;
        let mut meta = Meta {
            app: id.clone(),
            generation,
            before_version: app.manifest.version.clone(),
            before_manifest: app.digest.to_string(),
            taken: clock::now(),
            data: None,
            volumes: BTreeMap::new(),
            restored: None,
        };
        let data = self.app_path(id, "")?;
        if is_directory(&data) {
            meta.data = Some(self.copy(&data, &making.join("data")).await?);
        }
        for name in volumes {
            let Some(volume) = self.podman.volume(name).await.map_err(|e| error::podman(&e))?
            else {
                continue;
            };
            let target = making.join("volumes").join(name);
            let bytes = self.copy(Path::new(&volume.mountpoint), &target).await?;
            meta.volumes.insert(name.clone(), bytes);
        }
        self.blocking(move |_| {
            write_meta(&making, &meta)?;
            sync(&making)?;
            std::fs::rename(&making, &whole).map_err(|source| failed(&whole, source))?;
            sync(&whole)
        })
        .await
    }

    async fn copy(&self, source: &Path, target: &Path) -> HostResult<u64> {
        let copier = self.copier();
        if let Err(failure) = copier.copy_tree(source, target).await {
            let HostError { error, retryable } = error::unshare(&failure);
            if !failure.is_disk_full() {
                return Err(HostError { error, retryable });
            }
            let size = copier.size_of(source).await.ok().map(doctor::size);
            let error = match size {
                Some(size) => {
                    let message = format!("{} {} takes {size}.", error.message, source.display());
                    UserError { message, ..error }
                }
                None => error,
            };
            return Err(HostError { error, retryable });
        }
        copier.size_of(target).await.map_err(|e| error::unshare(&e))
    }

    /// Puts a snapshot in the place of the data: each part is copied beside its place and exchanged
    /// with it (see [`archy_podman::Unshare::exchange`]). A cut anywhere leaves the snapshot whole
    /// and not noted as put back, so that all of it is done again before anything runs.
    pub(super) async fn put_back(
        &self,
        app: &AppId,
        generation: Generation,
        wish: Generation,
    ) -> HostResult<()> {
        let saved = self.snapshot_dir(app).join(generation.to_string());
        let Some(mut meta) = read_meta(&saved) else {
            let message =
                format!("The snapshot of {app} from before generation {generation} is gone.");
            let error = UserError::new("snapshot-missing", message);
            return Err(error::fatal(error.hint("The data stays as it is.")));
        };
        let mut parts = Vec::new();
        if let Some(bytes) = meta.data {
            parts.push(Part { saved: saved.join("data"), live: self.app_path(app, "")?, bytes });
        }
        for (name, bytes) in &meta.volumes {
            let live = self.volume_place(app, name).await?;
            parts.push(Part { saved: saved.join("volumes").join(name), live, bytes: *bytes });
        }
        for part in &parts {
            self.put_back_part(part).await?;
        }
        meta.restored = Some(wish);
        self.blocking(move |_| write_meta(&saved, &meta)).await
    }

    /// Where a volume's data is; a volume that is gone is made anew.
    pub(super) async fn volume_place(&self, app: &AppId, name: &str) -> HostResult<PathBuf> {
        let volume = match self.podman.volume(name).await.map_err(|e| error::podman(&e))? {
            Some(volume) => volume,
            None => {
                let labels = [(LABEL_APP.to_owned(), app.to_string())].into();
                let spec = VolumeSpec { name: name.to_owned(), labels, ..VolumeSpec::default() };
                self.podman.create_volume(&spec).await.map_err(|e| error::podman(&e))?
            }
        };
        Ok(PathBuf::from(volume.mountpoint))
    }

    /// Refuses while a container of the app runs: it would go on with a directory that is not the
    /// app's any more, and what it writes there would be lost.
    pub(super) async fn at_rest(&self, app: &AppId) -> HostResult<()> {
        let label = format!("{LABEL_APP}={app}");
        let containers = self.podman.containers(&[&label]).await.map_err(|e| error::podman(&e))?;
        let runs = |state| {
            use ContainerState::{Paused, Running, Stopping};
            matches!(state, Running | Stopping | Paused)
        };
        let mut running = containers.iter().filter(|container| runs(container.state));
        let Some(name) = running.find_map(|container| container.names.first()) else {
            return Ok(());
        };
        let message = format!("The container {name} runs; {app}'s data is not touched meanwhile.");
        let error = UserError::new("app-runs", message);
        Err(error::fatal(error.hint(format!("`archy stop {app}` stops it; then try again."))))
    }

    async fn put_back_part(&self, part: &Part) -> HostResult<()> {
        let name = part.live.file_name().unwrap_or_default().to_string_lossy();
        let beside = part.live.with_file_name(format!(".{name}.restore"));
        let copier = self.copier();
        let clear = async || copier.clear_beside(&beside).await.map_err(|e| error::unshare(&e));
        // what a cut left
        clear().await?;
        if let Err(failure) = copier.copy_tree(&part.saved, &beside).await {
            // a volume is below a directory of its owner, which tells nothing
            let free = part.live.ancestors().find_map(facts::disk).map(|disk| disk.free);
            clear().await?;
            if free.is_none_or(|free| free > part.bytes) {
                return Err(error::unshare(&failure));
            }
            // the data is given up anyway; the snapshot stays whole, so that this can be repeated
            copier.remove_all(&part.live).await.map_err(|e| error::unshare(&e))?;
            copier.copy_tree(&part.saved, &beside).await.map_err(|e| error::unshare(&e))?;
        }
        self.put_in_place(&beside, &part.live).await?;
        clear().await
    }

    /// Brings a tree to the disk and puts it in its place, for good.
    async fn put_in_place(&self, new: &Path, live: &Path) -> HostResult<()> {
        let copier = self.copier();
        copier.sync(new).await.map_err(|e| error::unshare(&e))?;
        copier.exchange(new, live).await.map_err(|e| error::unshare(&e))?;
        copier.sync(live).await.map_err(|e| error::unshare(&e))
    }

    /// Removes snapshots, and what unfinished ones left.
    pub(super) async fn clear(&self, app: &AppId, generations: &[Generation]) -> HostResult<()> {
        let dir = self.snapshot_dir(app);
        for generation in generations {
            let whole = dir.join(generation.to_string());
            let going = dir.join(format!(".gone-{generation}"));
            if is_directory(&whole) {
                self.copier().remove_all(&going).await.map_err(|e| error::unshare(&e))?;
                // it is gone at once: half of a snapshot is none
                self.blocking(move |_| {
                    std::fs::rename(&whole, &going).map_err(|source| failed(&whole, source))
                })
                .await?;
            }
        }
        let names = list(&dir).map_err(|source| error::fatal(failed(&dir, source)))?;
        for name in names.iter().filter(|name| name.starts_with('.')) {
            self.copier().remove_all(&dir.join(name)).await.map_err(|e| error::unshare(&e))?;
        }
        // it stays when something is left in it
        _ = std::fs::remove_dir(&dir);
        Ok(())
    }
}

/// Snapshots by app and generation.
pub(super) type Snapshots = BTreeMap<AppId, BTreeMap<Generation, SnapshotState>>;

/// Snapshots whose note cannot be read, by app.
pub(super) type Unreadable = BTreeMap<AppId, BTreeSet<Generation>>;

/// Names in a directory; none when it is not there.
fn list(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn read_meta(dir: &Path) -> Option<Meta> {
    serde_json::from_slice(&std::fs::read(dir.join(META)).ok()?).ok()
}

fn write_meta(dir: &Path, meta: &Meta) -> Result<(), UserError> {
    let text = serde_json::to_vec_pretty(meta)
        .map_err(|error| UserError::new("internal", format!("The snapshot's note: {error}")))?;
    store::write_atomic(&dir.join(META), &text, 0o600).map_err(|e| error::file(&e))
}

pub(super) fn same_device(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let device = |path: &Path| path.symlink_metadata().ok().map(|meta| meta.dev());
    device(one).is_some_and(|one| device(other) == Some(one))
}

#[cfg(test)]
mod tests;
