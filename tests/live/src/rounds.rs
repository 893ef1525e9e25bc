//! Rounds of harm: something is asked of an app, something bad happens at a random moment, and the app is found as
//! before or as after.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

/// How an app may be found when everything rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It runs; the word says in which shape.
    Runs(&'static str),
    /// It is stopped.
    Stopped,
    /// Archipelago does not have it.
    Gone,
}

/// What is asked for, where that begins, and the states before and after it.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Where it begins.
    pub from: End,
    /// Arguments of `archy`.
    pub words: &'static [&'static str],
    /// How the app may be found afterwards.
    pub ends: &'static [End],
}

/// The probe in its first version.
pub const OLD: End = End::Runs("1.0.0");
/// The probe in its second version.
pub const NEW: End = End::Runs("2.0.0");
/// The probe in its first version with another setting.
pub const TOLD: End = End::Runs("1.0.0 high");
/// Where the manifest of the second version lies on the node.
pub const NEXT: &str = "/var/tmp/probe-next.yml";

/// What is asked of the probe.
pub const OF_PROBE: &[Asked] = &[
    Asked { from: OLD, words: &["update", NEXT, "--yes", "--no-wait"], ends: &[OLD, NEW] },
    Asked { from: NEW, words: &["rollback", "probe", "--yes", "--no-wait"], ends: &[OLD, NEW] },
    Asked { from: OLD, words: &["uninstall", "probe", "--no-wait"], ends: &[OLD, End::Gone] },
    // with the data of the life before
    Asked { from: End::Gone, words: &["install", "probe", "--no-wait"], ends: &[OLD, End::Gone] },
    Asked { from: OLD, words: &["stop", "probe", "--no-wait"], ends: &[OLD, End::Stopped] },
    Asked {
        from: End::Stopped,
        words: &["start", "probe", "--no-wait"],
        ends: &[OLD, End::Stopped],
    },
    Asked { from: OLD, words: &["restart", "probe", "--no-wait"], ends: &[OLD] },
    Asked {
        from: OLD,
        words: &["config", "set", "probe", "tone=high", "--no-wait"],
        ends: &[OLD, TOLD],
    },
    Asked {
        from: TOLD,
        words: &["config", "set", "probe", "tone=low", "--no-wait"],
        ends: &[OLD, TOLD],
    },
];

/// What brings the probe nearer to where a round begins.
pub fn step_of_probe(now: End, to: End) -> &'static [&'static str] {
    match (now, to) {
        (End::Gone, _) => &["--quiet", "install", "probe"],
        (End::Stopped, _) => &["--quiet", "start", "probe"],
        (NEW, _) => &["rollback", "probe", "--yes"],
        (TOLD, _) => &["config", "set", "probe", "tone=low"],
        (_, NEW) => &["update", NEXT, "--yes"],
        (_, TOLD) => &["config", "set", "probe", "tone=high"],
        (_, End::Stopped) => &["--quiet", "stop", "probe"],
        _ => &["--quiet", "uninstall", "probe"],
    }
}

/// An app of which nothing but its answer is looked at.
pub const UP: End = End::Runs("up");

/// What is pulled anew is cut as well: its images are removed before.
pub const OF_WEBSITE: &[Asked] = &[
    Asked { from: End::Gone, words: &["install", "website", "--no-wait"], ends: &[End::Gone, UP] },
    Asked { from: UP, words: &["uninstall", "website", "--no-wait"], ends: &[End::Gone, UP] },
];

/// What is asked of the stack.
pub const OF_BLOG: &[Asked] = &[
    Asked { from: End::Gone, words: &["install", "blog", "--no-wait"], ends: &[End::Gone, UP] },
    Asked { from: UP, words: &["uninstall", "blog", "--no-wait"], ends: &[End::Gone, UP] },
    Asked { from: UP, words: &["stop", "blog", "--no-wait"], ends: &[End::Stopped, UP] },
    Asked { from: End::Stopped, words: &["start", "blog", "--no-wait"], ends: &[End::Stopped, UP] },
    Asked { from: UP, words: &["restart", "blog", "--no-wait"], ends: &[UP] },
];

/// What brings it nearer to where a round begins.
pub fn step_of_website(now: End, _to: End) -> &'static [&'static str] {
    match now {
        End::Gone => &["--quiet", "install", "website"],
        End::Stopped => &["--quiet", "start", "website"],
        End::Runs(_) => &["--quiet", "uninstall", "website"],
    }
}

/// What brings it nearer to where a round begins.
pub fn step_of_blog(now: End, to: End) -> &'static [&'static str] {
    match (now, to) {
        (End::Gone, _) => &["--quiet", "install", "blog"],
        (End::Stopped, _) => &["--quiet", "start", "blog"],
        (_, End::Stopped) => &["--quiet", "stop", "blog"],
        _ => &["--quiet", "uninstall", "blog"],
    }
}

/// The probe's manifest with a setting, which reaches the app as the variable `TONE`.
pub fn with_a_setting(manifest: &str) -> String {
    let setting = "  config:\n    tone: { type: text, label: Tone, default: low, max_length: 20, targets: [{ env: TONE }] }\n";
    format!("{}\n{setting}", manifest.trim_end())
}

/// The probe's second version, made of the first one's manifest, and the time in which it must hold out.
///
/// # Errors
/// The manifest names no image.
pub fn next_version(manifest: &str, soak: &str) -> anyhow::Result<String> {
    let image = manifest.lines().find_map(|line| line.trim().strip_prefix("image: "));
    let image = image.context("no image in the manifest")?;
    let name = image.split('@').next().unwrap_or_default().trim_end_matches(":1.0.0");
    let next = manifest
        .replace("version: 1.0.0", "version: 2.0.0")
        .replace(image, &format!("{name}:2.0.0"));
    Ok(format!("{}\n  update: {{ soak: {soak} }}\n", next.trim_end()))
}

/// The shape in which the probe runs, by what its pages `/version` and `/env/TONE` say.
pub fn shape_of_probe(version: &str, tone: &str) -> Option<End> {
    match (version.trim(), tone.trim()) {
        ("1.0.0", "low") => Some(OLD),
        ("2.0.0", "low") => Some(NEW),
        ("1.0.0", "high") => Some(TOLD),
        _ => None,
    }
}

/// The state of an app that is not at work, out of the answer of `archy --json status`.
pub fn rests(app: &Value) -> Option<&str> {
    let operation = app.get("operation").or_else(|| app.pointer("/status/operation"));
    if operation.is_some_and(|view| !view.is_null() && view["error"].is_null()) {
        return None;
    }
    app.pointer("/status/state").or_else(|| app.get("state"))?.as_str()
}

/// A number that a variable of the environment holds.
#[expect(clippy::disallowed_methods, reason = "a test is its own edge")]
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The n-th number of a sequence that looks random (SplitMix64, Steele and others 2014).
pub const fn random(n: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Waits for a random part of the given time.
#[expect(
    clippy::disallowed_methods,
    reason = "the moment of the harm is a moment, not a condition"
)]
pub fn moment(round: u64, latest: Duration) {
    let most = u64::try_from(latest.as_millis()).unwrap_or(u64::MAX).max(1);
    std::thread::sleep(Duration::from_millis(random(round) % most));
}
