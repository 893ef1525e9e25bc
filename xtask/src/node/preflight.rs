//! Can this machine run test nodes? Clear words when not, and missing programs installed where that is possible.
use std::fs;
use std::path::{Path, PathBuf};

use super::error::NodeError;
use crate::cache::Cache;
use crate::sh::{Cmd, step};

/// Programs of the host and the Debian packages that hold them.
const TOOLS: &[(&str, &str)] = &[
    ("debootstrap", "debootstrap"),
    ("ip", "iproute2"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("setsid", "util-linux"),
    ("mount", "mount"),
    ("kill", "procps"),
    ("tar", "tar"),
    ("bash", "bash"),
];

/// Magic numbers of file systems that cannot carry podman's overlay store.
const BAD_FILE_SYSTEMS: &[(u64, &str)] = &[
    (0x794c_7630, "overlayfs"),
    (0x6969, "NFS"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "FUSE"),
    (0xff53_4d42, "CIFS"),
];

/// Checks everything a node needs and installs missing programs on Debian.
///
/// # Errors
/// The first thing that is missing, in words.
pub fn check(cache: &Cache) -> Result<(), NodeError> {
    if !rustix::process::geteuid().is_root() {
        return Err(NodeError::NotRoot);
    }
    file_system(cache.root())?;
    devices()?;
    user_namespaces()?;
    tools(TOOLS)?;
    namespaces()?;
    cgroup_writable(&cgroup_root()?)
}

/// Where cgroup2 is mounted: `/sys/fs/cgroup` or, beside version 1, `/sys/fs/cgroup/unified`.
///
/// # Errors
/// When it is not mounted.
pub fn cgroup_root() -> Result<PathBuf, NodeError> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    cgroup2_in(&mounts).ok_or(NodeError::NoCgroup2)
}

/// The mount point of cgroup2 in the text of `/proc/self/mountinfo`.
fn cgroup2_in(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let kind = right.split_whitespace().next()?;
        (kind == "cgroup2").then(|| left.split_whitespace().nth(4)).flatten().map(PathBuf::from)
    })
}

/// Makes sure that programs are there, with apt-get where this is Debian.
///
/// # Errors
/// When some are missing and cannot be installed.
pub fn tools(wanted: &[(&str, &str)]) -> Result<(), NodeError> {
    let missing: Vec<_> = wanted.iter().filter(|(program, _)| find(program).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let programs = missing.iter().map(|(program, _)| (*program).to_owned()).collect();
    let mut packages: Vec<String> = missing.iter().map(|(_, pack)| (*pack).to_owned()).collect();
    packages.dedup();
    if find("apt-get").is_none() {
        return Err(NodeError::MissingTools { programs, packages });
    }
    step(&format!("apt-get install {}", packages.join(" ")), || {
        let apt = || Cmd::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").arg("-qq");
        let install = || apt().args(["install", "-y", "--no-install-recommends"]).args(&packages);
        if !install().succeeds() {
            apt().arg("update").run()?;
            install().run()?;
        }
        Ok::<(), NodeError>(())
    })?;
    let still = wanted.iter().any(|(program, _)| find(program).is_none());
    if still { Err(NodeError::MissingTools { programs, packages }) } else { Ok(()) }
}

/// Where a program lies, looked up as the shell does, `sbin` included.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = crate::sh::env("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(str::to_owned);
    let dirs = path.split(':').map(str::to_owned).chain(usual);
    dirs.map(|dir| Path::new(&dir).join(program)).find(|file| file.is_file())
}

fn file_system(path: &Path) -> Result<(), NodeError> {
    let Ok(stat) = rustix::fs::statfs(path) else { return Ok(()) };
    let magic = u64::try_from(stat.f_type).unwrap_or_default() & 0xffff_ffff;
    match BAD_FILE_SYSTEMS.iter().find(|(bad, _)| *bad == magic) {
        Some((_, kind)) => Err(NodeError::FileSystem { path: path.to_owned(), kind }),
        None => Ok(()),
    }
}

fn devices() -> Result<(), NodeError> {
    for (path, user) in [("/dev/fuse", "fuse-overlayfs"), ("/dev/net/tun", "pasta")] {
        if !Path::new(path).exists() {
            return Err(NodeError::NoDevice { path, user });
        }
    }
    Ok(())
}

fn user_namespaces() -> Result<(), NodeError> {
    let settings = [
        ("/proc/sys/user/max_user_namespaces", "0"),
        ("/proc/sys/kernel/unprivileged_userns_clone", "0"),
        ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
    ];
    for (path, bad) in settings {
        if fs::read_to_string(path).is_ok_and(|value| value.trim() == bad) {
            return Err(NodeError::NoUserNamespaces { setting: format!("{path} = {bad}") });
        }
    }
    if Path::new("/proc/self/ns/user").exists() {
        return Ok(());
    }
    Err(NodeError::NoUserNamespaces { setting: "CONFIG_USER_NS of the kernel".into() })
}

fn namespaces() -> Result<(), NodeError> {
    let probe = Cmd::new("unshare").args(["-m", "-p", "-u", "-i", "-n", "-C", "--fork", "mount"]);
    let probe = probe.args(["-t", "tmpfs", "tmpfs", "/mnt"]).output()?;
    if probe.ok() {
        return Ok(());
    }
    Err(NodeError::NoNamespaces { reason: probe.stderr.trim().to_owned() })
}

fn cgroup_writable(root: &Path) -> Result<(), NodeError> {
    let probe = root.join(format!("archy-probe-{}", std::process::id()));
    let made = fs::create_dir(&probe).and_then(|()| fs::remove_dir(&probe));
    made.map_err(|error| NodeError::CgroupReadOnly {
        root: root.to_owned(),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroup2_is_found_in_both_layouts() {
        let pure = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";
        let hybrid = "24 20 0:21 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                      25 24 0:22 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      26 24 0:23 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";
        assert_eq!(cgroup2_in(pure), Some("/sys/fs/cgroup".into()));
        assert_eq!(cgroup2_in(hybrid), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(cgroup2_in("24 20 0:21 / / rw - ext4 /dev/vda rw"), None);
    }

    #[test]
    fn programs_are_found() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program").is_none());
    }
}
