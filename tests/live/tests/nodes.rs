//! Nodes themselves: two of them reach each other and the host reaches both; a removed one leaves nothing behind.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use archy_live::get;
use xtask::node::{Node, NodeGuard, READY_LIMIT, fabric};
use xtask::sh::{Cmd, wait_until};

const PORT: u16 = 8099;
const SERVE: &str = "printf 'HTTP/1.0 200 OK\\r\\n\\r\\n%s' \"$(hostname)\"";

/// A node that has booted and says its name on a port.
fn node(name: &str) -> anyhow::Result<NodeGuard> {
    let node = NodeGuard::create(name)?;
    node.boot()?;
    node.wait_ready(READY_LIMIT)?;
    let listen = format!("TCP-LISTEN:{PORT},fork,reuseaddr");
    let answer = format!("SYSTEM:{SERVE}");
    let serve = ["systemd-run", "-q", "--unit=namer", "socat", &listen, &answer];
    let out = node.exec_root(serve)?;
    ensure!(out.ok(), "{}", out.stderr);
    Ok(node)
}

fn says_its_name(from: Option<&Node>, to: &Node) -> anyhow::Result<()> {
    let url = format!("http://{}:{PORT}/", to.ip());
    let ask = || match from {
        None => get(&url).ok().map(|answer| answer.body),
        Some(from) => from.exec_user(["curl", "-s", "-m", "5", &url]).ok().map(|out| out.stdout),
    };
    let mut said = None;
    let named = wait_until(READY_LIMIT, || {
        said = ask();
        (said.as_deref().map(str::trim) == Some(to.name())).then_some(())
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
