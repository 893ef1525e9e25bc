//! The base root file system: built once for a recipe, then copied for every node.
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::NodeError;
use super::tree::{put, remove_tree};
use super::{mirror, preflight, recipe};
use crate::cache::{Cache, CacheError, Lock, at, write_whole};
use crate::sh::{Cmd, step};

/// How long debootstrap may take: a slow line fetches some 150 MB.
const DEBOOTSTRAP_LIMIT: Duration = Duration::from_secs(3600);
/// Bases kept beside the one in use, for other checkouts.
const KEPT: usize = 3;

/// The base of the current recipe, built when it is not there. Two runs at once build it once.
///
/// # Errors
/// When the machine cannot run nodes or the build fails; a failed build leaves no half base.
pub fn ensure(cache: &Cache) -> Result<PathBuf, NodeError> {
    let bases = cache.dir("base")?;
    let base = bases.join(recipe::fingerprint());
    if !base.is_dir() {
        let lock = cache.lock("base")?;
        if !base.is_dir() {
            build(cache, &bases, &base, &lock)?;
        }
    }
    write_whole(&used(&base), b"")?;
    Ok(base)
}

fn build(cache: &Cache, bases: &Path, base: &Path, _held: &Lock) -> Result<(), NodeError> {
    preflight::check(cache)?;
    prune(bases)?;
    let part = bases.join(".part");
    remove_tree(&part)?;
    step("build the nodes' base root file system", || {
        debootstrap(cache, &part, recipe::PACKAGES)?;
        settle(&part)?;
        fs::rename(&part, base).map_err(at("cannot rename", &part))?;
        Ok(())
    })
}

/// A minimal Debian with packages, made by debootstrap from this machine's mirror.
///
/// # Errors
/// When there is no mirror or debootstrap fails; its log's end is in the error.
pub fn debootstrap(cache: &Cache, root: &Path, packages: &[&str]) -> Result<(), NodeError> {
    let mirror = mirror::find()?;
    let debs = cache.dir("debs")?;
    let log = cache.dir("logs")?.join("debootstrap.log");
    let mut cmd = Cmd::new("debootstrap").arg("--variant=minbase");
    cmd = cmd.arg(format!("--cache-dir={}", debs.display()));
    if !packages.is_empty() {
        cmd = cmd.arg(format!("--include={}", packages.join(",")));
    }
    cmd = cmd.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C");
    if let Some(proxy) = apt_proxy() {
        cmd = cmd.env("http_proxy", proxy);
    }
    cmd.arg(recipe::SUITE).arg(root).arg(mirror).limit(DEBOOTSTRAP_LIMIT).logged(&log)?;
    Ok(())
}

/// The proxy apt is told to use, for a debootstrap that does not ask apt.
fn apt_proxy() -> Option<String> {
    let said = Cmd::new("apt-config").args(["dump", "Acquire::http::Proxy"]).output().ok()?;
    let value = said.stdout.split('"').nth(1).map(str::to_owned);
    value.filter(|proxy| proxy.starts_with("http"))
}

/// Masks, files and links on top of the packages.
fn settle(root: &Path) -> Result<(), CacheError> {
    let units = root.join("etc/systemd/system");
    for unit in recipe::MASKED {
        link("/dev/null", &units.join(unit))?;
    }
    for (path, target) in recipe::LINKS {
        link(target, &root.join(path))?;
    }
    for (path, content) in recipe::FILES {
        put(&root.join(path), content)?;
    }
    let defaults = root.join(recipe::SYSCTL_DIR);
    for entry in fs::read_dir(&defaults).into_iter().flatten().flatten() {
        link("/dev/null", &root.join("etc/sysctl.d").join(entry.file_name()))?;
    }
    // without a persistent journal there are none of single users, and they cannot read their own units' logs
    let journal = root.join("var/log/journal");
    fs::create_dir_all(&journal).map_err(at("cannot make", &journal))?;
    let mode = Permissions::from_mode(0o2755);
    let group = group_id(root, "systemd-journal");
    std::os::unix::fs::chown(&journal, None, group).map_err(at("cannot own", &journal))?;
    fs::set_permissions(&journal, mode).map_err(at("cannot set the mode of", &journal))?;
    for dir in ["var/cache/apt/archives", "var/lib/apt/lists"] {
        let dir = root.join(dir);
        remove_tree(&dir)?;
        fs::create_dir_all(dir.join("partial")).map_err(at("cannot make", &dir))?;
    }
    Ok(())
}

fn link(target: &str, path: &Path) -> Result<(), CacheError> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(at("cannot make", dir))?;
    }
    let _none = fs::remove_file(path);
    symlink(target, path).map_err(at("cannot link", path))
}

fn group_id(root: &Path, name: &str) -> Option<u32> {
    let groups = fs::read_to_string(root.join("etc/group")).ok()?;
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let group =
        groups.lines().map(fields).find(|group| group.first().is_some_and(|g| g == name))?;
    group.get(2)?.parse().ok()
}

fn used(base: &Path) -> PathBuf {
    base.with_extension("used")
}

/// Removes the bases that were not used for longest, and what interrupted builds left.
fn prune(bases: &Path) -> Result<(), CacheError> {
    let entries = fs::read_dir(bases).map_err(at("cannot list", bases))?;
    let dirs = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
    let mut aged: Vec<_> = dirs
        .map(|path| (fs::metadata(used(&path)).and_then(|meta| meta.modified()).ok(), path))
        .collect();
    aged.sort();
    let extra = aged.len().saturating_sub(KEPT);
    for (_, path) in aged.into_iter().take(extra) {
        remove_tree(&path)?;
        let _none = fs::remove_file(used(&path));
    }
    Ok(())
}
