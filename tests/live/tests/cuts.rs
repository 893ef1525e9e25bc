//! The daemon killed, and the node's power cut, at random moments of installs, updates, rollbacks,
//! stops, starts and removals: in the end the app is as before or as after, with its data.
//!
//! `ARCHY_LIVE_CUTS` says how many rounds (every third is a kill, the others are cuts), and
//! `ARCHY_LIVE_SEED` where to begin; a failure names the round to begin with.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use archy_live::{Stand, get};
use serde_json::Value;
use xtask::sh::wait_until;

const ROUNDS: u64 = 6;
const PAGE: u16 = 18001;
const BLOCKS: usize = 32;
/// An app that was being started may use up the deadline of one start.
const SETTLED: Duration = Duration::from_secs(240);
/// A port is free again so soon.
const PORT_FREE: Duration = Duration::from_secs(20);
/// Longest time from the request to the harm, in milliseconds: longer than most operations take.
const LATEST: u64 = 3500;

/// What is asked for, and the states before and after it.
#[derive(Debug, Clone, Copy)]
struct Asked {
    words: &'static [&'static str],
    ends: &'static [End],
}

/// How an app may be found when everything rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Runs(&'static str),
    Stopped,
    Gone,
}

const OLD: End = End::Runs("1.0.0");
const NEW: End = End::Runs("2.0.0");
const NEXT: &str = "/var/tmp/probe-next.yml";

/// Each begins where the round before it may have ended; [`prepare`] sees to that.
const ASKED: &[(End, Asked)] = &[
    (OLD, Asked { words: &["update", NEXT, "--yes", "--no-wait"], ends: &[OLD, NEW] }),
    (NEW, Asked { words: &["rollback", "probe", "--yes", "--no-wait"], ends: &[OLD, NEW] }),
    (OLD, Asked { words: &["uninstall", "probe", "--no-wait"], ends: &[OLD, End::Gone] }),
    (End::Gone, Asked { words: &["install", "probe", "--no-wait"], ends: &[OLD, End::Gone] }),
    (OLD, Asked { words: &["stop", "probe", "--no-wait"], ends: &[OLD, End::Stopped] }),
    (End::Stopped, Asked { words: &["start", "probe", "--no-wait"], ends: &[OLD, End::Stopped] }),
    (OLD, Asked { words: &["restart", "probe", "--no-wait"], ends: &[OLD] }),
];

#[expect(clippy::disallowed_methods, reason = "a test is its own edge")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The n-th number of a sequence that looks random (SplitMix64, Steele and others 2014).
const fn random(n: u64) -> u64 {
    let mut z = n.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the moment of the harm is a moment, not a condition"
)]
fn moment(round: u64) {
    std::thread::sleep(Duration::from_millis(random(round) % LATEST));
}

/// How the app is found, once nothing is under way.
fn end(stand: &Stand) -> Option<End> {
    let list = stand.archy(&["--json", "list"]).ok().filter(|out| out.ok())?;
    if !list.stdout.contains("\"probe\"") {
        return Some(End::Gone);
    }
    let app: Value = stand.app("probe").ok()??;
    let operation = app.get("operation").or_else(|| app.pointer("/status/operation"));
    let open = operation.is_some_and(|view| !view.is_null() && view["error"].is_null());
    let state = app.pointer("/status/state").or_else(|| app.get("state"))?.as_str()?;
    match state {
        _ if open => None,
        "stopped" => Some(End::Stopped),
        "running" => {
            let page = get(&stand.url(PAGE, "/version")).ok().filter(|page| page.status == 200)?;
            [OLD, NEW].into_iter().find(|end| match end {
                End::Runs(version) => page.body.contains(version),
                _ => false,
            })
        }
        _ => None,
    }
}

fn settle(stand: &Stand) -> anyhow::Result<End> {
    let found = wait_until(SETTLED, || end(stand));
    found.with_context(|| format!("it does not rest: {:?}\n{}", stand.app("probe"), stand.log()))
}

/// All blocks that were written are there and whole.
fn data_is_whole(stand: &Stand) -> anyhow::Result<()> {
    let verdict = get(&stand.url(PAGE, "/data/verify"))?;
    let whole = verdict.body.contains(&format!("good={BLOCKS} bad=0"));
    ensure!(verdict.status == 200 && whole, "damaged: {}", verdict.body);
    Ok(())
}

/// Nothing of an app that is not there runs, listens or waits.
fn nothing_is_left(stand: &Stand) -> anyhow::Result<()> {
    for words in [
        &["podman", "ps", "-aq", "--filter", "label=io.archipelago.app=probe"][..],
        &["podman", "network", "ls", "-q", "--filter", "label=io.archipelago.app=probe"],
        &["podman", "secret", "ls", "-q", "--filter", "name=probe-"],
        &["sh", "-c", "ls ~/.config/containers/systemd | grep ^probe || true"],
    ] {
        let left = stand.user(words)?;
        ensure!(left.trim().is_empty(), "{words:?}: {left}");
    }
    // the port's helper ends a moment after its container
    let answer = || get(&stand.url(PAGE, "/health"));
    let free = || answer().is_ok_and(|answer| answer.status == 0).then_some(());
    wait_until(PORT_FREE, free).with_context(|| {
        let holders = stand.node.exec_root(["ss", "-ltnp"]).map(|out| out.stdout);
        format!("its port is held: {:?}\n{holders:?}", answer())
    })
}

/// Brings the app to where the next request begins, one step after the other.
fn prepare(stand: &Stand, from: End) -> anyhow::Result<()> {
    for _ in 0..4 {
        let words: &[&str] = match (settle(stand)?, from) {
            (now, from) if now == from => return Ok(()),
            (End::Gone, _) => &["--quiet", "install", "probe"],
            (End::Stopped, _) => &["--quiet", "start", "probe"],
            (NEW, _) => &["rollback", "probe", "--yes"],
            (_, NEW) => &["update", NEXT, "--yes"],
            (_, End::Stopped) => &["--quiet", "stop", "probe"],
            _ => &["--quiet", "uninstall", "probe"],
        };
        stand.archy_ok(words)?;
    }
    let found = settle(stand)?;
    ensure!(found == from, "{found:?} instead of {from:?}");
    Ok(())
}

fn harm(stand: &Stand, round: u64) -> anyhow::Result<&'static str> {
    if round.is_multiple_of(3) {
        let kill = ["systemctl", "kill", "-s", "KILL", "archipelago.service"];
        stand.node.exec_root(kill)?;
        xtask::platform::wait_for_api(&stand.node)?;
        return Ok("kill");
    }
    stand.node.power_cut()?;
    stand.node.boot()?;
    xtask::platform::wait_for_api(&stand.node)?;
    Ok("power cut")
}

fn one_round(stand: &Stand, round: u64) -> anyhow::Result<()> {
    let at = usize::try_from(random(round ^ 0xABCD))? % ASKED.len();
    let (from, asked) = ASKED[at];
    prepare(stand, from)?;
    stand.archy_ok(asked.words)?;
    moment(round);
    let what = harm(stand, round)?;
    let found = settle(stand)?;
    ensure!(asked.ends.contains(&found), "{what} amid {:?}: {found:?}", asked.words);
    match found {
        End::Runs(_) => data_is_whole(stand)?,
        End::Gone => nothing_is_left(stand)?,
        End::Stopped => {}
    }
    Ok(())
}

#[test]
fn whatever_is_cut_ends_old_or_new() -> anyhow::Result<()> {
    let stand = Stand::new("cuts")?;
    stand.archy_ok(&["--quiet", "install", "probe"])?;
    let manifest = stand.user(&["cat", "/opt/archipelago/apps/probe/manifest.yml"])?;
    let image = manifest.lines().find_map(|line| line.trim().strip_prefix("image: "));
    let image = image.context("no image in the manifest")?;
    let name = image.split('@').next().unwrap_or_default().trim_end_matches(":1.0.0");
    let next = manifest
        .replace("version: 1.0.0", "version: 2.0.0")
        .replace(image, &format!("{name}:2.0.0"));
    let next = format!("{}\n  update: {{ soak: 2s }}\n", next.trim_end());
    std::fs::write(stand.node.root_path().join(NEXT.trim_start_matches('/')), next)?;
    stand.until_answers(&stand.url(PAGE, "/health"), 200)?;
    ensure!(get(&stand.url(PAGE, &format!("/data/write?n={BLOCKS}")))?.status == 200);

    let first = number("ARCHY_LIVE_SEED").unwrap_or(1);
    for round in first..first + number("ARCHY_LIVE_CUTS").unwrap_or(ROUNDS) {
        one_round(&stand, round).with_context(|| format!("round {round}\n{}", stand.log()))?;
    }
    prepare(&stand, OLD)?;
    data_is_whole(&stand)
}
