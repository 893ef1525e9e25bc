//! Nodes themselves: two of them reach each other and the host reaches both; a removed one leaves nothing behind.

use std::fs;
use std::io::Read as _;
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use xtask::node::{Node, NodeGuard, READY_LIMIT, fabric};
use xtask::sh::{Cmd, wait_until};

const PORT: u16 = 8099;
const PATIENCE: Duration = Duration::from_secs(5);

/// A node that has booted and says its name on a port.
fn node(name: &str) -> anyhow::Result<NodeGuard> {
    let node = NodeGuard::create(name)?;
    node.boot()?;
    node.wait_ready(READY_LIMIT)?;
    let listen = format!("TCP-LISTEN:{PORT},fork,reuseaddr");
    let out = node.exec_root(["systemd-run", "-q", "socat", &listen, "EXEC:hostname"])?;
    ensure!(out.ok(), "{}", out.stderr);
    Ok(node)
}

fn ask(from: Option<&Node>, to: &str) -> anyhow::Result<String> {
    if let Some(from) = from {
        return Ok(from.exec_user(["socat", "-T", "5", "-u", &format!("TCP:{to}"), "-"])?.stdout);
    }
    let mut stream = TcpStream::connect_timeout(&to.parse()?, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}

fn says_its_name(from: Option<&Node>, to: &Node) -> anyhow::Result<()> {
    let address = format!("{}:{PORT}", to.ip());
    let mut said = Ok(String::new());
    let named = wait_until(READY_LIMIT, || {
        said = ask(from, &address);
        said.as_ref().is_ok_and(|name| name.trim() == to.name()).then_some(())
    });
    let asker = from.map_or("the host", Node::name);
    named.with_context(|| format!("{asker} does not reach {}: {said:?}", to.name()))
}

/// What the machine has of a node, by kind.
struct Traces {
    octet: String,
    dir: PathBuf,
}

impl Traces {
    fn of(node: &Node) -> anyhow::Result<Self> {
        let octet = node.ip().rsplit('.').next().unwrap_or_default().to_owned();
        let dir = node.root_path().parent().context("no directory")?.to_owned();
        Ok(Self { octet, dir })
    }

    fn found(&self) -> anyhow::Result<Vec<String>> {
        let list = |args: &[&str]| Cmd::new("ip").args(args).output().map(|out| out.stdout);
        let own = |kind: &str, text: &str, name: &str| {
            let mut words = text.split(|c: char| c.is_whitespace() || ":@".contains(c));
            words.any(|word| word == name).then(|| format!("{kind} {name}"))
        };
        let (netns, leg) = (format!("archy-n{}", self.octet), format!("archy-v{}", self.octet));
        let mut found = Vec::new();
        found.extend(own("namespace", &list(&["netns", "list"])?, &netns));
        found.extend(own("link", &list(&["link"])?, &leg));
        found.extend(own("link", &list(&["-n", fabric::NAMESPACE, "link"])?, &leg));
        let dir = self.dir.to_string_lossy();
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        found.extend(mounts.lines().filter(|line| line.contains(&*dir)).map(str::to_owned));
        let cgroup = fabric::cgroup(self.octet.parse()?)?;
        let paths = [self.dir.clone(), cgroup];
        found.extend(paths.iter().filter(|it| it.exists()).map(|it| it.display().to_string()));
        Ok(found)
    }
}

#[test]
fn two_nodes_reach_each_other_and_leave_nothing() -> anyhow::Result<()> {
    let (one, two) = (node("pair-one")?, node("pair-two")?);
    for (from, to) in [(None, &one), (None, &two), (Some(&one), &two), (Some(&two), &one)] {
        says_its_name(from.map(|node| &**node), to)?;
    }
    let traces = [Traces::of(&one)?, Traces::of(&two)?];
    // else nothing would be shown below
    for trace in &traces {
        let found = trace.found()?;
        ensure!(found.len() >= 3, "a running node has more than {found:?}");
    }
    one.destroy()?;
    ensure!(traces[0].found()?.is_empty(), "left behind: {:?}", traces[0].found()?);
    says_its_name(None, &two)?;
    two.destroy()?;
    ensure!(traces[1].found()?.is_empty(), "left behind: {:?}", traces[1].found()?);
    Ok(())
}
