//! Test nodes: real Debian 13 systems with systemd and rootless podman, in namespaces of this machine.
//!
//! A [`Node`] is a copy of a cached base root file system with an address of its own. It boots systemd as PID 1 of
//! its namespaces, can be rebooted, cut from power and removed without a trace. [`NodeGuard`] is for tests: it
//! removes the node when it is dropped, and sweeps up after test runs that were killed.
mod base;
pub mod cli;
mod enter;
mod error;
pub mod fabric;
mod lifecycle;
mod machine;
mod mirror;
pub mod preflight;
mod process;
pub mod recipe;
mod scripts;
mod tree;
pub mod vm;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::base::{debootstrap, ensure as ensure_base};
pub use self::enter::Who;
pub use self::error::NodeError;
pub use self::machine::{Machine, Said};
pub use self::process::Process;
pub use self::scripts::ensure as ensure_scripts;
pub use self::tree::{put, remove_tree};
use crate::cache::{Cache, at, write_whole};
use crate::sh::{Cmd, Output};

/// How long a command in a node may take when nothing else is said.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(120);
/// How long a node may take from boot to ready when nothing else is said.
pub const READY_LIMIT: Duration = Duration::from_secs(60);

/// What is written down about a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    name: String,
    octet: u8,
    service_user: bool,
    owner: Option<Process>,
}

/// How a node is made.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// With the service user `archipelago`; without, the node is a stock machine for the installer.
    pub service_user: bool,
    /// The process the node belongs to: when that has died, the next sweep removes the node.
    pub owner: Option<Process>,
}

impl Default for Options {
    fn default() -> Self {
        Self { service_user: true, owner: None }
    }
}

/// One test node; the value is a handle, dropping it changes nothing.
#[derive(Debug, Clone)]
pub struct Node {
    cache: Cache,
    dir: PathBuf,
    record: Record,
}

impl Node {
    /// Makes a node with the service user: a copy of the base, off.
    ///
    /// # Errors
    /// When the machine cannot run nodes, the name is bad or taken, or the base cannot be built.
    pub fn create(name: &str) -> Result<Self, NodeError> {
        Self::create_with(&Cache::locate()?, name, Options::default())
    }

    /// Opens a node that exists.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn open(name: &str) -> Result<Self, NodeError> {
        Self::open_in(&Cache::locate()?, name)
    }

    /// Opens a node of a given cache.
    ///
    /// # Errors
    /// As [`Node::open`].
    pub fn open_in(cache: &Cache, name: &str) -> Result<Self, NodeError> {
        let unknown = || NodeError::Unknown { name: name.to_owned() };
        check_name(name)?;
        let dir = cache.root().join("nodes").join(name);
        let text = fs::read_to_string(dir.join("node.json")).map_err(|_| unknown())?;
        let record = serde_json::from_str(&text).map_err(|_| unknown())?;
        Ok(Self { cache: cache.clone(), dir, record })
    }

    /// All nodes of a cache, by name.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn list(cache: &Cache) -> Result<Vec<Self>, NodeError> {
        let dir = cache.dir("nodes")?;
        let entries = fs::read_dir(&dir).map_err(at("cannot list", &dir))?;
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut nodes: Vec<Self> =
            names.filter_map(|name| Self::open_in(cache, &name).ok()).collect();
        nodes.sort_by(|a, b| a.name().cmp(b.name()));
        Ok(nodes)
    }

    /// Its name, also its host name.
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// Its address, reachable from the host and from the other nodes.
    pub fn ip(&self) -> String {
        format!("{}.{}", fabric::NET, self.record.octet)
    }

    /// Its root file system, as the host sees it; files may be put there before a boot.
    pub fn root_path(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// True while its init runs.
    pub fn is_running(&self) -> bool {
        self.init().is_some()
    }

    /// The pid of its init as the host counts, for `/proc/PID/root` and the like; changes with every boot.
    pub fn init_pid(&self) -> Option<u32> {
        self.init().map(|init| init.pid)
    }

    /// Runs a command as the service user, for at most [`COMMAND_LIMIT`].
    ///
    /// # Errors
    /// When the node is off or the command cannot be run; a failing command is no error.
    pub fn exec_user<S: AsRef<str>>(
        &self,
        argv: impl IntoIterator<Item = S>,
    ) -> Result<Output, NodeError> {
        Ok(self.command(Who::User, argv, COMMAND_LIMIT)?.output()?)
    }

    /// Runs a command as root, for at most [`COMMAND_LIMIT`].
    ///
    /// # Errors
    /// When the node is off or the command cannot be run; a failing command is no error.
    pub fn exec_root<S: AsRef<str>>(
        &self,
        argv: impl IntoIterator<Item = S>,
    ) -> Result<Output, NodeError> {
        Ok(self.command(Who::Root, argv, COMMAND_LIMIT)?.output()?)
    }

    /// A command in the node to be given input, run attached or with another limit (`None`: no limit).
    ///
    /// # Errors
    /// When the node is off.
    pub fn command<S: AsRef<str>>(
        &self,
        who: Who,
        argv: impl IntoIterator<Item = S>,
        limit: impl Into<Option<Duration>>,
    ) -> Result<Cmd, NodeError> {
        let init = self.init().ok_or_else(|| self.not_running())?;
        let cgroup = fabric::cgroup(self.record.octet)?;
        let script = scripts::ensure(&self.cache)?.join("enter.sh");
        let door = enter::Door { cgroup: &cgroup, script: &script, init: init.pid };
        let argv: Vec<String> = argv.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        Ok(door.command(who, &argv, limit.into()))
    }

    /// Cuts the node off the network, or joins it again.
    ///
    /// # Errors
    /// When the node is off.
    pub fn set_link(&self, up: bool) -> Result<(), NodeError> {
        fabric::set_link(self.record.octet, up)
    }

    /// What the supervisor and the node's early boot have said.
    pub fn console_log(&self) -> String {
        fs::read_to_string(self.console_path()).unwrap_or_default()
    }

    /// True when the node was made with the service user.
    pub fn has_service_user(&self) -> bool {
        self.record.service_user
    }

    fn console_path(&self) -> PathBuf {
        self.dir.join("console.log")
    }

    fn init(&self) -> Option<Process> {
        Process::from_file(&self.dir.join("init.pid"))
    }

    fn supervisor(&self) -> Option<Process> {
        Process::from_file(&self.dir.join("supervisor.pid"))
    }

    fn not_running(&self) -> NodeError {
        NodeError::NotRunning { name: self.name().to_owned() }
    }

    fn save(&self) -> Result<(), NodeError> {
        let text = serde_json::to_vec_pretty(&self.record).unwrap_or_default();
        Ok(write_whole(&self.dir.join("node.json"), &text)?)
    }
}

/// A node of a test: removed when dropped.
///
/// `ARCHY_KEEP_NODES=1` keeps it for a look afterwards.
#[derive(Debug)]
pub struct NodeGuard {
    node: Node,
}

impl NodeGuard {
    /// Makes a node with the service user that lives as long as this value, after a sweep of what killed runs left.
    ///
    /// # Errors
    /// As [`Node::create`].
    pub fn create(name: &str) -> Result<Self, NodeError> {
        Self::create_with(name, Options::default())
    }

    /// As [`NodeGuard::create`], with options; the owner is always this process.
    ///
    /// # Errors
    /// As [`Node::create`].
    pub fn create_with(name: &str, options: Options) -> Result<Self, NodeError> {
        let cache = Cache::locate()?;
        sweep(&cache)?;
        let owner = if keep() { None } else { Process::current() };
        Ok(Self { node: Node::create_with(&cache, name, Options { owner, ..options })? })
    }
}

impl std::ops::Deref for NodeGuard {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl Drop for NodeGuard {
    fn drop(&mut self) {
        if !keep()
            && let Err(error) = self.node.destroy()
        {
            crate::sh::say(&format!("cannot remove the node {}: {error}", self.node.name()));
        }
    }
}

/// Removes the nodes whose owner has died.
///
/// # Errors
/// When one cannot be removed.
pub fn sweep(cache: &Cache) -> Result<(), NodeError> {
    let orphan = |node: &Node| node.record.owner.is_some_and(|owner| !owner.alive());
    Node::list(cache)?.iter().filter(|node| orphan(node)).try_for_each(Node::destroy)
}

fn keep() -> bool {
    crate::sh::env("ARCHY_KEEP_NODES").is_some_and(|value| value != "0")
}

fn check_name(name: &str) -> Result<(), NodeError> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let first = name.starts_with(|c: char| c.is_ascii_lowercase());
    if first && name.len() <= 32 && name.chars().all(letters) && !name.ends_with('-') {
        return Ok(());
    }
    Err(NodeError::BadName { name: name.to_owned() })
}

/// The end of a log as lines of an error.
fn log_end(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(15);
    lines[from..].iter().map(|line| format!("\n    {line}")).collect()
}

/// Where a cache keeps the nodes.
fn nodes_dir(cache: &Cache) -> Result<PathBuf, NodeError> {
    Ok(cache.dir("nodes")?)
}

/// True when a path is there, links not followed.
fn there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "node-1", "t12x"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        let long = "a".repeat(33);
        for bad in ["", "1a", "A", "a_b", "../x", "a/b", "a.b", "a-", "-a", long.as_str()] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unknown_node_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path().to_owned()).unwrap();
        let error = Node::open_in(&cache, "ghost").unwrap_err();
        assert_eq!(error.code(), "node.unknown");
        assert!(Node::list(&cache).unwrap().is_empty());
    }
}
