//! What a check of a machine found, and how facts are judged: pure, shared by the daemon and by the
//! command line when the daemon is away.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::{PodmanVersion, Timestamp};

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;
/// Subordinate ids that rootless containers need.
const IDS_NEEDED: u64 = 65_536;
/// Controllers that limits need.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];
/// The clock may go so far ahead of what was last seen while the node was off, in milliseconds.
const LONG_OFF: i64 = 90 * 86_400_000;
/// The clock may go back so far without a word, in milliseconds.
const STEP_BACK: i64 = 5 * 60_000;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, TS)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "CheckLevel")]
#[ts(rename = "CheckLevel")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, with a loss or a risk that is named.
    Warn,
    /// Something does not work.
    Fail,
    /// It could not be found out.
    Unknown,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, TS)]
#[schemars(rename = "HostCheck")]
#[ts(rename = "HostCheck", optional_fields)]
pub struct Check {
    /// What it belongs to: `host`, `podman`, `systemd`, `store`, `certificates`, `space`, `clock`,
    /// `units`, `apps`.
    pub area: String,
    /// Its name within the area.
    pub name: String,
    /// How it ended.
    pub level: Level,
    /// What was found, with figures.
    pub text: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
    /// A mend that the node can apply by itself, as `system.mend` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// The app that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
}

impl Check {
    /// As it should be.
    #[must_use]
    pub fn ok(area: &str, name: &str, text: impl Into<String>) -> Self {
        Self::of(Level::Ok, area, name, text, None)
    }

    /// Works with a loss.
    #[must_use]
    pub fn warn(area: &str, name: &str, text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::of(Level::Warn, area, name, text, Some(mend.into()))
    }

    /// Does not work.
    #[must_use]
    pub fn fail(area: &str, name: &str, text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::of(Level::Fail, area, name, text, Some(mend.into()))
    }

    /// Could not be found out.
    #[must_use]
    pub fn unknown(area: &str, name: &str, text: impl Into<String>) -> Self {
        Self::of(Level::Unknown, area, name, text, None)
    }

    /// The node can mend it by itself.
    #[must_use]
    pub fn fixed_by(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// It is about an app.
    #[must_use]
    pub fn about(mut self, app: impl Into<String>) -> Self {
        self.app = Some(app.into());
        self
    }

    fn of(
        level: Level,
        area: &str,
        name: &str,
        text: impl Into<String>,
        mend: Option<String>,
    ) -> Self {
        let (area, name, text) = (area.to_owned(), name.to_owned(), text.into());
        Self { area, name, level, text, mend, fix: None, app: None }
    }
}

/// The user manager must live without a login.
#[must_use]
pub fn linger(user: &str, lingering: bool) -> Check {
    if lingering {
        return Check::ok("host", "linger", format!("{user} lingers"));
    }
    let text = format!("apps of {user} stop at logout and do not start at boot");
    Check::fail("host", "linger", text, format!("`loginctl enable-linger {user}` as root"))
}

/// Subordinate ids of a user (`subuid` or `subgid`).
#[must_use]
pub fn ids(name: &str, user: &str, count: u64) -> Check {
    if count >= IDS_NEEDED {
        return Check::ok("host", name, format!("{user} has {count}"));
    }
    let mend = format!("`usermod --add-{name}s 100000-165535 {user}`, then log in again");
    Check::fail("host", name, format!("{user} has {count} of {IDS_NEEDED}"), mend)
}

/// Controllers that are delegated to the user manager.
#[must_use]
pub fn controllers(delegated: &[String]) -> Check {
    let missing: Vec<_> =
        CONTROLLERS.into_iter().filter(|name| !delegated.iter().any(|have| have == name)).collect();
    if missing.is_empty() {
        return Check::ok("host", "cgroup", "cpu, memory and pids are delegated");
    }
    let text = format!("limits of {} are not enforced here", missing.join(", "));
    let mend = "`Delegate=cpu memory pids` in a drop-in of user@.service; in a container, use a \
                virtual machine";
    Check::warn("host", "cgroup", text, mend)
}

/// The lowest port that needs no rights.
#[must_use]
pub fn lowest_port(lowest: Option<u16>) -> Check {
    match lowest {
        None => Check::unknown("host", "ports", "the lowest port for apps cannot be read"),
        Some(lowest @ ..=80) => {
            Check::ok("host", "ports", format!("apps may publish ports from {lowest} on"))
        }
        Some(lowest) => Check::ok(
            "host",
            "ports",
            format!(
                "apps may publish ports from {lowest} on; lower ones need \
                     `net.ipv4.ip_unprivileged_port_start`"
            ),
        ),
    }
}

/// The kernel's release: rootless overlay without a helper came with 5.13.
#[must_use]
pub fn kernel(release: Option<&str>) -> Check {
    let Some(release) = release else {
        return Check::unknown("host", "kernel", "its release cannot be read");
    };
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < (5, 13) => {
            let text = format!("{release} is older than 5.13: containers' files are slow");
            Check::warn("host", "kernel", text, "install a newer kernel")
        }
        (Some(Ok(_)), Some(Ok(_))) => Check::ok("host", "kernel", release),
        _ => Check::unknown("host", "kernel", format!("{release:?} is no release that is known")),
    }
}

/// Podman's version against the oldest that is supported.
#[must_use]
pub fn podman(version: &str) -> Check {
    match version.parse::<PodmanVersion>() {
        Ok(found) if found < PodmanVersion::FLOOR => {
            let floor = PodmanVersion::FLOOR;
            let text = format!("{version} is older than {floor}");
            Check::fail("podman", "version", text, format!("install Podman {floor} or newer"))
        }
        Ok(_) => Check::ok("podman", "version", version),
        Err(_) => Check::unknown("podman", "version", format!("{version:?} is no version")),
    }
}

/// Room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes in all.
    pub total: u64,
    /// Bytes that are free for this user.
    pub free: u64,
    /// Inodes in all; nought where they are not counted.
    pub inodes: u64,
    /// Inodes that are free for this user.
    pub inodes_free: u64,
    /// It is mounted read-only.
    pub read_only: bool,
}

impl Room {
    /// Too little for anything to be written.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.free < MIB
    }

    /// No further file can be made.
    #[must_use]
    pub const fn is_out_of_inodes(&self) -> bool {
        self.inodes > 0 && self.inodes_free < 8
    }
}

/// A size for people.
#[must_use]
pub fn size(bytes: u64) -> String {
    let tenths = |unit: u64| (bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        ..MIB => format!("{} KiB", bytes / 1024),
        MIB..GIB => format!("{} MiB", bytes / MIB),
        _ => {
            let (whole, tenth) = tenths(GIB);
            format!("{whole}.{tenth} GiB")
        }
    }
}

const MAKE_ROOM: &str = "remove what is not needed: `podman image prune` as the service user, `archy uninstall --purge`";

/// Space below a path.
#[must_use]
pub fn space(name: &str, path: &str, room: Option<Room>) -> Check {
    let Some(room) = room else {
        return Check::unknown("space", name, format!("the file system of {path} does not tell"));
    };
    let percent = room.free.saturating_mul(100) / room.total.max(1);
    let (free, total) = (size(room.free), size(room.total));
    let text = format!("{free} of {total} free on {path} ({percent} %)");
    if room.read_only {
        let text = format!("{path} is mounted read-only");
        let mend = "`dmesg` says why; repair the file system and mount it again with `mount -o \
                    remount,rw`";
        return Check::fail("space", name, text, mend);
    }
    // a large disk with a small share left still has room, a small one has not
    match (percent, room.free) {
        (_, ..MIB) | (0..=1, ..GIB) => Check::fail("space", name, text, MAKE_ROOM),
        (0..=9, ..GIB) | (0..=4, _) => Check::warn("space", name, text, MAKE_ROOM),
        _ => Check::ok("space", name, text),
    }
}

/// Inodes below a path.
#[must_use]
pub fn inodes(name: &str, path: &str, room: Option<Room>) -> Check {
    let Some(room) = room else {
        return Check::unknown("space", name, format!("the file system of {path} does not tell"));
    };
    if room.inodes == 0 {
        return Check::ok("space", name, format!("{path} does not run out of inodes"));
    }
    let percent = room.inodes_free.saturating_mul(100) / room.inodes;
    let text = format!("{} of {} inodes free on {path}", room.inodes_free, room.inodes);
    let mend = "remove many small files: old images with `podman image prune`, caches of apps";
    match percent {
        _ if room.is_out_of_inodes() => Check::fail("space", name, text, mend),
        0..=4 => Check::warn("space", name, text, mend),
        _ => Check::ok("space", name, text),
    }
}

/// The clock against the last moment that the node remembers and the moment it was built.
#[must_use]
pub fn clock(now: Timestamp, last_seen: Option<Timestamp>, built: Timestamp) -> Check {
    let mend = "set the clock, and let `systemd-timesyncd` or `chrony` keep it";
    if now < built {
        let text = format!("it is {now}, before this version was made ({built})");
        return Check::fail("clock", "time", text, mend);
    }
    let Some(seen) = last_seen else { return Check::ok("clock", "time", now.to_string()) };
    if now.0 - seen.0 < -STEP_BACK {
        let text = format!("it is {now}, but it was {seen} before: it went back");
        return Check::warn("clock", "time", text, mend);
    }
    if now.0 - seen.0 > LONG_OFF {
        let days = (now.0 - seen.0) / 86_400_000;
        let text = format!("it is {now}: {days} days after the last moment seen, {seen}");
        return Check::warn("clock", "time", text, mend);
    }
    Check::ok("clock", "time", now.to_string())
}

/// Whether something keeps the clock.
#[must_use]
pub fn synchronised(answer: Option<bool>) -> Check {
    let mend = "`timedatectl set-ntp true` as root";
    match answer {
        Some(true) => Check::ok("clock", "synchronised", "a time server keeps it"),
        Some(false) => {
            Check::warn("clock", "synchronised", "no time server was heard in this boot", mend)
        }
        None => Check::unknown("clock", "synchronised", "no service that keeps it is known here"),
    }
}

#[cfg(test)]
mod tests;
