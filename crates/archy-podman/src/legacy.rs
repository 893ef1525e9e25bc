//! What containers that somebody else made need: they are started, stopped and renamed as they are,
//! and described whole.

use std::time::Duration;

use archy_types::Secret;
use serde::Deserialize;
use serde_json::Value;

use crate::{Podman, PodmanError, call::Call};

#[derive(Deserialize)]
struct RawValue {
    #[serde(rename = "SecretData", default)]
    data: Option<String>,
}

// === impl Podman ===

impl Podman {
    /// A container by name or id, all that Podman tells of it; `None` when there is none.
    ///
    /// The environment is in it, secrets included: it belongs into nothing that is written or shown.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn describe_container(&self, name: &str) -> Result<Option<Value>, PodmanError> {
        self.json_if_exists(&Call::get(&["containers", name, "json"])).await
    }

    /// The environment of an image by name or id, as `KEY=value`; empty when there is no such image.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn image_env(&self, reference: &str) -> Result<Vec<String>, PodmanError> {
        let call = Call::get(&["images", reference, "json"]);
        let image: Option<Value> = self.json_if_exists(&call).await?;
        let env = image.as_ref().and_then(|image| image.pointer("/Config/Env")?.as_array());
        let texts = env.into_iter().flatten().filter_map(Value::as_str);
        Ok(texts.map(str::to_owned).collect())
    }

    /// Starts a container as it is; one that runs is left alone.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn start_container(&self, name: &str) -> Result<(), PodmanError> {
        self.done(&Call::post(&["containers", name, "start"])).await
    }

    /// Stops a container: it gets its stop signal and `grace` (its own stop timeout when `None`),
    /// then it is killed. The deadline must be longer than the grace. One that does not run, or is
    /// not there, is left alone.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn stop_container(
        &self,
        name: &str,
        grace: Option<Duration>,
    ) -> Result<(), PodmanError> {
        let mut call = Call::post(&["containers", name, "stop"]);
        if let Some(grace) = grace {
            call = call.query("timeout", &grace.as_secs().to_string());
        }
        self.done_if_exists(&call).await.map(drop)
    }

    /// Gives a container another name; what it is does not change.
    ///
    /// # Errors
    /// Those of every call; a conflict when the name is taken.
    pub async fn rename_container(&self, name: &str, to: &str) -> Result<(), PodmanError> {
        self.done(&Call::post(&["containers", name, "rename"]).query("name", to)).await
    }

    /// Says after which ends, and whether at boot, Podman starts a container again by itself: one of
    /// its own words (`no`, `always`, `on-failure`, `unless-stopped`), with the most attempts for
    /// `on-failure` (0 is without end). Needs Podman 5.1.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn set_restart_policy(
        &self,
        name: &str,
        policy: &str,
        attempts: u64,
    ) -> Result<(), PodmanError> {
        let mut call = Call::post(&["containers", name, "update"]).query("restartPolicy", policy);
        if attempts > 0 {
            call = call.query("restartRetries", &attempts.to_string());
        }
        self.done(&call.json(&serde_json::json!({}))?).await
    }

    /// A secret's value; `None` when there is no such secret.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn secret_value(&self, name: &str) -> Result<Option<Secret>, PodmanError> {
        let call = Call::get(&["secrets", name, "json"]).query("showsecret", "true");
        let raw: Option<RawValue> = self.json_if_exists(&call).await?;
        Ok(raw.and_then(|raw| raw.data).map(|data| Secret::new(data.into_bytes())))
    }
}
