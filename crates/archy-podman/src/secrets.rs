//! Podman secrets. Their values go in and never come out.

use std::collections::BTreeMap;

use archy_types::{Secret, Timestamp};
use serde::Deserialize;

use crate::{
    Podman, PodmanError,
    call::Call,
    wire::{nullable, time},
};

/// A secret without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretInfo {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When its value was last replaced.
    pub updated_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct RawSecret {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "CreatedAt", default, deserialize_with = "time")]
    created_at: Option<Timestamp>,
    #[serde(rename = "UpdatedAt", default, deserialize_with = "time")]
    updated_at: Option<Timestamp>,
    #[serde(rename = "Spec")]
    spec: RawSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawSpec {
    name: String,
    #[serde(default, deserialize_with = "nullable")]
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Created {
    #[serde(rename = "ID")]
    id: String,
}

impl From<RawSecret> for SecretInfo {
    fn from(raw: RawSecret) -> Self {
        let RawSecret { id, created_at, updated_at, spec: RawSpec { name, labels } } = raw;
        Self { id, name, labels, created_at, updated_at }
    }
}

// === impl Podman ===

impl Podman {
    /// All secrets.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn secrets(&self) -> Result<Vec<SecretInfo>, PodmanError> {
        let raw: Vec<RawSecret> = self.json(&Call::get(&["secrets", "json"])).await?;
        Ok(raw.into_iter().map(Into::into).collect())
    }

    /// A secret by name or id; `None` when there is none.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn secret(&self, name: &str) -> Result<Option<SecretInfo>, PodmanError> {
        let call = Call::get(&["secrets", name, "json"]);
        let raw: Option<RawSecret> = self.json_if_exists(&call).await?;
        Ok(raw.map(Into::into))
    }

    /// Makes a secret, or replaces its value and labels. Answers its id. The value goes in the
    /// body of the request alone. Containers see a new value when they are made anew.
    ///
    /// # Errors
    /// Those of every call; Podman refuses an empty value and one of 512,000 bytes or more.
    pub async fn put_secret(
        &self,
        name: &str,
        value: &Secret,
        labels: &BTreeMap<String, String>,
    ) -> Result<String, PodmanError> {
        let mut call =
            Call::post(&["secrets", "create"]).query("name", name).query("replace", "true");
        if !labels.is_empty() {
            call = call.query("labels", &serde_json::json!(labels).to_string());
        }
        let call = call.bytes("application/octet-stream", value.expose().to_vec());
        let created: Created = self.json(&call).await?;
        Ok(created.id)
    }

    /// Removes a secret. False when it was not there.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn remove_secret(&self, name: &str) -> Result<bool, PodmanError> {
        self.done_if_exists(&Call::delete(&["secrets", name])).await
    }
}
