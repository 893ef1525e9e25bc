//! Thin client of Podman's libpod socket.
//!
//! One connection for each request, a deadline on every call, a limit on every answer, and
//! plain structs with only what is read. Podman's events are a hint, never the truth: list again
//! after every connect and on a timer. Nothing here knows of apps, plans or units.
//!
//! [`Podman`] is cheap to clone. [`Podman::within`] gives one with another deadline:
//!
//! ```no_run
//! # async fn demo() -> Result<(), archy_podman::PodmanError> {
//! use std::time::Duration;
//! let podman = archy_podman::Podman::new("/run/user/1000/podman/podman.sock");
//! podman.check_version().await?;
//! let all = podman.within(Duration::from_secs(5)).containers(&[]).await?;
//! # drop(all); Ok(()) }
//! ```

mod archive;
mod body;
mod call;
mod containers;
mod error;
mod events;
mod exec;
mod frames;
mod images;
mod info;
mod legacy;
mod log_file;
mod logs;
mod networks;
mod pull;
mod secrets;
mod stats;
mod transport;
mod unshare;
mod volumes;
mod wire;

pub use archive::{ArchiveError, Tar};
pub use containers::{
    Container, ContainerDetail, ContainerNetwork, ContainerState, HealthLogEntry, HealthReport,
    Mount, PortMapping,
};
pub use error::{PodmanError, says_full};
pub use events::{Event, EventKind, Events};
pub use exec::{ExecOutput, ExecRequest};
pub use frames::{LogLine, Output};
pub use images::{Image, ImageDetail, RemovedImage};
pub use info::{ApiVersion, Info};
pub use log_file::read_log_file;
pub use logs::{LogRequest, Logs};
pub use networks::{Network, NetworkSpec, Subnet};
pub use pull::{Pull, PullItem, PullPolicy, PullProgress};
pub use secrets::SecretInfo;
pub use stats::Stats;
pub use transport::{DEFAULT_DEADLINE, Podman};
pub use unshare::{Unshare, UnshareError};
pub use volumes::{Volume, VolumeSpec};
