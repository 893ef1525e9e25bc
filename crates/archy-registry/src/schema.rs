//! Metadata as TUF writes it (specification 1.0, §4). Unknown keys are ignored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Version of the specification that is written.
pub const SPEC_VERSION: &str = "1.0.31";

/// Name of the role that says whose keys count.
pub const ROOT: &str = "root";
/// Name of the role that lists targets and publishers.
pub const TARGETS: &str = "targets";
/// Name of the role that says which versions belong together.
pub const SNAPSHOT: &str = "snapshot";
/// Name of the role that says which snapshot is the newest.
pub const TIMESTAMP: &str = "timestamp";

/// A moment in whole seconds since 1970, written as `2027-01-01T00:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Moment {
    /// So many days later.
    #[must_use]
    pub const fn plus_days(self, days: u32) -> Self {
        Self(self.0.saturating_add(days as i64 * 86_400))
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(time) => write!(f, "{}", time.strftime("%Y-%m-%dT%H:%M:%SZ")),
            Err(_) => write!(f, "{} s", self.0),
        }
    }
}

impl Serialize for Moment {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let time: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Self(time.as_second()))
    }
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// `ed25519`; others do not count.
    pub keytype: String,
    /// `ed25519`; others do not count.
    pub scheme: String,
    /// The key.
    pub keyval: KeyValue,
}

/// The key itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyValue {
    /// Hex digits.
    pub public: String,
}

/// Keys of a role, and how many of them must sign.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleKeys {
    /// Ids of keys.
    pub keyids: Vec<String>,
    /// Signatures needed.
    pub threshold: u32,
}

/// What all roles have.
pub trait Role: serde::de::DeserializeOwned + Serialize {
    /// As `_type` says it.
    const KIND: &'static str;
    /// `_type`.
    fn kind(&self) -> &str;
    /// Version of the specification.
    fn spec_version(&self) -> &str;
    /// Version.
    fn version(&self) -> u64;
    /// Until when it is good.
    fn expires(&self) -> Moment;
}

macro_rules! role {
    ($type:ident, $kind:expr) => {
        impl Role for $type {
            const KIND: &'static str = $kind;
            fn kind(&self) -> &str {
                &self.kind
            }
            fn spec_version(&self) -> &str {
                &self.spec_version
            }
            fn version(&self) -> u64 {
                self.version
            }
            fn expires(&self) -> Moment {
                self.expires
            }
        }
    };
}

role!(Root, ROOT);
role!(Targets, TARGETS);
role!(Snapshot, SNAPSHOT);
role!(Timestamp, TIMESTAMP);

/// Whose keys count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// `root`.
    #[serde(rename = "_type")]
    pub kind: String,
    /// Version of the specification.
    pub spec_version: String,
    /// Version, one more each time.
    pub version: u64,
    /// Until when it is good.
    pub expires: Moment,
    /// File names carry version or digest.
    #[serde(default)]
    pub consistent_snapshot: bool,
    /// All keys by id.
    pub keys: BTreeMap<String, Key>,
    /// Keys of each role.
    pub roles: BTreeMap<String, RoleKeys>,
}

/// Digests of a file.
pub type Hashes = BTreeMap<String, String>;

/// What is signed about a metadata file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaFile {
    /// Its version.
    pub version: u64,
    /// Its length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// Its digests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hashes: Option<Hashes>,
}

/// The newest snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timestamp {
    /// `timestamp`.
    #[serde(rename = "_type")]
    pub kind: String,
    /// Version of the specification.
    pub spec_version: String,
    /// Version.
    pub version: u64,
    /// Until when it is good.
    pub expires: Moment,
    /// `snapshot.json` alone.
    pub meta: BTreeMap<String, MetaFile>,
}

/// Which versions belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// `snapshot`.
    #[serde(rename = "_type")]
    pub kind: String,
    /// Version of the specification.
    pub spec_version: String,
    /// Version.
    pub version: u64,
    /// Until when it is good.
    pub expires: Moment,
    /// Versions of `targets.json` and `<publisher>.json`.
    pub meta: BTreeMap<String, MetaFile>,
}

/// A file that is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetFile {
    /// Its length.
    pub length: u64,
    /// Its digests; `sha256` is needed.
    pub hashes: Hashes,
    /// What the publisher says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<Value>,
}

/// Files, and whom they are delegated to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targets {
    /// `targets`.
    #[serde(rename = "_type")]
    pub kind: String,
    /// Version of the specification.
    pub spec_version: String,
    /// Version.
    pub version: u64,
    /// Until when it is good.
    pub expires: Moment,
    /// Files by name.
    pub targets: BTreeMap<String, TargetFile>,
    /// Publishers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegations: Option<Delegations>,
}

/// Publishers and their keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegations {
    /// All keys by id.
    pub keys: BTreeMap<String, Key>,
    /// Publishers; an earlier one wins.
    #[serde(default)]
    pub roles: Vec<Delegation>,
}

/// A publisher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// Name of the role.
    pub name: String,
    /// Ids of keys.
    pub keyids: Vec<String>,
    /// Signatures needed.
    pub threshold: u32,
    /// Nobody after it may offer what matches.
    #[serde(default)]
    pub terminating: bool,
    /// Names that it may offer; `*` and `?` stand for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
}

impl Delegation {
    /// Its keys.
    #[must_use]
    pub fn keys(&self) -> RoleKeys {
        RoleKeys { keyids: self.keyids.clone(), threshold: self.threshold }
    }

    /// True when it may offer a file of this name. What is delegated in another way matches nothing.
    #[must_use]
    pub fn allows(&self, name: &str) -> bool {
        self.paths.iter().flatten().any(|pattern| crate::names::matches(pattern, name))
    }
}
