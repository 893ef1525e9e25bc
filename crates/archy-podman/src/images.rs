//! Images: is it there, what is it, list, tag, remove. Pulling is in `pull`.

use std::collections::BTreeMap;

use archy_types::Timestamp;
use serde::Deserialize;

use crate::{
    Podman, PodmanError,
    call::Call,
    wire::{nullable, time, unix_seconds},
};

/// An image as the list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Image {
    /// Id: the hex digest of the configuration, without `sha256:`.
    #[serde(rename = "Id")]
    pub id: String,
    /// Digest of the manifest, `sha256:…`.
    #[serde(rename = "Digest", default)]
    pub digest: String,
    /// Names with tag.
    #[serde(rename = "RepoTags", default, deserialize_with = "nullable")]
    pub tags: Vec<String>,
    /// Names with digest: the image's own and that of the list it came from.
    #[serde(rename = "RepoDigests", default, deserialize_with = "nullable")]
    pub digests: Vec<String>,
    /// Size in bytes, layers shared with other images included.
    #[serde(rename = "Size", default)]
    pub size: u64,
    /// When it was built.
    #[serde(rename = "Created", default, deserialize_with = "unix_seconds")]
    pub created: Option<Timestamp>,
    /// How many containers use it.
    #[serde(rename = "Containers", default)]
    pub containers: i64,
    /// Labels.
    #[serde(rename = "Labels", default, deserialize_with = "nullable")]
    pub labels: BTreeMap<String, String>,
}

/// One image in detail.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ImageDetail {
    /// Id: the hex digest of the configuration, without `sha256:`.
    #[serde(rename = "Id")]
    pub id: String,
    /// Digest of the manifest, `sha256:…`.
    #[serde(rename = "Digest", default)]
    pub digest: String,
    /// Names with tag.
    #[serde(rename = "RepoTags", default, deserialize_with = "nullable")]
    pub tags: Vec<String>,
    /// Names with digest: the image's own and that of the list it came from.
    #[serde(rename = "RepoDigests", default, deserialize_with = "nullable")]
    pub digests: Vec<String>,
    /// Size in bytes, layers shared with other images included.
    #[serde(rename = "Size", default)]
    pub size: u64,
    /// Architecture as Go names it: `amd64`, `arm64`.
    #[serde(rename = "Architecture", default)]
    pub architecture: String,
    /// Operating system, `linux`.
    #[serde(rename = "Os", default)]
    pub os: String,
    /// When it was built.
    #[serde(rename = "Created", default, deserialize_with = "time")]
    pub created: Option<Timestamp>,
    /// Labels.
    #[serde(rename = "Labels", default, deserialize_with = "nullable")]
    pub labels: BTreeMap<String, String>,
    /// The user that the image asks for, `uid[:gid]` or names; empty is root.
    #[serde(rename = "User", default)]
    pub user: String,
}

/// What removing an image did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct RemovedImage {
    /// Ids that are gone.
    #[serde(rename = "Deleted", default, deserialize_with = "nullable")]
    pub deleted: Vec<String>,
    /// Names that are gone.
    #[serde(rename = "Untagged", default, deserialize_with = "nullable")]
    pub untagged: Vec<String>,
}

// === impl Podman ===

impl Podman {
    /// Whether the image is in local storage.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn image_exists(&self, reference: &str) -> Result<bool, PodmanError> {
        self.done_if_exists(&Call::get(&["images", reference, "exists"])).await
    }

    /// An image by name, digest or id; `None` when it is not in local storage.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn image(&self, reference: &str) -> Result<Option<ImageDetail>, PodmanError> {
        self.json_if_exists(&Call::get(&["images", reference, "json"])).await
    }

    /// All images with a name, without intermediate ones.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn images(&self) -> Result<Vec<Image>, PodmanError> {
        self.json(&Call::get(&["images", "json"])).await
    }

    /// Gives an image another name, `repo:tag`.
    ///
    /// # Errors
    /// Those of every call; 404 when the image is not there.
    pub async fn tag_image(
        &self,
        reference: &str,
        repo: &str,
        tag: &str,
    ) -> Result<(), PodmanError> {
        let call = Call::post(&["images", reference, "tag"]).query("repo", repo).query("tag", tag);
        self.done(&call).await
    }

    /// Removes a name of an image, and the image with its last name. Never one that a container
    /// uses: that is a conflict. `None` when it was not there.
    ///
    /// # Errors
    /// Those of every call; see [`PodmanError::is_conflict`].
    pub async fn remove_image(&self, reference: &str) -> Result<Option<RemovedImage>, PodmanError> {
        self.json_if_exists(&Call::delete(&["images", reference])).await
    }
}
