//! The node that everything is measured on.
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::http::Rpc;
use super::inside::{Action, Done, Job, SOCKET, Until};
use crate::cache::Cache;
use crate::images::{self, Index};
use crate::node::{Node, READY_LIMIT, Who, fabric};
use crate::sh::{self, wait_until};
use crate::workspace::Profile;
use crate::{dist, platform, workspace};

/// Name of the node.
const NAME: &str = "bench";
/// Where this program lies in the node.
const DRIVER: &str = "/var/tmp/archy-bench";
/// Where the user's units lie in the node.
pub(super) const QUADLETS: &str = "/home/archipelago/.config/containers/systemd";
/// How long a job may take.
const LIMIT_SECS: u64 = 240;
/// Quiet time before a measurement: what the last one left is done by then.
const QUIET: Duration = Duration::from_millis(1500);

/// A node with the platform in a release build, and this program as its stopwatch.
#[derive(Debug)]
pub(super) struct Stand {
    /// The node.
    pub(super) node: Node,
    /// Images in the registry.
    pub(super) index: Index,
    /// The test apps' manifests with their images pinned, by id.
    pub(super) apps: BTreeMap<String, String>,
    keep: bool,
    _registry: fabric::Hold,
}

impl Stand {
    /// Makes the node, or takes the one that an earlier run with `keep` left.
    ///
    /// # Errors
    /// A build fails, or the machine cannot run nodes.
    pub(super) fn new(deb: Option<&Path>, keep: bool) -> anyhow::Result<Self> {
        let built = deb.map_or_else(|| dist::deb(Profile::Release), |deb| Ok(deb.to_owned()));
        let deb = built?;
        let cache = Cache::locate()?;
        let index = images::ensure(&cache, &[])?;
        let registry = images::registry::ensure(&cache)?;
        let known = Node::list(&cache)?.into_iter().find(|node| node.name() == NAME);
        let node = match known {
            Some(node) => node,
            None => sh::step("making the node", || Node::create(NAME))?,
        };
        let apps = platform::apps(&index)?;
        let stand = Self { node, index, apps, keep, _registry: registry };
        stand.equip(&deb)?;
        Ok(stand)
    }

    fn equip(&self, deb: &Path) -> anyhow::Result<()> {
        if !self.node.is_running() {
            let boot = || self.node.boot().and_then(|()| self.node.wait_ready(READY_LIMIT));
            sh::step("booting the node", boot)?;
        }
        platform::install(&self.node, deb, &self.index)?;
        // a program that runs cannot be written over, but replaced
        let inside = self.path(DRIVER);
        let _absent = fs::remove_file(&inside);
        fs::copy("/proc/self/exe", &inside).context("copying this program into the node")?;
        let mine = ["chmod", "0755", DRIVER];
        ensure!(self.node.exec_root(mine)?.ok(), "the driver cannot be made executable");
        Ok(())
    }

    /// A path of the node as the host sees it.
    pub(super) fn path(&self, inside: &str) -> PathBuf {
        self.node.root_path().join(inside.trim_start_matches('/'))
    }

    /// Does a job in the node as the service user.
    ///
    /// # Errors
    /// An action failed.
    pub(super) fn perform(&self, actions: Vec<Action>) -> anyhow::Result<Done> {
        self.perform_as(Who::User, actions)
    }

    /// Does a job in the node.
    ///
    /// # Errors
    /// An action failed.
    pub(super) fn perform_as(&self, who: Who, actions: Vec<Action>) -> anyhow::Result<Done> {
        let job = serde_json::to_vec(&Job { actions, limit_secs: LIMIT_SECS })?;
        let argv = [DRIVER, "bench", "--inside"];
        let limit = Duration::from_secs(LIMIT_SECS + 20);
        let output = self.node.command(who, argv, limit)?.input(job).run()?;
        Ok(serde_json::from_str(output.text())?)
    }

    /// Runs a command as the service user; a failure is an error.
    ///
    /// # Errors
    /// It failed.
    pub(super) fn user(&self, argv: &[&str]) -> anyhow::Result<String> {
        let limit = Duration::from_secs(LIMIT_SECS);
        Ok(self.node.command(Who::User, argv, limit)?.run()?.stdout)
    }

    /// Calls the daemon from the host.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    pub(super) fn rpc(&self, method: &str, params: &Value) -> anyhow::Result<Value> {
        Rpc::open(&self.socket()?)?.call(method, params)
    }

    /// The daemon's socket as the host sees it.
    ///
    /// # Errors
    /// The node is off.
    pub(super) fn socket(&self) -> anyhow::Result<PathBuf> {
        let init = self.node.init_pid().context("the node is off")?;
        Ok(PathBuf::from(format!("/proc/{init}/root{SOCKET}")))
    }

    /// Stops the daemon, so that a peer has the machine to itself, and waits until it is quiet.
    ///
    /// # Errors
    /// It cannot be stopped.
    pub(super) fn without_daemon(&self) -> anyhow::Result<()> {
        self.perform_as(Who::Root, vec![Action::run(&["systemctl", "stop", "archipelago"])])?;
        self.quiet();
        Ok(())
    }

    /// Starts the daemon unless it runs, and waits until it is quiet.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) fn with_daemon(&self) -> anyhow::Result<()> {
        let start = Action::run(&["systemctl", "start", "archipelago"]);
        self.perform_as(Who::Root, vec![start, Action::Daemon])?;
        self.quiet();
        Ok(())
    }

    /// Lets some time pass.
    pub(super) fn quiet(&self) {
        pause(QUIET);
    }

    /// Installs an app from a manifest's text, waiting until it runs.
    ///
    /// # Errors
    /// It does not come to run.
    pub(super) fn install(&self, id: &str, manifest: &str) -> anyhow::Result<Done> {
        self.perform(vec![install(id, manifest)])
    }

    /// Removes every app that is installed: what a row that failed left.
    ///
    /// # Errors
    /// The daemon does not answer, or one does not go.
    pub(super) fn clear(&self) -> anyhow::Result<()> {
        self.with_daemon()?;
        let state = self.rpc("server.get-state", &json!({}))?;
        let apps = state["data"]["package-data"].as_object().into_iter().flatten();
        apps.map(|(id, _)| self.purge(id)).try_for_each(|done| done.map(drop))
    }

    /// Removes an app with its data.
    ///
    /// # Errors
    /// It does not go.
    pub(super) fn purge(&self, id: &str) -> anyhow::Result<Done> {
        let params = json!({ "id": id, "purge": true });
        let actions = vec![Action::ask_with("package.uninstall", id, params, Until::Gone)];
        self.perform(actions)
    }

    /// The unit files of an app as they are deployed: path in the node and text.
    ///
    /// # Errors
    /// There are none.
    pub(super) fn unit_files(&self, id: &str) -> anyhow::Result<Vec<(PathBuf, String)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(self.path(QUADLETS))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.starts_with(&format!("{id}.")) || name.starts_with(&format!("{id}-")) {
                let path = Path::new(QUADLETS).join(&name);
                let text = fs::read_to_string(self.path(&path.to_string_lossy()))?;
                files.push((path, text));
            }
        }
        files.sort();
        ensure!(!files.is_empty(), "{id} has no unit files");
        Ok(files)
    }

    /// The versions that matter.
    fn versions(&self) -> anyhow::Result<String> {
        let first = |argv: &[&str]| -> anyhow::Result<String> {
            Ok(self.user(argv)?.lines().next().unwrap_or_default().trim().to_owned())
        };
        let podman = first(&["podman", "--version"])?.replace("podman version ", "podman ");
        let systemd = first(&["systemctl", "--version"])?;
        let systemd = systemd.split(" (").next().unwrap_or_default().to_owned();
        Ok(format!(
            "; on the node: Debian 13, {podman}, {systemd}, {}",
            super::stack::PEER_VERSIONS
        ))
    }
}

/// The machine, and what runs on the node if there is one.
///
/// # Errors
/// A version cannot be asked for.
pub(super) fn machine(stand: Option<&Stand>) -> anyhow::Result<String> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let memory = fs::read_to_string("/proc/meminfo")?;
    let kib = memory.split_whitespace().nth(1).and_then(|word| word.parse::<u64>().ok());
    let cores = std::thread::available_parallelism()?;
    Ok(format!(
        "{cores} cores ({}), {} GiB of memory, Linux {}{}.",
        cpu_model(),
        kib.unwrap_or_default() >> 20,
        kernel.trim(),
        stand.map_or_else(|| Ok(String::new()), Stand::versions)?
    ))
}

impl Drop for Stand {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        if let Err(error) = self.node.destroy() {
            sh::say(&format!("cannot remove the node {NAME}: {error}"));
        }
    }
}

/// Asks for an install and waits until the app runs.
pub(super) fn install(id: &str, manifest: &str) -> Action {
    let params = json!({ "id": id, "manifest": manifest });
    Action::ask_with("package.install", id, params, Until::Running)
}

/// Lets some time pass.
pub(super) fn pause(time: Duration) {
    let _passed: Option<()> = wait_until(time, || None);
}

fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name"));
    line.and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown processor").to_owned()
}

/// Load of the machine over the last minute.
pub(super) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

/// The checkout's directory for what benchmarks build.
///
/// # Errors
/// There is none.
pub(super) fn target() -> anyhow::Result<PathBuf> {
    workspace::target_dir()
}
