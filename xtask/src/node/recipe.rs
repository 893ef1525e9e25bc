//! The recipe of the base root file system every node is copied from: packages, masks, settings.

/// Debian release of a node.
pub const SUITE: &str = "trixie";

/// What a node has on top of debootstrap's minimal variant.
pub const PACKAGES: &[&str] = &[
    "systemd",
    "systemd-sysv",
    "dbus",
    "dbus-user-session",
    "libpam-systemd",
    "podman",
    "crun",
    "passt",
    "slirp4netns",
    "uidmap",
    "netavark",
    "aardvark-dns",
    "fuse-overlayfs",
    // only recommended by podman: without it pods and `kube play` find no pause binary
    "catatonit",
    "iproute2",
    "iputils-ping",
    "nftables",
    "iptables",
    "curl",
    "jq",
    "procps",
    "ca-certificates",
    "busybox-static",
    "sudo",
    "buildah",
    "skopeo",
    "docker-registry",
    "python3",
    "socat",
    "strace",
    "sqlite3",
    "cryptsetup-bin",
    "e2fsprogs",
    "wireguard-tools",
];

/// Units that cannot work in a namespace or would reach for a network.
pub const MASKED: &[&str] = &[
    "console-getty.service",
    "systemd-modules-load.service",
    "getty@tty1.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "systemd-pstore.service",
    "docker-registry.service",
    "podman-auto-update.timer",
];

/// Files of the base: path and content.
pub const FILES: &[(&str, &str)] = &[
    // the fabric's address refuses at once: there is no DNS outside, and asking costs nothing
    ("etc/resolv.conf", "nameserver 10.77.0.1\noptions timeout:1 attempts:1\n"),
    // there is no pids controller in a node on a host that keeps its controllers in cgroup v1
    ("etc/containers/containers.conf.d/50-testnode.conf", "[containers]\npids_limit = 0\n"),
    (
        "etc/containers/registries.conf.d/50-testnode.conf",
        "[[registry]]\nlocation = \"10.77.0.1:5000\"\ninsecure = true\n",
    ),
    (
        "etc/sysctl.d/50-testnode.conf",
        "net.ipv4.ip_unprivileged_port_start = 80\nnet.ipv4.ping_group_range = 0 2147483647\n",
    ),
];

/// Symbolic links of the base: path and target.
pub const LINKS: &[(&str, &str)] = &[
    ("etc/systemd/system/default.target", "/usr/lib/systemd/system/multi-user.target"),
    // quadlet's podman-user-wait-network-online.service polls this target for up to 90 s
    (
        "etc/systemd/system/multi-user.target.wants/network-online.target",
        "/usr/lib/systemd/system/network-online.target",
    ),
];

/// Directory whose settings are turned off in a node: they would reach the host's kernel.
pub const SYSCTL_DIR: &str = "usr/lib/sysctl.d";

/// Name of the service user, its home, uid and gid.
pub const USER: &str = "archipelago";
/// Home of the service user.
pub const HOME: &str = "/home/archipelago";
/// Uid and gid of the service user.
pub const UID: u32 = 1000;
/// Groups of the service user beside its own.
pub const GROUPS: &str = "sudo,dialout,systemd-journal";

/// Bytes that stand for the whole recipe: a change of any of them makes a new base.
pub fn fingerprint() -> String {
    crate::cache::recipe_hash([include_bytes!("recipe.rs").as_slice(), include_bytes!("base.rs")])
}
