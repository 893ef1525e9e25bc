//! Pulling an image, with progress while it goes on.

use std::{collections::BTreeMap, time::Duration};

use futures_util::Stream;
use serde::Deserialize;

use crate::{
    ImageDetail, Podman, PodmanError,
    body::{Chunks, JsonLines},
    call::Call,
    wire::nullable,
};

/// When a pull asks the registry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// Always.
    Always,
    /// Only when the image is not in local storage.
    #[default]
    Missing,
    /// When the registry's is newer.
    Newer,
}

/// How far a pull is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullProgress {
    /// What Podman says it is doing: `Pulling fs layer`, `Downloading`, `Download complete`, ….
    pub text: String,
    /// Short id of the layer this is about.
    pub layer: Option<String>,
    /// Bytes that arrived, over all layers known so far.
    pub done: u64,
    /// Bytes in all layers known so far; it grows as layers become known.
    pub total: u64,
}

/// One message of a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullItem {
    /// It goes on.
    Progress(PullProgress),
    /// The image is in local storage, by this id (short on some versions).
    Done(String),
}

/// A pull that is going on; dropping it breaks it off.
#[derive(Debug)]
pub struct Pull {
    lines: JsonLines,
    reference: String,
    layers: BTreeMap<String, (u64, u64)>,
    /// Id of the last message: at the end, the image's.
    last_id: Option<String>,
    finished: bool,
}

/// Both forms that Podman answers in (`compatMode` or not).
#[derive(Deserialize, Default)]
#[serde(default)]
struct RawItem {
    stream: String,
    status: String,
    id: String,
    error: String,
    #[serde(rename = "progressDetail", deserialize_with = "nullable")]
    progress: RawProgress,
    #[serde(rename = "errorDetail", deserialize_with = "nullable")]
    error_detail: RawErrorDetail,
    #[serde(deserialize_with = "nullable")]
    images: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawProgress {
    #[serde(deserialize_with = "nullable")]
    current: u64,
    #[serde(deserialize_with = "nullable")]
    total: i64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawErrorDetail {
    message: String,
}

// === impl PullProgress ===

impl PullProgress {
    /// Whole per cent of the layers known so far; `None` before any is.
    #[must_use]
    pub fn percent(&self) -> Option<u8> {
        let percent = (self.done.min(self.total) * 100).checked_div(self.total)?;
        u8::try_from(percent).ok()
    }
}

// === impl Pull ===

impl Pull {
    /// The next message; `None` after [`PullItem::Done`]. May be dropped and called again.
    ///
    /// # Errors
    /// [`PodmanError::Pull`] when Podman gives up, also in the middle; [`PodmanError::Timeout`]
    /// when nothing was heard for the idle time.
    pub async fn next(&mut self) -> Option<Result<PullItem, PodmanError>> {
        while !self.finished {
            let item = match self.lines.next::<RawItem>().await {
                Ok(Some(raw)) => self.read(raw),
                // the chunked body ended in due form: that is how this form says "done"
                Ok(None) => Some(match self.last_id.take() {
                    Some(id) => Ok(PullItem::Done(id)),
                    None => Err(self.failed("Podman ended without a result")),
                }),
                Err(e) => Some(Err(e)),
            };
            if let Some(item) = item {
                self.finished = !matches!(item, Ok(PullItem::Progress(_)));
                return Some(item);
            }
        }
        None
    }

    /// The messages as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Result<PullItem, PodmanError>> + Send {
        futures_util::stream::unfold(self, |mut pull| async move {
            let item = pull.next().await?;
            Some((item, pull))
        })
    }

    fn failed(&self, message: &str) -> PodmanError {
        PodmanError::Pull {
            reference: self.reference.clone(),
            message: crate::transport::clip(message.trim().to_owned(), 4096),
        }
    }

    fn read(&mut self, raw: RawItem) -> Option<Result<PullItem, PodmanError>> {
        if !raw.error.is_empty() || !raw.error_detail.message.is_empty() {
            let RawItem { error, error_detail, .. } = raw;
            let message = if error.is_empty() { error_detail.message } else { error };
            return Some(Err(self.failed(&message)));
        }
        if let Some(id) = raw.images.into_iter().next() {
            return Some(Ok(PullItem::Done(id)));
        }
        let text = if raw.status.is_empty() { raw.stream.trim() } else { raw.status.trim() };
        if !raw.id.is_empty() {
            self.last_id = Some(raw.id.clone());
        }
        if text.is_empty() {
            return None;
        }
        let total = u64::try_from(raw.progress.total).unwrap_or(0);
        if !raw.id.is_empty() {
            self.note(&raw.id, text, raw.progress.current, total);
        }
        let (done, total) = self.sum();
        Some(Ok(PullItem::Progress(PullProgress {
            text: text.to_owned(),
            layer: (!raw.id.is_empty()).then_some(raw.id),
            done,
            total,
        })))
    }

    fn note(&mut self, layer: &str, text: &str, current: u64, total: u64) {
        let known = self.layers.entry(layer.to_owned()).or_default();
        known.1 = known.1.max(total);
        known.0 = known.0.max(current).min(known.1);
        if matches!(text, "Download complete" | "Pull complete" | "Already exists") {
            known.0 = known.1;
        }
    }

    fn sum(&self) -> (u64, u64) {
        self.layers.values().fold((0, 0), |(done, total), (d, t)| {
            (u64::saturating_add(done, *d), u64::saturating_add(total, *t))
        })
    }
}

// === impl Podman ===

impl Podman {
    /// Starts a pull. The deadline covers the connection; after that Podman may be silent for
    /// `idle` at most. TLS is verified as the host's `registries.conf` says.
    ///
    /// # Errors
    /// Those of every call. What goes wrong later comes out of [`Pull::next`].
    pub async fn pull(
        &self,
        reference: &str,
        policy: PullPolicy,
        idle: Duration,
    ) -> Result<Pull, PodmanError> {
        let policy = match policy {
            PullPolicy::Always => "always",
            PullPolicy::Missing => "missing",
            PullPolicy::Newer => "newer",
        };
        // the other form tells no bytes and is silent while a layer comes
        let call = Call::post(&["images", "pull"])
            .query("reference", reference)
            .query("policy", policy)
            .query("compatMode", "true");
        // the head comes with the first message, which may take as long as any other
        let slow = self.within(self.deadline().max(idle));
        let answer = slow.timed(&call.op, self.open(&call)).await.map_err(|e| match e {
            PodmanError::Api { status: 400.., message, .. } => {
                PodmanError::Pull { reference: reference.to_owned(), message }
            }
            other => other,
        })?;
        let chunks = Chunks::new(answer.into_body(), call.op, Some(idle));
        Ok(Pull {
            lines: JsonLines::new(chunks),
            reference: reference.to_owned(),
            layers: BTreeMap::new(),
            last_id: None,
            finished: false,
        })
    }

    /// Pulls to the end, with `progress` called on each message, and reads the image.
    ///
    /// # Errors
    /// Those of [`Self::pull`] and [`Pull::next`].
    pub async fn pull_image(
        &self,
        reference: &str,
        policy: PullPolicy,
        idle: Duration,
        mut progress: impl FnMut(PullProgress) + Send,
    ) -> Result<ImageDetail, PodmanError> {
        let mut pull = self.pull(reference, policy, idle).await?;
        while let Some(item) = pull.next().await {
            if let PullItem::Progress(p) = item? {
                progress(p);
            }
        }
        self.image(reference).await?.ok_or_else(|| PodmanError::Pull {
            reference: reference.to_owned(),
            message: "the image is not in local storage after the pull".to_owned(),
        })
    }
}
