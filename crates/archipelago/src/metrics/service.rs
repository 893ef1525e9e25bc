//! What a service uses, out of its unit's cgroup and its container's network: files of the kernel
//! alone, so that Podman is not asked.
//!
//! The cgroup is the unit's: what carries the container's network and keeps its log is counted in.

use std::path::{Path, PathBuf};

/// Where the kernel tells.
#[derive(Debug, Clone)]
pub struct Roots {
    /// Cgroup of the user manager.
    pub user_cgroup: PathBuf,
    /// `/proc`.
    pub proc: PathBuf,
    /// `/sys`.
    pub sys: PathBuf,
}

/// What was read of a service at one moment; nothing of what the kernel does not tell.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    /// Processor time in microseconds, ever.
    pub(super) cpu: Option<u64>,
    /// Bytes in memory.
    pub(super) memory: Option<u64>,
    /// Limit of the memory.
    pub(super) memory_limit: Option<u64>,
    /// Bytes that came in and went out, ever.
    pub(super) network: Option<(u64, u64)>,
}

/// Reads what a container's unit uses; nothing when it does not run. Blocks.
pub(super) fn read(roots: &Roots, container: &str) -> Option<Reading> {
    let cgroup = roots.user_cgroup.join("app.slice").join(format!("{container}.service"));
    let stat = std::fs::read_to_string(cgroup.join("cpu.stat")).ok()?;
    let number = |name: &str| text(&cgroup, name)?.trim().parse().ok();
    let memory = number("memory.current").map(|all: u64| {
        let kept = text(&cgroup, "memory.stat").and_then(|stat| field(&stat, "inactive_file"));
        all.saturating_sub(kept.unwrap_or(0))
    });
    Some(Reading {
        cpu: field(&stat, "usage_usec"),
        memory,
        memory_limit: number("memory.max"),
        network: process(&cgroup).and_then(|pid| {
            let table = std::fs::read_to_string(roots.proc.join(pid).join("net/dev")).ok()?;
            total(&table)
        }),
    })
}

fn text(dir: &Path, name: &str) -> Option<String> {
    std::fs::read_to_string(dir.join(name)).ok()
}

/// A field of a flat keyed file (cgroup-v2, "Interface Files").
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

/// A process of the container below a unit's cgroup: Podman puts them into `libpod-payload-<id>`,
/// and an init inside may put them further down.
fn process(cgroup: &Path) -> Option<String> {
    let below = |dir: &Path| {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).take(16)
    };
    let first = |dir: &Path| Some(text(dir, "cgroup.procs")?.lines().next()?.to_owned());
    let payload = below(cgroup)
        .find(|entry| entry.file_name().to_string_lossy().starts_with("libpod-payload-"))?
        .path();
    first(&payload).or_else(|| below(&payload).find_map(|entry| first(&entry.path())))
}

/// Bytes in and out of all interfaces but loopback, of `/proc/<pid>/net/dev`; nothing without one.
fn total(table: &str) -> Option<(u64, u64)> {
    interfaces(table)
        .filter(|(name, ..)| *name != "lo")
        .map(|(_, received, sent)| (received, sent))
        .reduce(|a, b| (a.0.saturating_add(b.0), a.1.saturating_add(b.1)))
}

/// Name, bytes in, bytes out of each line of a `net/dev` (proc_pid_net(5)).
pub(super) fn interfaces(table: &str) -> impl Iterator<Item = (&str, u64, u64)> {
    table.lines().skip(2).filter_map(|line| {
        let (name, fields) = line.split_once(':')?;
        let mut fields = fields.split_whitespace();
        let received = fields.next()?.parse().ok()?;
        let sent = fields.nth(7)?.parse().ok()?;
        Some((name.trim(), received, sent))
    })
}
