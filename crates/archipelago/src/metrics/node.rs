//! What the node as a whole uses, out of `/proc`, `/sys` and the file systems.

use std::collections::BTreeMap;
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

use super::service::{Roots, interfaces};
use crate::system::{cpu_times, memory};

/// Most sensors and most interfaces that are followed.
const MOST: usize = 12;

/// What was read at one moment.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Reading {
    /// Busy and total time of all cores, ever.
    pub(super) cpu: Option<(u64, u64)>,
    /// Bytes in use and in all.
    pub(super) memory: Option<(u64, u64)>,
    /// Bytes in use and in all, by directory; one for each file system.
    pub(super) disks: Vec<(String, u64, u64)>,
    /// Bytes in and out, ever, by interface.
    pub(super) network: BTreeMap<String, (u64, u64)>,
    /// Degrees Celsius by sensor.
    pub(super) temperatures: BTreeMap<String, f32>,
}

/// Reads all of it. Blocks.
pub(super) fn read(roots: &Roots, dirs: &[PathBuf]) -> Reading {
    let text = |name: &str| read_to_string(roots.proc.join(name)).unwrap_or_default();
    let memory = memory(&text("meminfo"));
    Reading {
        cpu: cpu_times(&text("stat")),
        memory: memory.map(|(total, available)| (total.saturating_sub(available), total)),
        disks: disks(dirs),
        network: network(&text("net/dev"), &roots.sys),
        temperatures: temperatures(&roots.sys),
    }
}

fn disks(dirs: &[PathBuf]) -> Vec<(String, u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let mut seen = Vec::new();
    let mut disks = Vec::new();
    for dir in dirs {
        let Ok(data) = std::fs::metadata(dir) else { continue };
        let Ok(room) = rustix::fs::statvfs(dir) else { continue };
        if seen.contains(&data.dev()) {
            continue;
        }
        seen.push(data.dev());
        let total = room.f_blocks * room.f_frsize;
        let used = room.f_blocks.saturating_sub(room.f_bfree) * room.f_frsize;
        disks.push((dir.display().to_string(), used, total));
    }
    disks
}

/// Interfaces that lead out: no loopback, no bridge, no end of a container's cable.
fn network(table: &str, sys: &Path) -> BTreeMap<String, (u64, u64)> {
    let leads_out = |name: &str| {
        name != "lo"
            && !name.starts_with("veth")
            && !sys.join("class/net").join(name).join("bridge").exists()
    };
    let all = interfaces(table).filter(|(name, ..)| leads_out(name)).take(MOST);
    all.map(|(name, received, sent)| (name.to_owned(), (received, sent))).collect()
}

/// Sensors as the kernel's drivers name them (hwmon sysfs interface); thermal zones where there are
/// none.
fn temperatures(sys: &Path) -> BTreeMap<String, f32> {
    let mut found = BTreeMap::new();
    for chip in entries(&sys.join("class/hwmon")) {
        let name = line(&chip.join("name")).unwrap_or_default();
        for input in entries(&chip) {
            let file = input.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some(sensor) = file.strip_suffix("_input").filter(|it| it.starts_with("temp"))
            else {
                continue;
            };
            let label = line(&chip.join(format!("{sensor}_label")));
            let label = label.map_or_else(|| name.clone(), |label| format!("{name} {label}"));
            put(&mut found, label, &input);
        }
    }
    if found.is_empty() {
        for zone in entries(&sys.join("class/thermal")) {
            if let Some(name) = line(&zone.join("type")) {
                put(&mut found, name, &zone.join("temp"));
            }
        }
    }
    found
}

fn put(found: &mut BTreeMap<String, f32>, name: String, file: &Path) {
    let Some(millis) = line(file).and_then(|text| text.parse::<i32>().ok()) else { return };
    // a sensor that is not connected says what no machine survives
    if found.len() >= MOST || !(-40_000..=150_000).contains(&millis) {
        return;
    }
    let taken = |name: &String| found.contains_key(name);
    let mut names = std::iter::once(name.clone()).chain((2..=MOST).map(|n| format!("{name} {n}")));
    if let Some(free) = names.find(|name| !taken(name)) {
        #[expect(clippy::cast_precision_loss, reason = "below 2^18")]
        found.insert(free, millis as f32 / 1000.0);
    }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let read = std::fs::read_dir(dir).into_iter().flatten().flatten().take(64);
    let mut paths: Vec<PathBuf> = read.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn line(file: &Path) -> Option<String> {
    let text = read_to_string(file).ok()?;
    let text: String = text.trim().chars().filter(|c| !c.is_control()).take(40).collect();
    (!text.is_empty()).then_some(text)
}
