//! What can go wrong with test nodes, each with a stable code and a hint.
use std::path::PathBuf;
use std::time::Duration;

use crate::cache::CacheError;
use crate::sh::ShError;

/// Why a test node cannot be made, started, asked or removed.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The caller is not root.
    #[error("test nodes need root: they are made of namespaces, mounts and network links")]
    NotRoot,
    /// No cgroup2 file system is mounted.
    #[error("no cgroup2 file system is mounted on this machine")]
    NoCgroup2,
    /// The cgroup2 file system cannot be written.
    #[error("no cgroup can be made under {}: {reason}", .root.display())]
    CgroupReadOnly {
        /// Where cgroup2 is mounted.
        root: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// The cache lies on a file system that podman's overlay store cannot use.
    #[error("{} lies on {kind}, where podman in a node cannot keep its images", .path.display())]
    FileSystem {
        /// The cache directory.
        path: PathBuf,
        /// Name of the file system.
        kind: &'static str,
    },
    /// The kernel or its settings forbid user namespaces.
    #[error("user namespaces are off on this machine ({setting}), rootless podman needs them")]
    NoUserNamespaces {
        /// The setting that says so.
        setting: String,
    },
    /// A device of the host is missing.
    #[error("the host has no {path}, which {user} in a node needs")]
    NoDevice {
        /// The device.
        path: &'static str,
        /// Who needs it.
        user: &'static str,
    },
    /// Namespaces cannot be made although the caller is root.
    #[error("this root may not make namespaces or mounts: {reason}")]
    NoNamespaces {
        /// What was refused.
        reason: String,
    },
    /// The addresses of the nodes are in use on this machine for something else.
    #[error("the addresses 10.77.0.0/24 of the test nodes are in use here: {route}")]
    AddressesTaken {
        /// The route that is in the way.
        route: String,
    },
    /// All addresses are given away.
    #[error("all addresses of the test network are in use by other nodes")]
    Full,
    /// No Debian mirror was found.
    #[error("no Debian mirror found in this machine's apt sources")]
    NoMirror,
    /// Programs are missing that cannot be installed from here.
    #[error("missing programs: {}", .programs.join(", "))]
    MissingTools {
        /// The programs.
        programs: Vec<String>,
        /// The Debian packages that hold them.
        packages: Vec<String>,
    },
    /// A node's name is not usable.
    #[error("`{name}` is no name for a node")]
    BadName {
        /// The name.
        name: String,
    },
    /// A node of that name exists.
    #[error("there is a node `{name}` already")]
    Exists {
        /// The name.
        name: String,
    },
    /// No node of that name exists.
    #[error("there is no node `{name}`")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The node is off.
    #[error("the node `{name}` is not running")]
    NotRunning {
        /// The name.
        name: String,
    },
    /// The node is on.
    #[error("the node `{name}` is running")]
    Running {
        /// The name.
        name: String,
    },
    /// The node's init did not come up.
    #[error("the node `{name}` did not boot{log}")]
    Boot {
        /// The name.
        name: String,
        /// The end of its console log, on lines of their own.
        log: String,
    },
    /// The node did not reach a state in time.
    #[error("the node `{name}` was not {state} within {} s{detail}", .limit.as_secs())]
    TooSlow {
        /// The name.
        name: String,
        /// The state that was waited for.
        state: &'static str,
        /// The deadline.
        limit: Duration,
        /// What was seen instead, on lines of its own; may be empty.
        detail: String,
    },
    /// A virtual machine's run failed.
    #[error("the virtual machine failed: {0}")]
    Vm(String),
    /// A command failed.
    #[error(transparent)]
    Sh(#[from] ShError),
    /// The cache directory failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl NodeError {
    /// Stable code of this kind of failure.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotRoot => "node.not-root",
            Self::NoCgroup2 => "node.no-cgroup2",
            Self::CgroupReadOnly { .. } => "node.cgroup-read-only",
            Self::FileSystem { .. } => "node.file-system",
            Self::NoUserNamespaces { .. } => "node.no-user-namespaces",
            Self::NoDevice { .. } => "node.no-device",
            Self::NoNamespaces { .. } => "node.no-namespaces",
            Self::AddressesTaken { .. } => "node.addresses-taken",
            Self::Full => "node.full",
            Self::NoMirror => "node.no-mirror",
            Self::MissingTools { .. } => "node.missing-tools",
            Self::BadName { .. } => "node.bad-name",
            Self::Exists { .. } => "node.exists",
            Self::Unknown { .. } => "node.unknown",
            Self::NotRunning { .. } => "node.not-running",
            Self::Running { .. } => "node.running",
            Self::Boot { .. } => "node.boot",
            Self::TooSlow { .. } => "node.too-slow",
            Self::Vm(_) => "node.vm",
            Self::Sh(error) => error.code(),
            Self::Cache(error) => error.code(),
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NotRoot => "run it from a root shell (sudo -i)".into(),
            Self::NoCgroup2 => "mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified".into(),
            Self::CgroupReadOnly { .. } => {
                "in a container, start that container with its cgroups writable (--privileged)"
                    .into()
            }
            Self::FileSystem { .. } => {
                "set ARCHY_CACHE to a directory on ext4, xfs or btrfs".into()
            }
            Self::NoUserNamespaces { setting } => format!("change {setting} on the host"),
            Self::NoDevice { path, .. } => {
                format!("load the kernel module behind {path} (modprobe fuse tun)")
            }
            Self::NoNamespaces { .. } => {
                "in a container, start that container with --privileged; else use a real machine"
                    .into()
            }
            Self::AddressesTaken { .. } => "remove that route or use another machine".into(),
            Self::Full => "cargo xtask node destroy --all".into(),
            Self::NoMirror => "set ARCHY_DEBIAN_MIRROR to the URL of a Debian mirror".into(),
            Self::MissingTools { packages, .. } => {
                format!("install them (on Debian: apt-get install {})", packages.join(" "))
            }
            Self::BadName { .. } => {
                "use 1 to 32 lower-case letters, digits and dashes, a letter first".into()
            }
            Self::Exists { name } => format!("cargo xtask node destroy --name {name}"),
            Self::Unknown { .. } => "cargo xtask node list".into(),
            Self::NotRunning { name } => format!("cargo xtask node boot --name {name}"),
            Self::Running { name } => format!("cargo xtask node stop --name {name}"),
            Self::Boot { name, .. } | Self::TooSlow { name, .. } => {
                format!("cargo xtask node logs --name {name}")
            }
            Self::Vm(_) => "read the console log named above".into(),
            Self::Sh(ShError::Missing { program }) => format!("install `{program}`"),
            Self::Sh(_) => "the lines above are the command's own words".into(),
            Self::Cache(error) => error.hint().into(),
        }
    }
}
