//! The list and the settings, in memory and on the disk.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use archy_api::Hidden;
use archy_api::notify::{
    Attention, AttentionList, Delivered, MarkParams, NotifyChannel, NotifySetParams,
    NotifySettings, PushAddParams,
};
use archy_types::{Secret, UserError};
use rand::TryRngCore as _;
use serde::{Serialize, de::DeserializeOwned};

use super::book::{Book, Cause, Group};
use super::push::Keys;
use super::settings::Kept;
use crate::auth::file;

/// Largest file, in bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// What needs attention, and where the owner is told of it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Desk {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    book: Book,
    kept: Kept,
    last: Vec<Delivered>,
    /// Of the list and of the settings.
    paths: (PathBuf, PathBuf),
}

impl Desk {
    /// What was kept in a directory. Blocks.
    #[must_use]
    pub fn open(dir: &Path) -> Self {
        let paths = (dir.join("notices.json"), dir.join("notify.json"));
        let book = read(&paths.0).unwrap_or_default();
        let kept: Option<Kept> = read(&paths.1);
        let kept = kept.filter(|kept| Keys::read(&kept.vapid).is_some()).unwrap_or_else(|| {
            let first = Kept::first(Keys::generate().unwrap_or_else(|| Hidden::new("")));
            // browsers know the node by this key
            write(&paths.1, &first).unwrap_or_else(|error| {
                tracing::warn!(%error, "the settings of notices were not kept");
            });
            first
        });
        Self { inner: Arc::new(Mutex::new(Inner { book, kept, last: Vec::new(), paths })) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The list, newest first.
    #[must_use]
    pub fn list(&self) -> AttentionList {
        self.lock().book.list()
    }

    /// How many entries were not read.
    #[must_use]
    pub fn unread(&self) -> u32 {
        self.lock().book.unread()
    }

    /// The settings without secrets.
    ///
    /// # Errors
    /// `internal`: the node's key cannot be read.
    pub fn settings(&self) -> Result<NotifySettings, UserError> {
        let inner = self.lock();
        let keys = Keys::read(&inner.kept.vapid).ok_or_else(|| {
            UserError::new("internal", "The node's key for browsers cannot be read.")
        })?;
        Ok(NotifySettings { last: inner.last.clone(), ..inner.kept.shown(&keys) })
    }

    /// Texts that must not appear anywhere.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        self.lock().kept.secrets().map(|text| Secret::new(text.expose())).collect()
    }

    pub(super) fn kept(&self) -> Kept {
        self.lock().kept.clone()
    }

    /// Changes the settings for good.
    ///
    /// # Errors
    /// They do not fit, or cannot be written.
    pub async fn set(&self, params: NotifySetParams) -> Result<(), UserError> {
        self.change(move |kept| kept.change(params)).await
    }

    /// Adds a browser for good.
    ///
    /// # Errors
    /// It does not fit, or cannot be written.
    pub async fn add(&self, params: PushAddParams, now: i64) -> Result<(), UserError> {
        let id = random_id();
        self.change(move |kept| kept.add(params, id, now)).await
    }

    /// Takes browsers away for good.
    ///
    /// # Errors
    /// The settings cannot be written.
    pub async fn remove(&self, ids: Vec<String>) -> Result<(), UserError> {
        self.change(move |kept| {
            kept.devices.retain(|device| !ids.contains(&device.id));
            Ok(())
        })
        .await
    }

    async fn change(
        &self,
        work: impl FnOnce(&mut Kept) -> Result<(), UserError> + Send + 'static,
    ) -> Result<(), UserError> {
        let desk = self.clone();
        blocking(move || {
            let mut inner = desk.lock();
            let mut kept = inner.kept.clone();
            work(&mut kept)?;
            write(&inner.paths.1, &kept).map_err(|error| unwritable(&error))?;
            inner.kept = kept;
            Ok(())
        })
        .await
    }

    /// Notes that entries were read.
    ///
    /// # Errors
    /// The list cannot be written.
    pub async fn mark(&self, params: MarkParams) -> Result<(), UserError> {
        let desk = self.clone();
        blocking(move || {
            let mut inner = desk.lock();
            if inner.book.mark(params.ids.as_deref(), params.read) {
                write(&inner.paths.0, &inner.book).map_err(|error| unwritable(&error))?;
            }
            Ok(())
        })
        .await
    }

    /// Takes what is wrong now; gives what is to be told. Blocks.
    pub(super) fn look(
        &self,
        causes: Vec<Cause>,
        looked: &std::collections::BTreeSet<Group>,
        now: i64,
        steady: u64,
    ) -> Vec<Attention> {
        let mut inner = self.lock();
        let news = inner.book.look(causes, looked, now, steady);
        if news.changed
            && let Err(error) = write(&inner.paths.0, &inner.book)
        {
            tracing::warn!(%error, "the list of notices was not kept");
        }
        news.begun
    }

    /// Notes how a channel fared.
    pub(super) fn fared(&self, channel: NotifyChannel, at: i64, error: Option<String>) {
        let last = &mut self.lock().last;
        last.retain(|one| one.channel != channel);
        last.push(Delivered { channel, at, error });
    }
}

/// A name that nobody has.
pub(super) fn random_id() -> String {
    let mut bytes = [0; 12];
    // without randomness the time will do: it is no secret
    if rand::rngs::OsRng.try_fill_bytes(&mut bytes).is_err() {
        bytes[..8].copy_from_slice(&crate::clock::steady_millis().to_be_bytes());
    }
    hex::encode(bytes)
}

fn unwritable(error: &std::io::Error) -> UserError {
    UserError::new("file-unwritable", format!("It could not be kept: {error}."))
        .hint("Look at the room on the disk of the data directory.")
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let bytes = file::read_bounded(path, MAX_FILE);
    let read = bytes.and_then(|bytes| {
        bytes.map(|bytes| serde_json::from_slice(&bytes).map_err(Into::into)).transpose()
    });
    read.unwrap_or_else(|error| {
        tracing::warn!(%error, path = %path.display(), "what was kept of notices cannot be read");
        None
    })
}

fn write<T: Serialize>(path: &Path, value: &T) -> std::io::Result<()> {
    file::write_whole(path, &serde_json::to_vec(value)?, 0o600)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, UserError> + Send + 'static,
) -> Result<T, UserError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| UserError::new("internal", error.to_string()))?
}
