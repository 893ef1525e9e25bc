//! Typed systemd and Quadlet units, rendered from a manifest and read back.
//!
//! Ring 0: rendering is a pure function of the manifest, the desired state and facts about the
//! host, so that the plan can hold the exact text and drift is a text comparison.
//!
//! Sources: podman-systemd.unit(5) of Podman 5.4, systemd.unit(5), systemd.syntax(7), and the
//! output of Podman 5.4.2's own generator, which decides what each key's reader really accepts.

pub mod deployed;
pub mod error;
pub mod escape;
pub mod input;
pub mod keys;
pub mod kind;
pub mod render;
pub mod unit;

pub use deployed::{Deployed, DeployedApp, DeployedFile, parse_deployed, same};
pub use error::RenderError;
pub use input::{Deployment, HostFacts, NotEnforced, RenderInput, UnitFile, UnitRole};
pub use kind::{FileKind, unit_of};
pub use render::{Composed, composed, config_secret_name, log_dir, log_file, render};
pub use unit::Unit;
