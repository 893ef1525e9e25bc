//! What the owner decides about registries, in the store's settings.

use std::collections::{BTreeMap, BTreeSet};

use archy_api::registry::UpdatePolicy;
use archy_store::Store;
use archy_types::UserError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

const PREFIX: &str = "registry.source.";
const POLICY: &str = "registry.policy";

/// What is decided about one registry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its address.
    pub url: String,
    /// Its place among the others; nought for the last one.
    #[serde(default)]
    pub order: u32,
    /// Apps that are taken from it whatever the order.
    #[serde(default)]
    pub pins: BTreeSet<String>,
    /// Version of the timestamp of a stale catalog that the owner consented to.
    #[serde(default)]
    pub accepted: Option<u64>,
}

/// All of them by name; one that cannot be read is told and left out.
pub(super) async fn all(store: &Store) -> Result<BTreeMap<String, Kept>, UserError> {
    let settings = store.settings(PREFIX).await?.into_iter();
    let read = settings.filter_map(|(key, value)| {
        let name = key.strip_prefix(PREFIX)?.to_owned();
        match serde_json::from_value(value) {
            Ok(kept) => Some((name, kept)),
            Err(error) => {
                tracing::error!(registry = name, %error, "its record cannot be read");
                None
            }
        }
    });
    Ok(read.collect())
}

pub(super) async fn put(store: &Store, name: &str, kept: &Kept) -> Result<(), UserError> {
    Ok(store.put_setting(&format!("{PREFIX}{name}"), json(kept)?).await?)
}

pub(super) async fn forget(store: &Store, name: &str) -> Result<(), UserError> {
    Ok(store.put_setting(&format!("{PREFIX}{name}"), Value::Null).await?)
}

pub(super) async fn policy(store: &Store) -> Result<UpdatePolicy, UserError> {
    let kept = store.setting(POLICY).await?;
    Ok(kept.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default())
}

pub(super) async fn put_policy(store: &Store, policy: &UpdatePolicy) -> Result<(), UserError> {
    Ok(store.put_setting(POLICY, json(policy)?).await?)
}

fn json(value: &impl Serialize) -> Result<Value, UserError> {
    serde_json::to_value(value).map_err(|error| UserError::new("internal", error.to_string()))
}
