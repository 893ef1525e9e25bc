//! `cargo xtask up` and `down`: a running node with an app to open.
use std::time::Duration;

use anyhow::Context;

use crate::cache::Cache;
use crate::images;
use crate::node::{Node, READY_LIMIT};
use crate::sh;
use crate::workspace::Profile;
use crate::{desktop, platform};

/// The node's name unless another is given.
const NAME: &str = "home";
/// The app that is there to be opened.
const FIRST_APP: &str = "website";
/// How long its install may take.
const INSTALL_LIMIT: Duration = Duration::from_secs(300);

/// Runs a node, or the daemon on this very machine.
#[derive(Debug, clap::Args)]
pub struct UpArgs {
    /// Run the daemon in this user's own session instead of on a test node.
    #[arg(long)]
    pub host: bool,
    /// Name of the node.
    #[arg(long, default_value = NAME)]
    pub name: String,
    /// Build for speed instead of for a short build.
    #[arg(long)]
    pub release: bool,
}

/// Takes it down again.
#[derive(Debug, clap::Args)]
pub struct DownArgs {
    /// Stop the daemon of this user's own session.
    #[arg(long)]
    pub host: bool,
    /// Name of the node.
    #[arg(long, default_value = NAME)]
    pub name: String,
    /// Also remove the node with its data.
    #[arg(long)]
    pub destroy: bool,
}

/// Brings a node up; run again it brings the newest build onto the same node.
///
/// # Errors
/// A build fails, or the machine cannot run a node.
pub fn up(args: &UpArgs) -> anyhow::Result<()> {
    let profile = if args.release { Profile::Release } else { Profile::Dev };
    if args.host {
        return desktop::up(profile);
    }
    let (deb, index) = platform::prepare(profile, &[])?;
    let cache = Cache::locate()?;
    let known = Node::list(&cache)?.into_iter().find(|node| node.name() == args.name);
    let node = match known {
        Some(node) => node,
        None => sh::step("making the node", || Node::create(&args.name))?,
    };
    if !node.is_running() {
        sh::step("booting the node", || node.boot().and_then(|()| node.wait_ready(READY_LIMIT)))?;
    }
    // nodes pull images from here
    let _registry = images::registry::ensure(&cache)?;
    platform::install(&node, &deb, &index)?;
    sh::step("installing an app from its manifest", || install_first(&node))?;
    sh::print(&welcome(&node));
    Ok(())
}

fn install_first(node: &Node) -> anyhow::Result<()> {
    let done = platform::archy(node, &["install", FIRST_APP])?;
    anyhow::ensure!(
        done.ok(),
        "`archy install {FIRST_APP}` failed: {}{}",
        done.stdout,
        done.stderr
    );
    let url = format!("http://{}:18002/health", node.ip());
    let answers = || sh::Cmd::new("curl").args(["-fsS", "-m", "2", &url]).succeeds().then_some(());
    sh::wait_until(INSTALL_LIMIT, answers).with_context(|| format!("{url} does not answer"))
}

fn welcome(node: &Node) -> String {
    let (ip, name) = (node.ip(), node.name());
    format!(
        "
The node `{name}` runs.

  dashboard   https://{ip}/            (set the owner's password at the first visit)
  API         https://{ip}/rpc/v1      (docs/api.md)
  an app      http://{ip}:18002/       (website, from tests/apps/website/manifest.yml)

  cargo xtask node exec --name {name} -- archy list
  cargo xtask node exec --name {name} -- archy install probe
  cargo xtask node reboot --name {name}
  cargo xtask down [--destroy]
"
    )
}

/// Takes a node down; its data stays unless told otherwise.
///
/// # Errors
/// There is no such node.
pub fn down(args: &DownArgs) -> anyhow::Result<()> {
    if args.host {
        return desktop::down();
    }
    let node = Node::open(&args.name)?;
    if args.destroy {
        sh::step("removing the node", || node.destroy())?;
    } else if node.is_running() {
        sh::step("powering the node off", || node.power_off())?;
    }
    Ok(images::registry::stop_if_idle()?)
}
