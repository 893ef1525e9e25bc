//! Data of containers that Archipelago did not make: copied to where the manifest has it, compared,
//! and exchanged with what is there. The original stays.

use std::io;
use std::path::{Path, PathBuf};

use archy_engine::ports::HostResult;
use archy_plan::DesiredApp;
use archy_plan::adopt::{Copied, DataMove, DataPlace};
use archy_store::files as store;
use archy_types::{AppId, Generation, UserError};

use super::super::snapshots::same_device;
use super::super::{SystemHost, error, facts};
use crate::clock;

/// What was copied, in the directory of an app's adoption.
const NOTE: &str = "copied.json";
/// Bytes that stay free.
const SPARE: u64 = 64 << 20;

fn refuse(code: &'static str, message: String, hint: &str) -> archy_engine::ports::HostError {
    error::fatal(UserError::new(code, message).hint(hint))
}

impl SystemHost {
    /// What was copied for an app. Blocking.
    pub(super) fn copied(&self, app: &AppId) -> Vec<Copied> {
        let text = std::fs::read(self.adopted_dir(app).join(NOTE));
        text.ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    fn note_copied(&self, app: &AppId, copied: Copied) -> Result<(), UserError> {
        let dir = self.adopted_dir(app);
        store::private_dir(&dir).map_err(|e| error::file(&e))?;
        let mut all = self.copied(app);
        all.retain(|other| other.data.to != copied.data.to);
        all.push(copied);
        let text = serde_json::to_vec_pretty(&all)
            .map_err(|error| UserError::new("internal", format!("The note of a copy: {error}")))?;
        store::write_atomic(&dir.join(NOTE), &text, 0o600).map_err(|e| error::file(&e))
    }

    /// Copies data and compares. May be repeated after a cut anywhere.
    pub(super) async fn copy_legacy(
        &self,
        app: &DesiredApp,
        data: &DataMove,
        wish: Generation,
    ) -> HostResult<()> {
        let id = &app.manifest.id;
        let Some(source) = self.source(&data.from).await? else {
            // nothing was ever written there
            return Ok(());
        };
        let live = self.target(id, &data.to).await?;
        let before = self.copied(id).into_iter().any(|copied| copied.data.to == data.to);
        if !before && !self.is_free(&live).await? {
            let message = format!("There is something in {} already.", live.display());
            let hint = "Move it away, or remove it if it is not needed, then migrate again.";
            return Err(refuse("migrate-data-in-the-way", message, hint));
        }
        self.room(&source, &live).await?;
        let name = live.file_name().unwrap_or_default().to_string_lossy();
        let beside = live.with_file_name(format!(".{name}.adopting"));
        let copier = self.copier();
        copier.clear_beside(&beside).await.map_err(|e| error::unshare(&e))?;
        copier.copy_tree(&source, &beside).await.map_err(|e| error::unshare(&e))?;
        let digest = copier.digest_of(&source).await.map_err(|e| error::unshare(&e))?;
        let same = copier.digest_of(&beside).await.map_err(|e| error::unshare(&e))?;
        if digest != same {
            copier.remove_all(&beside).await.map_err(|e| error::unshare(&e))?;
            let message = format!("The copy of {} is not the same as the original.", data.from);
            let hint = "Something else writes there, or the disk is at fault: `archy doctor`.";
            return Err(refuse("migrate-copy-differs", message, hint));
        }
        let bytes = copier.size_of(&beside).await.map_err(|e| error::unshare(&e))?;
        copier.sync(&beside).await.map_err(|e| error::unshare(&e))?;
        let copied = Copied { data: data.clone(), wish, digest, bytes, at: clock::now() };
        // noted before it counts: what is noted may be copied again
        let first = Copied { wish: Generation(0), ..copied.clone() };
        let noted = id.clone();
        self.blocking(move |host| host.note_copied(&noted, first)).await?;
        copier.exchange(&beside, &live).await.map_err(|e| error::unshare(&e))?;
        copier.sync(&live).await.map_err(|e| error::unshare(&e))?;
        let noted = id.clone();
        self.blocking(move |host| host.note_copied(&noted, copied)).await?;
        copier.clear_beside(&beside).await.map_err(|e| error::unshare(&e))
    }

    /// Nothing there, or an empty directory.
    async fn is_free(&self, path: &Path) -> HostResult<bool> {
        match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Ok(meta) if !meta.is_dir() => Ok(false),
            // it, or what it is in, may be a container's user's own
            _ => self.copier().is_empty(path).await.map_err(|e| error::unshare(&e)),
        }
    }

    /// Where data is; nothing when there is none.
    async fn source(&self, from: &DataPlace) -> HostResult<Option<PathBuf>> {
        let path = match from {
            DataPlace::Path { path } => path.clone(),
            DataPlace::Volume { name, below } => {
                let volume = self.podman.volume(name).await.map_err(|e| error::podman(&e))?;
                let Some(volume) = volume else {
                    let message = format!("The volume {name} is gone.");
                    return Err(refuse("adopted-gone", message, "Nothing was copied."));
                };
                let base = PathBuf::from(volume.mountpoint);
                if below.is_empty() { base } else { base.join(below) }
            }
            DataPlace::AppDir { .. } => return Ok(None),
        };
        let real = self.blocking(move |_| match path.canonicalize() {
            Ok(real) => Ok(Some(real)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            // a directory above it is a container's user's own
            Err(_) => Ok(Some(path)),
        });
        real.await
    }

    /// Where the manifest has it; what is above it is made.
    async fn target(&self, app: &AppId, to: &DataPlace) -> HostResult<PathBuf> {
        match to {
            DataPlace::AppDir { path } if path.is_empty() => self.app_path(app, ""),
            DataPlace::AppDir { path } => {
                let (parent, _) = path.rsplit_once('/').unwrap_or(("", path));
                // no link of an app may lead elsewhere
                drop(self.enter(app, parent).await?);
                self.app_path(app, path)
            }
            DataPlace::Volume { name, .. } => self.volume_place(app, name).await,
            DataPlace::Path { path } => Ok(path.clone()),
        }
    }

    async fn room(&self, source: &Path, live: &Path) -> HostResult<()> {
        let base = live.parent().unwrap_or(live).to_owned();
        let shares = self.blocking(|host| Ok(host.shares_copies())).await?;
        if shares && same_device(source, &base) {
            return Ok(());
        }
        let size = self.copier().size_of(source).await.map_err(|e| error::unshare(&e))?;
        let free = facts::disk(&base).map(|disk| disk.free);
        if free.is_none_or(|free| free > size.saturating_add(SPARE)) {
            return Ok(());
        }
        let message = format!(
            "A copy of {} takes {} MB, and {} MB are free.",
            source.display(),
            size / 1_000_000,
            free.unwrap_or(0) / 1_000_000
        );
        Err(refuse("disk-low", message, "Free some room, then migrate again."))
    }
}
