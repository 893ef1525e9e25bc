//! Which Quadlet keys exist from which version of Podman.
//!
//! An unknown key makes Podman's generator drop the whole file while it exits with 0, so nothing is
//! rendered that the host's Podman does not know. Source: podman-systemd.unit(5) of Podman 5.4.2 and
//! Podman's release notes; where the notes leave a doubt, the later version is written here.

use archy_types::PodmanVersion;

const fn version(major: u32, minor: u32) -> PodmanVersion {
    PodmanVersion { major, minor, patch: 0 }
}

/// Quadlet's own sections; all others belong to systemd and are passed on untouched.
const QUADLET_SECTIONS: [&str; 5] = ["Container", "Network", "Volume", "Build", "Quadlet"];

/// Keys of Podman 5.4, the floor.
const FLOOR: [(&str, &[&str]); 5] = [
    (
        "Container",
        &[
            "AddCapability",
            "AddDevice",
            "AddHost",
            "Annotation",
            "AutoUpdate",
            "CgroupsMode",
            "ContainerName",
            "ContainersConfModule",
            "DNS",
            "DNSOption",
            "DNSSearch",
            "DropCapability",
            "Entrypoint",
            "Environment",
            "EnvironmentFile",
            "EnvironmentHost",
            "Exec",
            "ExposeHostPort",
            "GIDMap",
            "GlobalArgs",
            "Group",
            "GroupAdd",
            "HealthCmd",
            "HealthInterval",
            "HealthLogDestination",
            "HealthMaxLogCount",
            "HealthMaxLogSize",
            "HealthOnFailure",
            "HealthRetries",
            "HealthStartPeriod",
            "HealthStartupCmd",
            "HealthStartupInterval",
            "HealthStartupRetries",
            "HealthStartupSuccess",
            "HealthStartupTimeout",
            "HealthTimeout",
            "HostName",
            "Image",
            "IP",
            "IP6",
            "Label",
            "LogDriver",
            "LogOpt",
            "Mask",
            "Mount",
            "Network",
            "NetworkAlias",
            "NoNewPrivileges",
            "Notify",
            "PidsLimit",
            "Pod",
            "PodmanArgs",
            "PublishPort",
            "Pull",
            "ReadOnly",
            "ReadOnlyTmpfs",
            "Rootfs",
            "RunInit",
            "SeccompProfile",
            "Secret",
            "SecurityLabelDisable",
            "SecurityLabelFileType",
            "SecurityLabelLevel",
            "SecurityLabelNested",
            "SecurityLabelType",
            "ServiceName",
            "ShmSize",
            "StartWithPod",
            "StopSignal",
            "StopTimeout",
            "SubGIDMap",
            "SubUIDMap",
            "Sysctl",
            "Timezone",
            "Tmpfs",
            "UIDMap",
            "Ulimit",
            "Unmask",
            "User",
            "UserNS",
            "Volume",
            "WorkingDir",
        ],
    ),
    (
        "Network",
        &[
            "ContainersConfModule",
            "DisableDNS",
            "DNS",
            "Driver",
            "Gateway",
            "GlobalArgs",
            "Internal",
            "IPAMDriver",
            "IPRange",
            "IPv6",
            "Label",
            "NetworkName",
            "Options",
            "PodmanArgs",
            "ServiceName",
            "Subnet",
        ],
    ),
    (
        "Volume",
        &[
            "ContainersConfModule",
            "Copy",
            "Device",
            "Driver",
            "GlobalArgs",
            "Group",
            "Image",
            "Label",
            "Options",
            "PodmanArgs",
            "ServiceName",
            "Type",
            "User",
            "VolumeName",
        ],
    ),
    (
        "Build",
        &[
            "Annotation",
            "Arch",
            "AuthFile",
            "ContainersConfModule",
            "DNS",
            "DNSOption",
            "DNSSearch",
            "Environment",
            "File",
            "ForceRM",
            "GlobalArgs",
            "GroupAdd",
            "ImageTag",
            "Label",
            "Network",
            "PodmanArgs",
            "Pull",
            "Secret",
            "ServiceName",
            "SetWorkingDirectory",
            "Target",
            "TLSVerify",
            "Variant",
            "Volume",
        ],
    ),
    ("Quadlet", &["DefaultDependencies"]),
];

/// Keys that came later.
const LATER: [(&str, &str, PodmanVersion); 8] = [
    ("Container", "Memory", version(5, 6)),
    ("Container", "ReloadCmd", version(5, 6)),
    ("Container", "ReloadSignal", version(5, 6)),
    ("Container", "Retry", version(5, 6)),
    ("Container", "RetryDelay", version(5, 6)),
    ("Build", "Retry", version(5, 6)),
    ("Build", "RetryDelay", version(5, 6)),
    ("Network", "NetworkDeleteOnStop", version(5, 6)),
];

/// The first version of Podman that surely knows a key: the floor for keys of systemd's own
/// sections, nothing for a key that no version is known to have.
#[must_use]
pub fn since(section: &str, key: &str) -> Option<PodmanVersion> {
    if !QUADLET_SECTIONS.contains(&section) {
        return Some(PodmanVersion::FLOOR);
    }
    let at_floor = FLOOR.iter().any(|(name, keys)| *name == section && keys.contains(&key));
    let later = || LATER.iter().find(|(name, found, _)| *name == section && *found == key);
    if at_floor { Some(PodmanVersion::FLOOR) } else { later().map(|(_, _, version)| *version) }
}

/// True when `podman` surely knows the key.
#[must_use]
pub fn known(section: &str, key: &str, podman: PodmanVersion) -> bool {
    since(section, key).is_some_and(|first| first <= podman)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gate() {
        let (old, new) = (version(5, 4), version(5, 6));
        for (section, key, at_old, at_new) in [
            ("Container", "Image", true, true),
            ("Container", "Memory", false, true),
            ("Container", "Nonsense", false, false),
            ("Service", "MemoryMax", true, true),
            ("Network", "Image", false, false),
            ("Quadlet", "DefaultDependencies", true, true),
        ] {
            assert_eq!(known(section, key, old), at_old, "{section} {key}");
            assert_eq!(known(section, key, new), at_new, "{section} {key}");
        }
    }
}
