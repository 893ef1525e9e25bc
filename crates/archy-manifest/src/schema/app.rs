//! The keys directly below `app`.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::Setting;
use super::container::{Container, Env, Health, Mount, Port, Ready, Resources, Security};
use super::hooks::Hooks;
use super::scalar::{Seconds, Size};
use crate::model::{DependsOn, NostrProvider, OpenIn, SecretKind};

/// One app: either `container` (one container; `ports`, `volumes`, `env`, `devices`, `health`,
/// `ready`, `resources` and `security` may stand beside it) or `services` (several).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["id", "name", "version"]))]
pub struct App {
    /// Id: a DNS label (`a-z`, `0-9`, `-`). Also the name of the container, unit and data directory.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Version of the app, not of an image tag.
    pub version: String,
    /// One or more sentences for people.
    pub description: Option<String>,
    /// Category in the store, for example `nostr`.
    pub category: Option<String>,
    /// Where new versions of the software appear.
    pub upstream: Option<Upstream>,

    /// The only container of the app. Its service is called `main`.
    pub container: Option<Container>,
    /// The containers of the app by name (DNS labels). The container of `main` is named like the
    /// app, every other one `<id>-<name>`; they reach each other by service name on the app's own
    /// network.
    pub services: IndexMap<String, Container>,

    /// Published ports of `container`.
    pub ports: Vec<Port>,
    /// Mounts of `container`.
    pub volumes: Vec<Mount>,
    /// Environment of `container`.
    #[schemars(extend("x-alias" = ["environment"]))]
    pub env: Option<Env>,
    /// Devices of `container`.
    pub devices: Vec<String>,
    /// Health check of `container`.
    #[schemars(extend("x-alias" = ["health_check"]))]
    pub health: Option<Health>,
    /// Ready conditions of `container`.
    pub ready: Vec<Ready>,
    /// Budgets of `container`.
    pub resources: Option<Resources>,
    /// Rights of `container`.
    pub security: Option<Security>,

    /// Named volumes by name. They are made by Podman as `<id>-<name>` and outlive updates.
    pub named_volumes: IndexMap<String, NamedVolume>,
    /// Settings for the owner's form, by key.
    pub config: IndexMap<String, Setting>,
    /// Secrets by file name, with their kind. Each is generated once and kept.
    pub secrets: IndexMap<String, SecretKind>,
    /// Self-signed certificates, made once before the containers are created.
    pub certs: Vec<Cert>,
    /// Files written into the app's data directory before the containers are created.
    #[schemars(extend("x-alias" = ["generated_files"]))]
    pub files: Vec<File>,
    /// Steps around the app's life.
    pub hooks: Option<Hooks>,

    /// Apps that this one needs, and the disk space it asks for: entries `{app_id: x}` or
    /// `{storage: 10Gi}`.
    pub dependencies: Vec<Dependency>,
    /// Roles that this app fills for others.
    pub provides: Vec<Provide>,
    /// Apps and roles that this app needs.
    pub requires: Vec<Require>,

    /// Doors for people and programs by name; `main` is the one that a click on the app opens.
    pub interfaces: IndexMap<String, Interface>,
    /// What a backup holds.
    pub backup: Option<Backup>,
    /// How an update goes.
    pub update: Option<Update>,
    /// Architectures it runs on; any when empty.
    pub architectures: Vec<Architecture>,
    /// Oldest platform version that can run it, for example `0.1.0`.
    pub min_platform: Option<String>,
    /// Boot order among apps: smaller starts earlier. Default: 50.
    pub boot_priority: Option<u8>,
    /// Free-form data for stores: author, website, repo, license, tags; `icon` and `screenshots` (a list)
    /// name pictures of the package (SVG, PNG, JPEG, WebP). Not checked.
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

/// Where new versions of the software appear.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["kind", "repo"]))]
pub struct Upstream {
    /// For example `github`.
    pub kind: String,
    /// For example `owner/name`.
    pub repo: String,
}

/// A named volume.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NamedVolume {
    /// Owner in the container, `uid` or `uid:gid`; the image's own when absent.
    pub owner: Option<String>,
}

/// A self-signed certificate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["crt", "key"]))]
pub struct Cert {
    /// Certificate file (PEM) in the app's data directory. An existing one is kept.
    pub crt: String,
    /// Key file (PEM) in the app's data directory.
    pub key: String,
    /// Common name; a template.
    pub common_name: Option<String>,
    /// Subject alternative names, host names or addresses; templates.
    pub sans: Vec<String>,
}

/// A file written before the containers are created.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["path", "content"]))]
pub struct File {
    /// Path in the app's data directory.
    pub path: String,
    /// Content; a template.
    pub content: String,
    /// Replaces an existing file at every start; otherwise an existing one is kept. Default: false.
    pub overwrite: bool,
    /// Octal mode. Default: `0644`, or `0600` when the content holds a secret.
    pub mode: Option<String>,
}

/// An app that is needed, or disk space.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Dependency {
    /// An app by id.
    Id(String),
    /// An app, or disk space.
    Entry(AppDependency),
}

impl Default for Dependency {
    fn default() -> Self {
        Self::Entry(AppDependency::default())
    }
}

/// One of `app_id` and `storage`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AppDependency {
    /// Id of an app that must be there.
    pub app_id: Option<String>,
    /// Version range of that app, for example `>=1.2, <2`.
    pub version: Option<String>,
    /// The app works without it. Default: false.
    pub optional: bool,
    /// Free disk space that the app asks for.
    pub storage: Option<Size>,
}

/// A role that an app fills, for example `bitcoin`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["role"]))]
pub struct Provide {
    /// Name of the role: a DNS label.
    pub role: String,
    /// Version of what it provides.
    pub version: Option<String>,
}

/// An app or a role that is needed: one of `app` and `role`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Require {
    /// Id of an app.
    pub app: Option<String>,
    /// A role: any app that provides it will do. `{{role:NAME}}` gives its container's name.
    pub role: Option<String>,
    /// Version range, for example `>=26, <30`.
    pub version: Option<String>,
    /// The app works without it. Default: false.
    pub optional: bool,
    /// What it waits for: `started` or `healthy`. Default: `started`.
    pub condition: Option<DependsOn>,
}

/// A door for people or programs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("required" = ["port"]))]
pub struct Interface {
    /// Name for people. Default: the app's name.
    pub name: Option<String>,
    /// Description for people.
    pub description: Option<String>,
    /// What it is for. Default: `ui`.
    #[serde(rename = "type")]
    pub kind: Option<InterfaceType>,
    /// Port on the host; one of the published ports.
    pub port: u16,
    /// `http`, `https`, `tcp`, … Default: `http`.
    pub protocol: Option<String>,
    /// Path of a UI. Default: `/`.
    pub path: Option<String>,
    /// Where the dashboard opens it: in a `frame` or a `tab`. Default: `frame`.
    pub open: Option<OpenIn>,
    /// Pages that forbid frames may be put into the dashboard's frame all the same. Default: no.
    pub allow_frame: bool,
    /// Pages get `window.nostr` (NIP-07): `signer`, or `login` when it is to log people in by itself
    /// as well (NIP-98).
    pub nostr: Option<NostrProvider>,
    /// Header by which the app is told who is there, such as `X-Remote-User`. Default: it is not told.
    pub identity_header: Option<String>,
}

/// What an interface is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InterfaceType {
    /// For people.
    Ui,
    /// For programs.
    Api,
    /// For other nodes.
    P2p,
}

/// What a backup holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Backup {
    /// Paths in the app's data directory and named volumes that belong in. Default: all.
    pub include: Vec<String>,
    /// Paths and patterns with `*` that stay out.
    pub exclude: Vec<String>,
}

/// How an update goes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Update {
    /// Order of stop and start. Default: `recreate`.
    pub strategy: Option<Strategy>,
    /// How long the new version must stay healthy before the old one is let go. Default: `60s`.
    pub soak: Option<Seconds>,
    /// May go back to an older version with the new version's data. Default: false.
    pub downgrade: bool,
}

/// Order of stop and start in an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The old version stops, then the new one starts.
    Recreate,
    /// Services one after the other.
    Rolling,
}

/// An OCI architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// 64-bit x86.
    Amd64,
    /// 64-bit ARM.
    Arm64,
    /// 64-bit RISC-V.
    Riscv64,
}

impl Architecture {
    /// The OCI name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
            Self::Riscv64 => "riscv64",
        }
    }
}
