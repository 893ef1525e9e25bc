//! The network of the nodes and what they share on this machine: addresses, bridge, the host's leg.
//!
//! A namespace `archy-fabric` holds a bridge at 10.77.0.1/24; every node has an address 10.77.0.N on it and the host
//! has 10.77.0.254. No route leads out. Nodes of all checkouts and caches of a machine share it, so its state lies in
//! `/run` under a lock of its own.
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::NodeError;
use super::process::Process;
use crate::cache::{Lock, at};
use crate::sh::{Cmd, wait_until};

/// Network namespace of the bridge.
pub const NAMESPACE: &str = "archy-fabric";
/// The first three bytes of every address.
pub const NET: &str = "10.77.0";
const BRIDGE: &str = "archy-br0";
const BRIDGE_MAC: &str = "02:61:72:63:68:01";
const HOST_LEG: &str = "archy-host0";
const HOST_PEER: &str = "archy-hostpeer";
const STATE: &str = "/run/archy-nodes";
const FIRST: u8 = 11;
const LAST: u8 = 250;

/// A task's hold on the network; let go when dropped or when the task dies.
#[derive(Debug)]
pub struct Hold {
    file: PathBuf,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.file);
    }
}

/// The machine's shared state, locked while this value lives.
#[derive(Debug)]
pub struct Fabric {
    dir: PathBuf,
    _lock: Lock,
}

impl Fabric {
    /// Takes the lock.
    ///
    /// # Errors
    /// When the state directory cannot be used.
    pub fn lock() -> Result<Self, NodeError> {
        let dir = PathBuf::from(STATE);
        let path = dir.join("fabric.lock");
        loop {
            let octets = dir.join("octets");
            fs::create_dir_all(&octets).map_err(at("cannot make", &octets))?;
            let lock = Lock::take(&path)?;
            // its last holder may have removed the file that was locked: then the lock is worth nothing
            let (ours, named) = (lock.inode(), fs::metadata(&path).map(|meta| meta.ino()).ok());
            if ours.is_some() && ours == named {
                return Ok(Self { dir, _lock: lock });
            }
        }
    }

    /// Gives a node the lowest free last byte of an address.
    ///
    /// # Errors
    /// When none is free.
    pub fn allocate(&self, node: &Path) -> Result<u8, NodeError> {
        for octet in FIRST..=LAST {
            let claim = self.claim(octet);
            let holder = fs::read_to_string(&claim).ok().map(PathBuf::from);
            if holder.is_some_and(|holder| holder.exists()) || cgroup(octet)?.exists() {
                continue;
            }
            let text = node.to_string_lossy();
            fs::write(&claim, text.as_bytes()).map_err(at("cannot write", &claim))?;
            return Ok(octet);
        }
        Err(NodeError::Full)
    }

    /// Takes a node's address back, and the whole network down after the last.
    ///
    /// # Errors
    /// When the network cannot be removed.
    pub fn release(&self, octet: u8, node: &Path) -> Result<(), NodeError> {
        let claim = self.claim(octet);
        // unless it was given to another node since
        if fs::read_to_string(&claim).is_ok_and(|holder| Path::new(&holder) == node) {
            let _none = fs::remove_file(claim);
        }
        self.down_if_idle()
    }

    /// Takes the network down unless a node or a task of this machine still uses it.
    ///
    /// # Errors
    /// When the network cannot be removed.
    pub fn down_if_idle(&self) -> Result<(), NodeError> {
        if self.nodes().is_empty() && !self.held() { self.down() } else { Ok(()) }
    }

    /// Keeps the network up while the returned value lives, for a task that uses it without a node.
    ///
    /// # Errors
    /// When the hold cannot be written down.
    pub fn hold(&self) -> Result<Hold, NodeError> {
        let dir = self.dir.join("holds");
        fs::create_dir_all(&dir).map_err(at("cannot make", &dir))?;
        let me = Process::current().map(|me| format!("{} {}", me.pid, me.start));
        let file = dir.join(std::process::id().to_string());
        fs::write(&file, me.unwrap_or_default()).map_err(at("cannot write", &file))?;
        Ok(Hold { file })
    }

    fn held(&self) -> bool {
        let holds = fs::read_dir(self.dir.join("holds")).into_iter().flatten().flatten();
        holds.into_iter().any(|hold| Process::from_file(&hold.path()).is_some())
    }

    /// The directories of the nodes that have an address.
    pub fn nodes(&self) -> Vec<PathBuf> {
        let claims = fs::read_dir(self.dir.join("octets")).into_iter().flatten().flatten();
        let texts = claims.filter_map(|claim| fs::read_to_string(claim.path()).ok());
        texts.map(PathBuf::from).filter(|node| node.exists()).collect()
    }

    /// Makes what is missing of the namespace, the bridge and the host's leg.
    ///
    /// # Errors
    /// When the addresses are in use for something else or a link cannot be made.
    pub fn up(&self) -> Result<(), NodeError> {
        let have = |args: &[&str]| ip(args).succeeds();
        if !have(&["-n", NAMESPACE, "link", "show", "lo"]) {
            self.free_subnet()?;
            let _stale = ip(&["netns", "del", NAMESPACE]).output();
            ip(&["netns", "add", NAMESPACE]).run()?;
            ip(&["-n", NAMESPACE, "link", "set", "lo", "up"]).run()?;
        }
        if !have(&["-n", NAMESPACE, "link", "show", BRIDGE]) {
            let bridge = ["type", "bridge", "forward_delay", "0", "stp_state", "0"];
            ip(&["-n", NAMESPACE, "link", "add", BRIDGE]).args(bridge).run()?;
        }
        let inside = |args: &[&str]| ip(&["-n", NAMESPACE]).args(args).run();
        // else it is the lowest of its ports' and changes as nodes come and go: whoever remembers the
        // old one talks to nobody for half a minute
        inside(&["link", "set", BRIDGE, "address", BRIDGE_MAC])?;
        inside(&["addr", "replace", &format!("{NET}.1/24"), "dev", BRIDGE])?;
        inside(&["link", "set", BRIDGE, "up"])?;
        if !have(&["-n", NAMESPACE, "link", "show", HOST_PEER])
            || !have(&["link", "show", HOST_LEG])
        {
            let _stale = ip(&["link", "del", HOST_LEG]).output();
            let peer = ["type", "veth", "peer", "name", HOST_PEER, "netns", NAMESPACE];
            ip(&["link", "add", HOST_LEG]).args(peer).run()?;
        }
        inside(&["link", "set", HOST_PEER, "master", BRIDGE, "up"])?;
        ip(&["addr", "replace", &format!("{NET}.254/24"), "dev", HOST_LEG]).run()?;
        ip(&["link", "set", HOST_LEG, "up"]).run()?;
        Ok(())
    }

    /// Takes the network down, the registry in it first.
    ///
    /// # Errors
    /// When the namespace cannot be removed.
    pub fn down(&self) -> Result<(), NodeError> {
        self.stop_registry();
        let _none = ip(&["link", "del", HOST_LEG]).output();
        if Path::new("/run/netns").join(NAMESPACE).exists() {
            ip(&["netns", "del", NAMESPACE]).run()?;
        }
        // the lock goes too: whoever waits for it sees that and makes it anew
        let _none = fs::remove_dir_all(&self.dir);
        Ok(())
    }

    /// Stops the registry; no failure when none runs.
    pub fn stop_registry(&self) {
        let file = self.registry_pid();
        if let Some(process) = Process::from_file(&file) {
            process.kill();
            wait_until(std::time::Duration::from_secs(5), || (!process.alive()).then_some(()));
        }
        let _none = fs::remove_file(file);
    }

    /// Where the registry's pid is written.
    pub fn registry_pid(&self) -> PathBuf {
        self.dir.join("registry.pid")
    }

    fn claim(&self, octet: u8) -> PathBuf {
        self.dir.join("octets").join(octet.to_string())
    }

    fn free_subnet(&self) -> Result<(), NodeError> {
        let routes = ip(&["-4", "route", "show", "to", "root", &format!("{NET}.0/24")]).run()?;
        let near = |line: &&str| !line.starts_with("default") && !line.contains(HOST_LEG);
        match routes.stdout.lines().find(near) {
            Some(route) => Err(NodeError::AddressesTaken { route: route.trim().to_owned() }),
            None => Ok(()),
        }
    }
}

/// The cgroup of the node with this last byte.
///
/// # Errors
/// When cgroup2 is not mounted.
pub fn cgroup(octet: u8) -> Result<PathBuf, NodeError> {
    Ok(super::preflight::cgroup_root()?.join(format!("archy-n{octet}")))
}

/// Removes a node's network namespace and its leg on the bridge; no failure when there is none.
pub fn unplug(octet: u8) {
    let _none = ip(&["-n", NAMESPACE, "link", "del", &leg(octet)]).output();
    let _none = ip(&["netns", "del", &format!("archy-n{octet}")]).output();
}

/// Cuts a node off the network, or joins it again.
///
/// # Errors
/// When the node has no leg on the bridge.
pub fn set_link(octet: u8, up: bool) -> Result<(), NodeError> {
    let state = if up { "up" } else { "down" };
    ip(&["-n", NAMESPACE, "link", "set", &leg(octet), state]).run()?;
    Ok(())
}

fn leg(octet: u8) -> String {
    format!("archy-v{octet}")
}

fn ip(args: &[&str]) -> Cmd {
    Cmd::new("ip").args(args)
}
