//! Everything on a node that belongs to apps, by name: what is there beyond what is needed was left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use xtask::sh::wait_until;

use crate::Stand;
use crate::rounds::End;

/// Runs a command as the service user, which must work, and gives its output.
pub type Ask<'a> = &'a mut dyn FnMut(&[&str]) -> anyhow::Result<String>;

/// Things that are on every node, with or without apps.
const USUAL: &[&str] = &["network podman", "network archy-net", "file archy-net.network"];
/// What half an operation left is cleared by a later look.
const CLEARED: Duration = Duration::from_secs(60);
const UNITS: &str = "/home/archipelago/.config/containers/systemd";

/// Each kind of thing, and the command that names those that are there.
const KINDS: &[(&str, &[&str])] = &[
    ("container", &["podman", "ps", "-a", "--format", "{{.Names}}"]),
    ("network", &["podman", "network", "ls", "--format", "{{.Name}}"]),
    ("secret", &["podman", "secret", "ls", "--format", "{{.Name}}"]),
    ("volume", &["podman", "volume", "ls", "--format", "{{.Name}}"]),
    ("file", &["ls", UNITS]),
];

/// What may be there of the probe in a state.
pub fn needs_of_probe(end: End) -> &'static [&'static str] {
    const ALL: &[&str] = &[
        "container probe",
        "network probe",
        "secret probe-token",
        "file probe.container",
        "file probe.network",
        "unit probe.service",
        "unit probe-network.service",
    ];
    match end {
        End::Runs(_) => ALL,
        End::Stopped => ALL.get(1..).unwrap_or_default(),
        End::Gone => &[],
    }
}

/// What may be there of the stack while it runs: first its volumes, which stay when it is gone, last its containers.
const OF_BLOG: &[&str] = &[
    "volume blog-content",
    "volume blog-tables",
    "network blog",
    "secret blog-db-password",
    "secret blog-db-root-password",
    "file blog.container",
    "file blog-cache.container",
    "file blog-database.container",
    "file blog-content.volume",
    "file blog-tables.volume",
    "file blog.network",
    "unit blog.service",
    "unit blog-cache.service",
    "unit blog-database.service",
    "unit blog-content-volume.service",
    "unit blog-tables-volume.service",
    "unit blog-network.service",
    "container blog",
    "container blog-cache",
    "container blog-database",
];

/// What may be there of the stack in a state.
pub fn needs_of_blog(end: End) -> &'static [&'static str] {
    let containers = OF_BLOG.len() - 3;
    match end {
        End::Runs(_) => OF_BLOG,
        End::Stopped => OF_BLOG.get(..containers).unwrap_or_default(),
        End::Gone => OF_BLOG.get(..2).unwrap_or_default(),
    }
}

/// All that is there, as `kind name`. Units are those of the given apps.
///
/// # Errors
/// A command fails.
pub fn belongings(ask: Ask<'_>, apps: &[&str]) -> anyhow::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for (kind, words) in KINDS {
        let names = ask(words)?;
        found.extend(names.lines().map(|name| format!("{kind} {}", name.trim())));
    }
    let units = ask(&["systemctl", "--user", "list-units", "--all", "--plain", "--no-legend"])?;
    let containers = ask(&["podman", "ps", "-aq", "--no-trunc"])?;
    for line in units.lines() {
        let mut words = line.split_whitespace();
        let (Some(unit), Some("loaded")) = (words.next(), words.next()) else { continue };
        // Podman's health checks are timers that are named by their container
        let is_check = unit.split(['-', '.']).next().is_some_and(is_id);
        let orphan = is_check && !containers.lines().any(|id| unit.starts_with(id.trim()));
        if orphan || apps.iter().any(|app| of_app(unit, app)) {
            found.insert(format!("unit {unit}"));
        }
    }
    found.retain(|thing| !USUAL.contains(&thing.as_str()));
    Ok(found)
}

fn is_id(word: &str) -> bool {
    word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `app.service`, `app-network.service`, `app-db.service`.
fn of_app(unit: &str, app: &str) -> bool {
    unit.strip_prefix(app).is_some_and(|rest| rest.starts_with(['.', '-']))
}

/// Waits until nothing is there but what may be.
///
/// # Errors
/// Something stays; the error names it.
pub fn only(ask: Ask<'_>, apps: &[&str], needed: &BTreeSet<String>) -> anyhow::Result<()> {
    let mut extra = Err(anyhow::anyhow!("never asked"));
    let clean = wait_until(CLEARED, || {
        let found = belongings(&mut *ask, apps);
        extra = found.map(|found| found.difference(needed).cloned().collect::<Vec<_>>());
        extra.as_ref().is_ok_and(Vec::is_empty).then_some(())
    });
    clean.with_context(|| format!("left behind: {extra:?}; needed: {needed:?}"))
}

/// Waits until nobody listens on a port of the node.
///
/// # Errors
/// Somebody goes on; the error says who.
pub fn port_is_free(stand: &Stand, port: u16) -> anyhow::Result<()> {
    let filter = format!("sport = :{port}");
    let mut holders = String::new();
    let free = wait_until(CLEARED, || {
        let out =
            stand.node.exec_root(["ss", "-Hltnp", &filter]).ok().filter(xtask::sh::Output::ok)?;
        holders = out.stdout;
        holders.trim().is_empty().then_some(())
    });
    free.with_context(|| format!("port {port} is held: {holders}"))
}

/// Half copies that nobody clears: names with a dot in an app's own directory.
///
/// # Errors
/// Some are there.
pub fn no_half_copies(dir: &Path) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let half: Vec<_> = names.filter(|name| name.starts_with('.')).collect();
    ensure!(half.is_empty(), "half copies in {}: {half:?}", dir.display());
    Ok(())
}

/// The probe's checksummed blocks in a directory, by name.
///
/// # Errors
/// The file system's.
pub fn blocks(dir: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut blocks = BTreeMap::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("no {}", dir.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("block-") {
            blocks.insert(name, std::fs::read(entry.path())?);
        }
    }
    Ok(blocks)
}

/// All blocks that were written are in a directory, and whole.
///
/// # Errors
/// One is lost or differs.
pub fn has_blocks(dir: &Path, written: &BTreeMap<String, Vec<u8>>) -> anyhow::Result<()> {
    let found = blocks(dir)?;
    for (name, bytes) in written {
        match found.get(name) {
            None => bail!("{name} is lost from {}", dir.display()),
            Some(now) => ensure!(now == bytes, "{name} in {} is damaged", dir.display()),
        }
    }
    Ok(())
}
