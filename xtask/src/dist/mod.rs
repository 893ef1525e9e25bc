//! The Debian package: what turns a stock Debian 13 into a node.
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::cache::Cache;
use crate::node::preflight;
use crate::sh::{self, Cmd};
use crate::workspace::{self, Profile, Programs};

/// Files that come as they are: source below `packaging/` (or `docs/`), place on the node, mode.
const FILES: &[(&str, &str, u32)] = &[
    ("packaging/systemd/archipelago.service", "usr/lib/systemd/system/archipelago.service", 0o644),
    (
        "packaging/systemd/archipelago-user.service",
        "usr/lib/systemd/system/archipelago-user.service",
        0o644,
    ),
    (
        "packaging/systemd/archipelago-https.socket",
        "usr/lib/systemd/system/archipelago-https.socket",
        0o644,
    ),
    (
        "packaging/systemd/archipelago-http.socket",
        "usr/lib/systemd/system/archipelago-http.socket",
        0o644,
    ),
    ("packaging/systemd/archipelago.sysctl", "usr/lib/sysctl.d/60-archipelago.conf", 0o644),
    ("packaging/systemd/archipelago.tmpfiles", "usr/lib/tmpfiles.d/archipelago.conf", 0o644),
    ("packaging/systemd/await-user-manager", "usr/libexec/archipelago/await-user-manager", 0o755),
    ("packaging/etc/config.toml", "etc/archipelago/config.toml", 0o644),
    ("packaging/etc/storage.conf", "usr/share/archipelago/storage.conf", 0o644),
    ("packaging/etc/containers.conf", "usr/share/archipelago/containers.conf", 0o644),
    ("packaging/systemd/user-manager.conf", "usr/share/archipelago/user-manager.conf", 0o644),
    ("packaging/opt/rpc.bash", "opt/archipelago/rpc.bash", 0o644),
    (
        "packaging/opt/scripts/first-boot-secrets.sh",
        "opt/archipelago/scripts/first-boot-secrets.sh",
        0o755,
    ),
    ("packaging/opt/scripts/setup-node-ca.sh", "opt/archipelago/scripts/setup-node-ca.sh", 0o755),
    ("crates/archipelago/assets/index.html", "opt/archipelago/web-ui/index.html", 0o644),
    // manifests copy it into their containers
    (
        "crates/archy-identity/assets/nostr-provider.js",
        "opt/archipelago/web-ui/nostr-provider.js",
        0o644,
    ),
    ("docs/operations.md", "usr/share/doc/archipelago/operations.md", 0o644),
];

/// Scripts of the package's control part.
const SCRIPTS: &[&str] = &["postinst", "prerm", "postrm"];

/// Builds the programs and the package; gives its path.
///
/// # Errors
/// The compiler's, or the file system's.
pub fn deb(profile: Profile) -> anyhow::Result<PathBuf> {
    let programs = workspace::programs(profile)?;
    preflight::tools(&[("dpkg-deb", "dpkg")])?;
    let dir = Cache::locate()?.dir("dist")?;
    let tree = tempfile_in(&dir)?;
    let built = stage(&tree, &programs).and_then(|()| pack(&tree, &dir));
    fs::remove_dir_all(&tree).with_context(|| format!("removing {}", tree.display()))?;
    built
}

fn tempfile_in(dir: &Path) -> anyhow::Result<PathBuf> {
    let tree = dir.join(format!("tree-{}", std::process::id()));
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    fs::create_dir_all(&tree)?;
    Ok(tree)
}

fn stage(tree: &Path, programs: &Programs) -> anyhow::Result<()> {
    let root = workspace::root();
    for (from, to, mode) in FILES {
        place(&root.join(from), &tree.join(to), *mode)?;
    }
    place(&programs.daemon, &tree.join("usr/bin/archipelago"), 0o755)?;
    place(&programs.cli, &tree.join("usr/bin/archy"), 0o755)?;
    place(&programs.health, &tree.join("usr/libexec/archipelago/archy-health"), 0o755)?;
    fs::create_dir_all(tree.join("opt/archipelago/apps"))?;
    let control = fs::read_to_string(root.join("packaging/deb/control"))?
        .replace("@VERSION@", env!("CARGO_PKG_VERSION"))
        .replace("@ARCH@", architecture());
    fs::create_dir_all(tree.join("DEBIAN"))?;
    fs::write(tree.join("DEBIAN/control"), control)?;
    place(&root.join("packaging/deb/conffiles"), &tree.join("DEBIAN/conffiles"), 0o644)?;
    for script in SCRIPTS {
        let from = root.join("packaging/deb").join(script);
        place(&from, &tree.join("DEBIAN").join(script), 0o755)?;
    }
    Ok(())
}

fn place(from: &Path, to: &Path, mode: u32) -> anyhow::Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(from, to).with_context(|| format!("copying {}", from.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    Ok(())
}

fn pack(tree: &Path, dir: &Path) -> anyhow::Result<PathBuf> {
    let name = format!("archipelago_{}_{}.deb", env!("CARGO_PKG_VERSION"), architecture());
    let (deb, part) = (dir.join(&name), dir.join(format!("{name}.part-{}", std::process::id())));
    // fast compression: the package is installed here and now
    let build = Cmd::new("dpkg-deb")
        .args(["--build", "--root-owner-group", "-Zgzip", "-z1"])
        .arg(tree)
        .arg(&part);
    sh::step("packing the Debian package", || build.run())?;
    fs::rename(&part, &deb)?;
    Ok(deb)
}

fn architecture() -> &'static str {
    if std::env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" }
}

/// The command line of a package, unpacked into a directory of its own.
///
/// # Errors
/// Not a package, or the file system's.
pub fn cli_of(deb: &Path, dir: &Path) -> anyhow::Result<PathBuf> {
    preflight::tools(&[("dpkg-deb", "dpkg")])?;
    fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    Cmd::new("dpkg-deb").arg("--extract").arg(deb).arg(dir).run()?;
    let cli = dir.join("usr/bin/archy");
    anyhow::ensure!(cli.is_file(), "{} holds no archy", deb.display());
    Ok(cli)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// systemd gives a shutdown 30 minutes as a whole (`reboot.target`).
    #[test]
    fn the_user_manager_may_take_longer_than_the_longest_grace() {
        let packaging = workspace::root().join("packaging");
        let read = |path: &str| fs::read_to_string(packaging.join(path)).unwrap();
        let text = read("systemd/user-manager.conf");
        let limit = text.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).unwrap();
        let minutes: u64 = limit.strip_suffix("min").unwrap().parse().unwrap();
        let (longest_grace, margin) = (600, 30);
        assert!(minutes * 60 > longest_grace + margin && minutes < 30, "{limit}");
        let place = FILES.iter().find(|(from, ..)| from.ends_with("user-manager.conf")).unwrap().1;
        let install = format!("install -D -m 0644 /{place}");
        let script = read("deb/postinst");
        let (before, after) = script.split_once(&install).unwrap();
        assert!(
            after
                .trim_start_matches(['\\', '\n', ' '])
                .starts_with("\"/etc/systemd/system/user@$(id -u $user).service.d/")
        );
        assert!(!before.contains("daemon-reload") && after.contains("daemon-reload"));
    }
}
