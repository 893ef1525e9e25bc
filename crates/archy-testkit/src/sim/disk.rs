//! What a power cut takes: changes of Podman's storage and of directories that the kernel has not
//! written back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use archy_plan::observed::FileState;
use archy_types::{AppId, Generation};
use tokio::time::Instant;

use super::rng::Rng;
use crate::model::{Model, Snapshot};

/// After this time the kernel has written back what nobody synced (`dirty_expire_centisecs`).
const EXPIRE: Duration = Duration::from_secs(30);

/// The states that the disk may be in after a cut, oldest first.
#[derive(Debug)]
pub(super) struct Writeback {
    /// A sync of one file also brings everything before it to the disk, as with the journal of
    /// ext4 and xfs; else only what is synced itself.
    ordered: bool,
    past: VecDeque<(Instant, Storage)>,
}

/// What nobody syncs by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Storage {
    images: BTreeSet<String>,
    pub(super) volumes: BTreeSet<String>,
    networks: BTreeSet<String>,
    secrets: BTreeMap<String, String>,
    pub(super) files: BTreeMap<AppId, BTreeMap<String, FileState>>,
    pub(super) data: BTreeMap<String, String>,
    pub(super) snapshots: BTreeMap<AppId, BTreeMap<Generation, Snapshot>>,
    /// Unit files of the owner that are kept aside.
    pub(super) aside: BTreeSet<PathBuf>,
}

impl Storage {
    fn of(model: &Model) -> Self {
        Self {
            images: model.images.clone(),
            volumes: model.volumes.clone(),
            networks: model.networks.clone(),
            secrets: model.podman_secrets.clone(),
            files: model.app_files.clone(),
            data: model.data.clone(),
            snapshots: model.snapshots.clone(),
            aside: model.foreign.files_aside.clone(),
        }
    }
}

impl Writeback {
    pub(super) const fn new(ordered: bool) -> Self {
        Self { ordered, past: VecDeque::new() }
    }

    /// Call before a change that is not synced.
    pub(super) fn before(&mut self, model: &Model) {
        let now = Instant::now();
        let storage = Storage::of(model);
        if self.past.back().is_none_or(|(_, last)| *last != storage) {
            self.past.push_back((now, storage));
        }
        // a state counts as long as the change that ended it is young
        while self.past.get(1).is_some_and(|(at, _)| now - *at > EXPIRE) {
            self.past.pop_front();
        }
    }

    /// A file was synced.
    pub(super) fn synced(&mut self) {
        if self.ordered {
            self.past.clear();
        }
    }

    /// Something of its own was synced: it is so in every state that a cut may leave.
    pub(super) fn on_disk(&mut self, change: impl Fn(&mut Storage)) {
        for (_, storage) in &mut self.past {
            change(storage);
        }
    }

    /// Everything is on the disk.
    pub(super) fn all_synced(&mut self) {
        self.past.clear();
    }

    /// Puts the model into one of the states that a cut may leave.
    pub(super) fn lose(&mut self, model: &mut Model, rng: &mut Rng) {
        self.before(model);
        let now = Instant::now();
        while self.past.len() > 1 && self.past.front().is_some_and(|(at, _)| now - *at > EXPIRE) {
            self.past.pop_front();
        }
        let back = usize::try_from(rng.below(self.past.len() as u64)).unwrap_or_default();
        if let Some((_, storage)) = self.past.get(back).cloned() {
            model.images = storage.images;
            model.volumes = storage.volumes;
            model.networks = storage.networks;
            model.podman_secrets = storage.secrets;
            model.app_files = storage.files;
            model.data = storage.data;
            model.snapshots = storage.snapshots;
            model.foreign.files_aside = storage.aside;
        }
        self.past.clear();
    }
}
