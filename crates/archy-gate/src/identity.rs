//! Which machine is tested: what the daemon says and what programs on the node say must be of one machine.

use std::time::Duration;

use archy_api::method::{PackagePlan, SystemInfo};
use archy_api::package::{InstallParams, PlanAction, PlanParams};
use archy_api::{NoParams, system};
use archy_client::Client;
use archy_types::Digest;

use crate::document::NodeRecord;
use crate::node::{Call, Node, NodeError, must, put};

/// Where the file for the challenge is put.
const SPOT: &str = "/var/tmp/archy-gate.XXXXXXXX";
const DEADLINE: Duration = Duration::from_secs(60);

/// Why a node is not tested.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The daemon and the programs are on different machines.
    #[error("the daemon and the driver are not on the same machine: {0}")]
    AnotherMachine(String),
    /// It is not the machine that an earlier part of the run was on.
    #[error("this is not the node that the run began on: {0}")]
    AnotherNode(String),
    /// The app is there already, or its data is.
    #[error("{app} is on this node already: {what}")]
    Existing {
        /// The app.
        app: String,
        /// What is there.
        what: String,
    },
    /// The node cannot be asked.
    #[error("the node cannot be asked: {0}")]
    Away(String),
    /// The daemon did not answer.
    #[error("the daemon cannot be asked: {0}")]
    Daemon(#[from] archy_client::ClientError),
}

impl Refusal {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AnotherMachine(_) => "gate-another-machine",
            Self::AnotherNode(_) => "gate-another-node",
            Self::Existing { .. } => "gate-app-exists",
            Self::Away(_) => "gate-node-away",
            Self::Daemon(_) => "gate-daemon-away",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::AnotherMachine(_) => {
                "Give --daemon and --driver of the same node; without --daemon the driver's daemon is asked."
            }
            Self::AnotherNode(_) => {
                "Resume on the node that the run began on, or begin a new run with another file."
            }
            Self::Existing { .. } => {
                "Test on a fresh node; --existing tests the installed app and leaves it installed."
            }
            Self::Away(_) => "The driver must be able to run `true` on the node.",
            Self::Daemon(_) => {
                "`systemctl status archipelago` on the node shows whether the daemon runs."
            }
        }
    }
}

impl From<NodeError> for Refusal {
    fn from(error: NodeError) -> Self {
        Self::Away(error.to_string())
    }
}

/// What programs on a node tell about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// `/etc/machine-id`.
    pub machine: String,
    /// Boot id of the kernel.
    pub boot: String,
    /// Name of the host.
    pub hostname: String,
    /// Version of the kernel.
    pub kernel: String,
    /// Version of the platform's command line.
    pub platform: String,
}

impl Seen {
    /// Asks the node.
    ///
    /// # Errors
    /// It cannot be asked.
    pub async fn ask<N: Node>(node: &N) -> Result<Self, NodeError> {
        let read = async |path: &str| {
            must(node, Call::user(["cat", path])).await.map(|out| out.stdout.trim().to_owned())
        };
        let version = must(node, Call::user(["archy", "--version"])).await?;
        let platform = version.stdout.split_whitespace().next_back().unwrap_or_default();
        Ok(Self {
            machine: read("/etc/machine-id").await?,
            boot: read("/proc/sys/kernel/random/boot_id").await?,
            hostname: read("/proc/sys/kernel/hostname").await?,
            kernel: read("/proc/sys/kernel/osrelease").await?,
            platform: platform.to_owned(),
        })
    }

    /// The public form of the machine's id.
    #[must_use]
    pub fn machine_digest(&self) -> String {
        Digest::of(format!("archipelago-gate:{}", self.machine).as_bytes()).to_string()
    }
}

/// What differs between what the daemon says and what programs say; nothing when they may be of one machine.
#[must_use]
pub fn difference(info: &system::SystemInfo, seen: &Seen) -> Option<String> {
    let kernel = info.kernel.as_deref().unwrap_or(&seen.kernel);
    let facts = [
        ("host names", info.hostname.as_str(), seen.hostname.as_str()),
        ("kernels", kernel, seen.kernel.as_str()),
        ("versions", info.version.as_str(), seen.platform.as_str()),
    ];
    facts.into_iter().find(|(_, daemon, programs)| daemon != programs).map(
        |(what, daemon, programs)| {
            format!("{what} differ: the daemon says {daemon}, the driver {programs}")
        },
    )
}

/// Asks both sides and has the daemon read a file that was just made through the driver: a daemon on another machine
/// does not find it.
///
/// # Errors
/// They are not of one machine, or cannot be asked.
pub async fn establish<N: Node>(node: &N) -> Result<(NodeRecord, system::SystemInfo), Refusal> {
    let client = node.client().with_deadline(DEADLINE);
    let seen = Seen::ask(node).await?;
    let info = client.call::<SystemInfo>(NoParams {}).await?;
    if let Some(difference) = difference(&info, &seen) {
        return Err(Refusal::AnotherMachine(difference));
    }
    challenge(node, &client).await?;
    let record = NodeRecord {
        machine: seen.machine_digest(),
        boots: vec![seen.boot],
        hostname: info.hostname.clone(),
        platform: info.version.clone(),
        os: info.os.clone().unwrap_or_default(),
        kernel: seen.kernel,
        architecture: info.architecture.clone(),
        podman: info.podman_version.clone().unwrap_or_default(),
        systemd: info.systemd_version.clone().unwrap_or_default(),
        controllers: info.cgroup_controllers.clone().unwrap_or_default(),
        driver: node.driver(),
    };
    Ok((record, info))
}

async fn challenge<N: Node>(node: &N, client: &Client) -> Result<(), Refusal> {
    let spot = must(node, Call::user(["mktemp", "-d", SPOT])).await?.stdout.trim().to_owned();
    let mark = spot.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let id = format!("gate-{mark}");
    let text = format!(
        "app:\n  id: {id}\n  name: Challenge\n  version: 1.0.0\n  services:\n    main:\n      image: localhost/{id}:1\n"
    );
    let file = format!("{spot}/manifest.yml");
    put(node, &file, text.clone().into()).await?;
    let target =
        InstallParams { id: id.clone(), path: Some(spot.clone()), ..InstallParams::default() };
    let (action, purge, keep_data) = (PlanAction::Install, false, false);
    let plan = client.call::<PackagePlan>(PlanParams { action, target, purge, keep_data }).await;
    must(node, Call::user(["rm", "-rf", "--", &spot])).await?;
    let digest = Digest::of(text.as_bytes()).to_string();
    match plan {
        Ok(plan) if plan.manifest == digest => Ok(()),
        Ok(_) => Err(Refusal::AnotherMachine("the daemon read another file".to_owned())),
        Err(error @ archy_client::ClientError::Rejected(_)) => Err(Refusal::AnotherMachine(
            format!("the daemon does not see a file that the driver has made ({error})"),
        )),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
