//! What an author writes. The doc comments are the descriptions in the JSON Schema and in the
//! reference page.
//!
//! `app.container` (with `ports`, `volumes` and the like beside it) is the form of one container,
//! `app.services` the form of several. Older names of keys stand in `x-alias`. Everything is
//! optional for serde: which keys are required stands in the schema's `required`, so that the
//! checker reports all findings at once.

mod app;
mod config;
mod container;
mod hooks;
mod scalar;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use app::{
    App, AppDependency, Architecture, Backup, Cert, Dependency, File, Interface, InterfaceType,
    NamedVolume, Provide, Require, Strategy, Update, Upstream,
};
pub use config::{Setting, SettingTarget, SettingType};
pub use container::{
    AuthMode, Build, Container, DerivedEnv, DerivedEnvEntry, Env, GeneratedSecret, Health,
    HealthType, Mount, MountType, Port, Ready, Resources, SecretEnv, SecretEnvEntry, Security,
    Transport, Ulimit, UlimitPair,
};
pub use hooks::{CopyFromHost, Exec, ExecStep, Hooks, HttpStep, JsonField, Step, WaitFor};
pub use scalar::{Seconds, Size};
pub(crate) use scalar::{parse_seconds, parse_size};

/// An Archipelago app manifest, schema version 1. One top-level key, `app`. JSON is read as well.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(title = "Archipelago app manifest", extend("required" = ["app"]))]
pub struct Document {
    /// The app.
    pub app: App,
}
