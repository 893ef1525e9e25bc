//! A node with the platform installed, and the test apps as its catalog.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use xtask::cache::Cache;
use xtask::images::{self, Index};
use xtask::node::{NodeGuard, Options, READY_LIMIT};
use xtask::sh::{Output, wait_until};
use xtask::workspace::Profile;
use xtask::{dist, platform, sh};

/// How long an app may take to its next settled state.
const SETTLE: Duration = Duration::from_secs(300);

/// A node with the platform installed.
#[derive(Debug)]
pub struct Stand {
    /// The node; removed when the stand is dropped.
    pub node: NodeGuard,
    /// The images in the registry.
    pub index: Index,
    _registry: xtask::node::fabric::Hold,
}

impl Stand {
    /// A node with the service user, as `cargo xtask up` makes it.
    ///
    /// # Errors
    /// The machine cannot run nodes, or the platform does not come up.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        Self::with(name, Options::default())
    }

    /// A node made with options.
    ///
    /// # Errors
    /// The machine cannot run nodes, or the platform does not come up.
    pub fn with(name: &str, options: Options) -> anyhow::Result<Self> {
        let cache = Cache::locate()?;
        let index = images::index(&cache).context("no images: run `cargo xtask images`")?;
        let registry = images::registry::ensure(&cache)?;
        let node = NodeGuard::create_with(name, options)?;
        node.boot()?;
        node.wait_ready(READY_LIMIT)?;
        platform::install(&node, &deb()?, &index)?;
        Ok(Self { node, index, _registry: registry })
    }

    /// Address of the node.
    pub fn ip(&self) -> String {
        self.node.ip()
    }

    /// A URL on the node.
    pub fn url(&self, port: u16, path: &str) -> String {
        format!("http://{}:{port}{path}", self.ip())
    }

    /// Runs the command line; a failure of its own is in the output.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn archy(&self, args: &[&str]) -> anyhow::Result<Output> {
        platform::archy(&self.node, args)
    }

    /// Runs the command line, which must work.
    ///
    /// # Errors
    /// It failed; the error holds its output.
    pub fn archy_ok(&self, args: &[&str]) -> anyhow::Result<String> {
        let out = self.archy(args)?;
        ensure!(
            out.ok(),
            "archy {args:?} failed ({}):\n{}{}\n{}",
            out.status,
            out.stdout,
            out.stderr,
            self.log()
        );
        Ok(out.stdout)
    }

    /// Runs a command as the service user, which must work.
    ///
    /// # Errors
    /// It failed.
    pub fn user(&self, argv: &[&str]) -> anyhow::Result<String> {
        let out = self.node.exec_user(argv)?;
        ensure!(out.ok(), "{argv:?} failed: {}{}", out.stdout, out.stderr);
        Ok(out.stdout)
    }

    /// The state of one app as the API gives it, or nothing when it is not installed.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub fn app(&self, id: &str) -> anyhow::Result<Option<Value>> {
        let out = self.archy(&["--json", "status", id])?;
        if !out.ok() {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&out.stdout).context("the answer is not JSON")?))
    }

    /// Waits until an app is in a state.
    ///
    /// # Errors
    /// It is not in time; the error holds its last state and the daemon's log.
    pub fn until_state(&self, id: &str, state: &str) -> anyhow::Result<()> {
        let mut last = Value::Null;
        let reached = wait_until(SETTLE, || {
            last = self.app(id).ok()??;
            (find_state(&last) == Some(state)).then_some(())
        });
        if reached.is_none() {
            bail!("{id} did not become {state}; last: {last:#}\n{}", self.log());
        }
        Ok(())
    }

    /// Waits until a URL answers with a status.
    ///
    /// # Errors
    /// It does not in time.
    pub fn until_answers(&self, url: &str, status: u16) -> anyhow::Result<String> {
        let ask = || crate::get(url).ok().filter(|answer| answer.status == status);
        match wait_until(SETTLE, ask) {
            Some(answer) => Ok(answer.body),
            None => bail!("{url} never answered {status}\n{}", self.log()),
        }
    }

    /// The end of the daemon's log.
    pub fn log(&self) -> String {
        let argv = ["journalctl", "-u", "archipelago", "-n", "60", "--no-pager", "-o", "cat"];
        self.node.exec_root(argv).map(|out| out.stdout).unwrap_or_default()
    }
}

/// `status.state` of the answer of `archy --json status`.
fn find_state(value: &Value) -> Option<&str> {
    value.pointer("/status/state").or_else(|| value.pointer("/state"))?.as_str()
}

/// The Debian package under test.
///
/// # Errors
/// It cannot be built.
pub fn deb() -> anyhow::Result<PathBuf> {
    match sh::env("ARCHY_LIVE_DEB") {
        Some(deb) => Ok(PathBuf::from(deb)),
        None => dist::deb(Profile::Dev),
    }
}
