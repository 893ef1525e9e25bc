//! What the tests of this module share.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{HostConfig, SystemHost};

/// A host over a directory; its `podman` runs what it is told to in this namespace.
pub(super) fn host(root: &Path) -> SystemHost {
    let podman = root.join("podman");
    std::fs::write(&podman, "#!/bin/sh\nshift\nexec \"$@\"\n").unwrap();
    std::fs::set_permissions(&podman, std::fs::Permissions::from_mode(0o755)).unwrap();
    let at = |name: &str| root.join(name);
    SystemHost::new(HostConfig {
        data_dir: at("data"),
        secrets_dir: at("secrets"),
        quadlet_dir: at("quadlet"),
        podman_socket: at("podman.sock"),
        bus_address: String::new(),
        podman_program: podman,
        generator: at("generator"),
        runtime_dir: at("run"),
        user_cgroup: at("cgroup"),
        health_probe: at("probe"),
        hook_files_dir: at("hooks"),
        host_ip: None,
        public_host: None,
        keep_snapshots: std::time::Duration::from_secs(60),
        role_defaults: std::collections::BTreeMap::new(),
    })
    .unwrap()
}
