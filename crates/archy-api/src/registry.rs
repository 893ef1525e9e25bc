//! `registry.*`: the signed catalogs that apps come from, and how installed apps follow them.

use archy_types::UserError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// Result of `registry.list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct RegistryList {
    /// Registries in the order in which they win.
    pub registries: Vec<RegistryRecord>,
    /// How installed apps follow them.
    pub policy: UpdatePolicy,
}

/// A registry that the owner trusts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct RegistryRecord {
    /// Its name on this node.
    pub name: String,
    /// Its address.
    pub url: String,
    /// Its place: one with a smaller number wins, whatever the versions.
    pub order: u32,
    /// Apps that are taken from it whatever the order.
    pub pins: Vec<String>,
    /// Apps that it offers.
    pub apps: u32,
    /// Why entries of its catalog are left out, at most twenty.
    pub findings: Vec<String>,
    /// Whose keys count; nothing before its first catalog came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<RegistryTrust>,
    /// When the catalog in force came (milliseconds since 1970).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched: Option<i64>,
    /// When it was last asked with success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked: Option<i64>,
    /// Until when the catalog in force is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good_until: Option<i64>,
    /// Why the catalog in force is stale: nothing is installed from it without the owner's consent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<UserError>,
    /// The owner consented to installs from this stale catalog.
    pub stale_accepted: bool,
    /// What went wrong when it was last asked; the last good catalog is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<UserError>,
}

/// Whose keys a registry has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct RegistryTrust {
    /// Fingerprint of the root, as the publisher tells it: `sha256:…`.
    pub fingerprint: String,
    /// Version of the root.
    pub root_version: u64,
    /// Until when the root is good (milliseconds since 1970).
    pub root_good_until: i64,
    /// Keys of each role, and how many of them must sign.
    pub roles: Vec<RegistryRole>,
}

/// Keys of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct RegistryRole {
    /// `root`, `targets`, `snapshot`, `timestamp`, or a publisher.
    pub name: String,
    /// Ids of keys.
    pub keys: Vec<String>,
    /// Signatures needed.
    pub threshold: u32,
    /// What a publisher may offer.
    pub paths: Vec<String>,
}

/// Parameters of `registry.inspect`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct InspectRegistryParams {
    /// Its address: `https://…` or `http://…`.
    pub url: String,
}

/// Parameters of `registry.add`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct AddRegistryParams {
    /// Its name on this node: a-z, 0-9 and hyphens.
    pub name: String,
    /// Its address.
    pub url: String,
    /// The fingerprint that the owner compared with the publisher's.
    pub fingerprint: String,
    /// Its place among the others; the last one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u32>,
}

/// Parameters of `registry.set`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct SetRegistryParams {
    /// Its name.
    pub name: String,
    /// Its place among the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u32>,
    /// Apps that are taken from it whatever the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pins: Option<Vec<String>>,
    /// Consent to installs from its catalog though it is stale; ends with its next catalog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_stale: Option<bool>,
}

/// Parameters of methods about one registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct RegistryParams {
    /// Its name.
    pub name: String,
}

/// Parameters of `registry.refresh`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct RefreshRegistryParams {
    /// Its name; all of them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// How installed apps follow registries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct UpdatePolicy {
    /// Registries are asked every so many minutes, 15 to 10,080, give or take a fifth; nought: only by hand.
    pub refresh_minutes: u32,
    /// Apps update by themselves, unless said otherwise for an app.
    pub auto: bool,
    /// Apps for which it is said otherwise.
    pub apps: std::collections::BTreeMap<String, bool>,
    /// Hour of the node's day (0 to 23) from which apps update by themselves.
    pub from_hour: u8,
    /// Hour at which that ends; the same as `from_hour` for the whole day.
    pub to_hour: u8,
}

impl Default for UpdatePolicy {
    /// Registries every six hours; no app by itself; if one does, at night.
    fn default() -> Self {
        Self {
            refresh_minutes: 360,
            auto: false,
            apps: std::collections::BTreeMap::new(),
            from_hour: 2,
            to_hour: 5,
        }
    }
}

/// Parameters of `registry.set-policy`; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct SetPolicyParams {
    /// Registries are asked every so many minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_minutes: Option<u32>,
    /// Apps update by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto: Option<bool>,
    /// Hour from which apps update by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_hour: Option<u8>,
    /// Hour at which that ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_hour: Option<u8>,
    /// Only for this app: `auto` is about it alone, and absent means as for all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
}

/// Result of `package.outdated`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
pub struct OutdatedResult {
    /// Installed apps of which a newer version is offered.
    pub apps: Vec<OutdatedApp>,
}

/// An app of which a newer version is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[ts(optional_fields)]
pub struct OutdatedApp {
    /// The app.
    pub id: String,
    /// The version that is installed.
    pub installed: String,
    /// The version that is offered.
    pub offered: String,
    /// Where: the name of a registry, `local` or `bundled`.
    pub source: String,
    /// It will update by itself.
    pub auto: bool,
    /// Why it does not, though the policy says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<UserError>,
}
