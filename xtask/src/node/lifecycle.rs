//! The life of a node: create, boot, ready, reboot, power off, power cut, destroy.
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::error::NodeError;
use super::fabric::{self, Fabric};
use super::{
    Node, Options, Record, base, check_name, log_end, nodes_dir, preflight, scripts, there, tree,
};
use crate::cache::{Cache, Lock, at};
use crate::sh::{Cmd, Output, wait_until};

/// From the start of the supervisor to the node's PID 1.
const INIT_LIMIT: Duration = Duration::from_secs(20);
/// From the order to power off or reboot to the end of the node's init: units get their stop time.
const DOWN_LIMIT: Duration = Duration::from_secs(180);
/// From the end of the node's init to the end of its supervisor.
const TIDY_LIMIT: Duration = Duration::from_secs(10);

impl Node {
    /// Makes a node in a given cache, with options.
    ///
    /// # Errors
    /// As [`Node::create`]; a half-made node is removed again.
    pub fn create_with(cache: &Cache, name: &str, options: Options) -> Result<Self, NodeError> {
        check_name(name)?;
        preflight::check(cache)?;
        let base = base::ensure(cache)?;
        let node = Self::enlist(cache, name, options)?;
        match node.fill(&base) {
            Ok(()) => Ok(node),
            Err(error) => {
                node.destroy()?;
                Err(error)
            }
        }
    }

    /// Takes a name and an address, under a lock: a directory without a record is what an interrupted run left.
    fn enlist(cache: &Cache, name: &str, options: Options) -> Result<Self, NodeError> {
        let _lock = cache.lock("nodes")?;
        if Self::open_in(cache, name).is_ok() {
            return Err(NodeError::Exists { name: name.to_owned() });
        }
        let dir = nodes_dir(cache)?.join(name);
        tree::remove_tree(&dir)?;
        fs::create_dir(&dir).map_err(at("cannot make", &dir))?;
        let octet = Fabric::lock()?.allocate(&dir)?;
        let Options { service_user, owner } = options;
        let record = Record { name: name.to_owned(), octet, service_user, owner };
        let node = Self { cache: cache.clone(), dir, record };
        node.save()?;
        Ok(node)
    }

    fn fill(&self, base: &Path) -> Result<(), NodeError> {
        let root = self.root_path();
        Cmd::new("cp").args(["-a", "--reflink=auto"]).arg(base).arg(&root).run()?;
        let (name, ip) = (self.name(), self.ip());
        tree::put(&root.join("etc/hostname"), &format!("{name}\n"))?;
        let hosts = format!("127.0.0.1 localhost\n::1 localhost ip6-localhost\n{ip} {name}\n");
        tree::put(&root.join("etc/hosts"), &hosts)?;
        let id = fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
        tree::put(&root.join("etc/machine-id"), &id.replace('-', ""))?;
        if self.has_service_user() {
            tree::add_user(&root)?;
        }
        Ok(())
    }

    /// Starts the node; returns when its PID 1 runs. [`Node::wait_ready`] tells when it can be used.
    ///
    /// # Errors
    /// When it runs already, or its init does not come up.
    pub fn boot(&self) -> Result<(), NodeError> {
        let name = self.name().to_owned();
        let _lock = Lock::take(&self.dir.join("lock"))?;
        if self.is_running() {
            return Err(NodeError::Running { name });
        }
        self.settled()?;
        Fabric::lock()?.up()?;
        let octet = self.record.octet;
        let cgroup = fabric::cgroup(octet)?;
        fs::create_dir_all(&cgroup).map_err(at("cannot make", &cgroup))?;
        let scripts = scripts::ensure(&self.cache)?;
        let _stale = fs::remove_file(self.dir.join("init.pid"));
        let supervise = Cmd::new("bash").arg(scripts.join("supervise.sh")).arg(&self.dir);
        let supervise = supervise.args([&name, &octet.to_string()]).arg(&cgroup).arg(&scripts);
        supervise.detached(&self.console_path())?;
        wait_until(INIT_LIMIT, || self.init())
            .map(drop)
            .ok_or_else(|| NodeError::Boot { name, log: log_end(&self.console_log()) })
    }

    /// Waits until the node can be used: the service user's manager has reached its default target; on a stock node,
    /// the system has booted.
    ///
    /// # Errors
    /// When that takes longer than the deadline; what was seen instead is in the error.
    pub fn wait_ready(&self, deadline: Duration) -> Result<(), NodeError> {
        let mut seen = String::from("no answer");
        let ready = wait_until(deadline, || {
            let socket = format!("/proc/{}/root/run/user/1000/systemd/private", self.init_pid()?);
            if self.has_service_user() && !there(Path::new(&socket)) {
                return None;
            }
            let answer = self.state();
            seen = answer.as_ref().map_or_else(ToString::to_string, |output| output.stdout.clone());
            let text = answer.ok()?;
            matches!(text.text(), "active" | "running" | "degraded").then_some(())
        });
        let slow = || NodeError::TooSlow {
            name: self.name().to_owned(),
            state: "ready",
            limit: deadline,
            detail: log_end(&format!("{}\n{}", self.console_log(), seen.trim())),
        };
        ready.ok_or_else(slow)
    }

    fn state(&self) -> Result<Output, NodeError> {
        if self.has_service_user() {
            self.exec_user(["systemctl", "--user", "is-active", "default.target"])
        } else {
            self.exec_root(["systemctl", "is-system-running"])
        }
    }

    /// Reboots the node in good order; returns when the new PID 1 runs.
    ///
    /// # Errors
    /// When it is off or does not come back.
    pub fn reboot(&self) -> Result<(), NodeError> {
        let old = self.init().ok_or_else(|| self.not_running())?;
        old.signal("RTMIN+5")?;
        let back = wait_until(DOWN_LIMIT, || {
            old.wake_callers();
            self.init().filter(|init| *init != old)
        });
        back.map(drop).ok_or_else(|| self.too_slow("rebooted"))
    }

    /// Powers the node off in good order; returns when it is off.
    ///
    /// # Errors
    /// When it is off already or does not end.
    pub fn power_off(&self) -> Result<(), NodeError> {
        let init = self.init().ok_or_else(|| self.not_running())?;
        init.signal("RTMIN+4")?;
        let off = wait_until(DOWN_LIMIT, || {
            init.wake_callers();
            (!init.alive()).then_some(())
        });
        off.ok_or_else(|| self.too_slow("off"))?;
        self.settled()
    }

    /// Cuts the power: every process of the node is gone at once. What the page cache holds survives.
    ///
    /// # Errors
    /// When it is off already.
    pub fn power_cut(&self) -> Result<(), NodeError> {
        let init = self.init().ok_or_else(|| self.not_running())?;
        init.kill();
        let off = wait_until(TIDY_LIMIT, || {
            init.wake_callers();
            (!init.alive()).then_some(())
        });
        off.ok_or_else(|| self.too_slow("off"))?;
        self.settled()
    }

    /// Removes the node, running or not, and every trace of it; the shared network goes with the last node.
    ///
    /// # Errors
    /// When something of it cannot be removed.
    pub fn destroy(&self) -> Result<(), NodeError> {
        let octet = self.record.octet;
        if there(&self.dir) {
            let _lock = Lock::take(&self.dir.join("lock"))?;
            let same = |node: Self| node.record.octet == octet;
            if !Self::open_in(&self.cache, self.name()).is_ok_and(same) {
                // another run was faster, and the address may be another node's by now
                return Ok(());
            }
            self.kill_all()?;
            fabric::unplug(octet);
            let gone = self.dir.with_file_name(format!(".gone-{octet}-{}", std::process::id()));
            fs::rename(&self.dir, &gone).map_err(at("cannot rename", &self.dir))?;
            tree::remove_tree(&gone)?;
        }
        Fabric::lock()?.release(octet, &self.dir)
    }

    /// Ends every process of the node and its supervisor, and removes its cgroup.
    fn kill_all(&self) -> Result<(), NodeError> {
        if let Some(supervisor) = self.supervisor() {
            supervisor.kill();
        }
        let cgroup = fabric::cgroup(self.record.octet)?;
        let emptied = wait_until(TIDY_LIMIT, || {
            // also what a supervisor started in its last moment
            let _old_kernel = fs::write(cgroup.join("cgroup.kill"), "1");
            if let Some(init) = self.init() {
                init.kill();
            }
            remove_cgroup(&cgroup).then_some(())
        });
        emptied.ok_or_else(|| self.too_slow("empty of processes"))
    }

    /// Waits for the end of a supervisor whose node has ended.
    fn settled(&self) -> Result<(), NodeError> {
        let gone = || self.supervisor().is_none().then_some(());
        wait_until(TIDY_LIMIT, gone).ok_or_else(|| self.too_slow("let go by its supervisor"))
    }

    fn too_slow(&self, state: &'static str) -> NodeError {
        let limit = if state == "rebooted" || state == "off" { DOWN_LIMIT } else { TIDY_LIMIT };
        let detail = log_end(&self.console_log());
        NodeError::TooSlow { name: self.name().to_owned(), state, limit, detail }
    }
}

/// Removes a cgroup and those in it; true when it is gone.
fn remove_cgroup(cgroup: &Path) -> bool {
    let entries = fs::read_dir(cgroup).into_iter().flatten().flatten();
    let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    for dir in dirs {
        remove_cgroup(&dir.path());
    }
    let _busy = fs::remove_dir(cgroup);
    !cgroup.exists()
}
