//! The daemon killed, and the node's power cut, at random moments of installs, updates, rollbacks, changes of a setting,
//! stops, starts, removals, adoptions and migrations: in the end the app is as before or as after, with its data, and
//! nothing is left that its state does not need.
//!
//! `ARCHY_LIVE_CUTS` says how many rounds (every third is a kill, the others are cuts), and `ARCHY_LIVE_SEED` where to
//! begin; a failure names the round to begin with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use archy_live::rounds::{self, Asked, End, OF_PROBE, OLD, moment, number, random};
use archy_live::{Stand, get, leftovers};
use serde_json::Value;
use xtask::sh::wait_until;

const ROUNDS: u64 = 6;
const BLOCKS: usize = 32;
/// An app that was being started may use up the deadline of one start.
const SETTLED: Duration = Duration::from_secs(240);
/// Longest time from the request to the harm: longer than most operations take.
const LATEST: Duration = Duration::from_millis(4500);
const APPS: &[&str] = &["probe", "notes"];
const DATA: &str = "var/lib/archipelago";

/// The container that somebody else made, adopted as it is.
const WATCHED: End = End::Runs("watched");
/// The same app in a container of Archipelago's own; the old one is kept aside.
const MIGRATED: End = End::Runs("migrated");

const OF_NOTES: &[Asked] = &[
    Asked { from: End::Gone, words: &["adopt", "notes", "--no-wait"], ends: &[End::Gone, WATCHED] },
    Asked {
        from: WATCHED,
        words: &["migrate", "notes", "--yes", "--no-wait"],
        ends: &[WATCHED, MIGRATED],
    },
    Asked {
        from: MIGRATED,
        words: &["migrate", "notes", "--rollback", "--yes", "--no-wait"],
        ends: &[WATCHED, MIGRATED],
    },
    Asked {
        from: WATCHED,
        words: &["uninstall", "notes", "--no-wait"],
        ends: &[WATCHED, End::Gone],
    },
];

fn step_of_notes(now: End, to: End) -> &'static [&'static str] {
    match (now, to) {
        (End::Gone, _) => &["adopt", "notes"],
        (End::Stopped, _) => &["--quiet", "start", "notes"],
        (MIGRATED, _) => &["migrate", "notes", "--rollback", "--yes"],
        (_, MIGRATED) => &["migrate", "notes", "--yes"],
        _ => &["uninstall", "notes"],
    }
}

const NOTES: &str = "app:
  id: notes
  name: Notes
  version: 1.0.0
  description: It was there before.
  container:
    image: IMAGE
    env: { GREETING: hello }
    secret_env: [{ key: PROBE_TOKEN, secret_file: notes-token }]
    generated_secrets: [{ name: notes-token, kind: hex32 }]
    ports: [{ host: 18101, container: 8080, auth: none, auth_rationale: A test. }]
    volumes: [{ type: bind, source: data, target: /data }]
    health: { type: http, port: 8080, path: /health, interval: 2s }
";

/// An app that is harmed, and what is known of it.
struct Subject {
    id: &'static str,
    port: u16,
    asked: &'static [Asked],
    step: fn(End, End) -> &'static [&'static str],
    blocks: BTreeMap<String, Vec<u8>>,
    /// The secret that it was given at first.
    token: String,
}

impl Subject {
    fn page(&self, stand: &Stand, path: &str) -> Option<String> {
        let answer = get(&stand.url(self.port, path)).ok()?;
        (answer.status == 200).then_some(answer.body)
    }

    /// How the app is found, once nothing is under way.
    fn found(&self, stand: &Stand) -> Option<End> {
        let list = stand.archy(&["--json", "list"]).ok().filter(xtask::sh::Output::ok)?;
        if !list.stdout.contains(&format!("\"{}\"", self.id)) {
            return Some(End::Gone);
        }
        let app: Value = stand.app(self.id).ok()??;
        match rounds::rests(&app)? {
            "stopped" => Some(End::Stopped),
            "running" if self.id == "probe" => {
                let (version, tone) =
                    (self.page(stand, "/version")?, self.page(stand, "/env/TONE")?);
                rounds::shape_of_probe(&version, &tone)
            }
            "running" => {
                self.page(stand, "/health")?;
                let stage = app.pointer("/adopted/stage")?.as_str()?;
                [WATCHED, MIGRATED].into_iter().find(|end| *end == End::Runs(stage_word(stage)))
            }
            _ => None,
        }
    }

    fn settle(&self, stand: &Stand) -> anyhow::Result<End> {
        let found = wait_until(SETTLED, || self.found(stand));
        found.with_context(|| format!("{} does not rest: {:#?}", self.id, stand.app(self.id)))
    }

    /// Brings the app to where the next request begins, one step after the other.
    fn prepare(&self, stand: &Stand, from: End) -> anyhow::Result<()> {
        for _ in 0..5 {
            let now = self.settle(stand)?;
            if self.id == "notes" && now == End::Gone {
                // its owner starts it again
                stand.user(&["podman", "start", "notes"])?;
                stand.until_answers(&stand.url(self.port, "/health"), 200)?;
            }
            if now == from {
                return Ok(());
            }
            stand.archy_ok((self.step)(now, from))?;
        }
        let found = self.settle(stand)?;
        ensure!(found == from, "{found:?} instead of {from:?}");
        Ok(())
    }

    /// Where its data is in a state.
    fn data(&self, stand: &Stand, end: End) -> PathBuf {
        let root = stand.node.root_path();
        match (self.id, end) {
            ("notes", MIGRATED) => root.join(DATA).join("notes/data"),
            ("notes", _) => root.join("home/archipelago/notes"),
            _ => root.join(DATA).join("probe/data"),
        }
    }

    /// What may be there in a state.
    fn needed(&self, end: End) -> &'static [&'static str] {
        match (self.id, end) {
            ("probe", end) => leftovers::needs_of_probe(end),
            (_, MIGRATED) => &[
                "container notes",
                "container notes-before-archipelago",
                "network notes",
                "secret notes-token",
                "file notes.container",
                "file notes.network",
                "unit notes.service",
                "unit notes-network.service",
            ],
            _ => &["container notes"],
        }
    }

    /// Its data is whole, its secret the one it had, and no port is held by what does not run.
    fn is_whole(&self, stand: &Stand, end: End) -> anyhow::Result<()> {
        leftovers::has_blocks(&self.data(stand, end), &self.blocks)?;
        leftovers::no_half_copies(&stand.node.root_path().join(DATA).join(self.id))?;
        if !matches!(end, End::Runs(_)) {
            // a container of somebody else's holds its port, adopted or not
            return if self.id == "probe" {
                leftovers::port_is_free(stand, self.port)
            } else {
                Ok(())
            };
        }
        let verdict = self.page(stand, "/data/verify").unwrap_or_default();
        ensure!(verdict.contains(&format!("good={BLOCKS} bad=0")), "damaged: {verdict}");
        let token = self.page(stand, "/env/PROBE_TOKEN");
        ensure!(token.as_ref() == Some(&self.token), "another secret: {token:?}");
        Ok(())
    }
}

fn stage_word(stage: &str) -> &'static str {
    match stage {
        "watched" => "watched",
        "migrated" => "migrated",
        _ => "?",
    }
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

/// Harms one app amid what it was asked for; the other one only looks on.
fn one_round(stand: &Stand, subjects: &[Subject], round: u64) -> anyhow::Result<()> {
    let all: Vec<(&Subject, &Asked)> =
        subjects.iter().flat_map(|one| one.asked.iter().map(move |asked| (one, asked))).collect();
    let (subject, asked) = all[usize::try_from(random(round ^ 0xABCD))? % all.len()];
    subject.prepare(stand, asked.from)?;
    let before: Vec<End> =
        subjects.iter().map(|one| one.settle(stand)).collect::<anyhow::Result<_>>()?;
    stand.archy_ok(asked.words)?;
    moment(round, LATEST);
    let what = harm(stand, round)?;
    let mut needed = BTreeSet::new();
    for (one, before) in subjects.iter().zip(before) {
        let found = one.settle(stand)?;
        let ends = if one.id == subject.id { asked.ends } else { &[before] };
        ensure!(ends.contains(&found), "{what} amid {:?}: {} is {found:?}", asked.words, one.id);
        one.is_whole(stand, found)
            .with_context(|| format!("{what} amid {:?}: {} is {found:?}", asked.words, one.id))?;
        needed.extend(one.needed(found).iter().map(|thing| (*thing).to_owned()));
    }
    xtask::sh::say(&format!("round {round}: {what} amid {:?}", asked.words));
    leftovers::only(&mut |argv| stand.user(argv), APPS, &needed)
        .with_context(|| format!("{what} amid {:?}", asked.words))?;
    if subject.id == "notes" && asked.from == End::Gone {
        // adopted or not, it runs as it did
        stand.until_answers(&stand.url(subject.port, "/health"), 200)?;
    }
    Ok(())
}

fn probe(stand: &Stand) -> anyhow::Result<Subject> {
    let path = stand.node.root_path().join("opt/archipelago/apps/probe/manifest.yml");
    let manifest = rounds::with_a_setting(&std::fs::read_to_string(&path)?);
    std::fs::write(&path, &manifest)?;
    let next = stand.node.root_path().join(rounds::NEXT.trim_start_matches('/'));
    std::fs::write(next, rounds::next_version(&manifest, "2s")?)?;
    stand.archy_ok(&["--quiet", "install", "probe"])?;
    known(stand, "probe", 18001, OF_PROBE, rounds::step_of_probe)
}

/// A container as somebody made it by hand: Podman starts it at boot, its data is in a directory of theirs.
fn notes(stand: &Stand) -> anyhow::Result<Subject> {
    let image = &stand.index.get("probe").context("no probe image")?.reference;
    let dir = stand.node.root_path().join("opt/archipelago/apps/notes");
    std::fs::create_dir_all(&dir)?;
    std::fs::write(dir.join("manifest.yml"), NOTES.replace("IMAGE", image))?;
    stand.user(&["mkdir", "-p", "/home/archipelago/notes"])?;
    stand.user(&["systemctl", "--user", "enable", "-q", "podman-restart.service"])?;
    let volume = "/home/archipelago/notes:/data";
    let run = ["podman", "run", "-d", "--name", "notes", "--restart", "always", "-p", "18100:8080"];
    let more = ["-v", volume, "-e", "PROBE_TOKEN=given-by-hand", image.as_str()];
    stand.user(&[&run[..], &more[..]].concat())?;
    known(stand, "notes", 18100, OF_NOTES, step_of_notes)
}

fn known(
    stand: &Stand,
    id: &'static str,
    port: u16,
    asked: &'static [Asked],
    step: fn(End, End) -> &'static [&'static str],
) -> anyhow::Result<Subject> {
    stand.until_answers(&stand.url(port, "/health"), 200)?;
    ensure!(get(&stand.url(port, &format!("/data/write?n={BLOCKS}")))?.status == 200);
    let mut subject =
        Subject { id, port, asked, step, blocks: BTreeMap::new(), token: String::new() };
    let first = if id == "probe" { OLD } else { End::Gone };
    subject.blocks = leftovers::blocks(&subject.data(stand, first))?;
    ensure!(subject.blocks.len() == BLOCKS, "only {} blocks", subject.blocks.len());
    subject.token = subject.page(stand, "/env/PROBE_TOKEN").context("no secret")?;
    Ok(subject)
}

#[test]
fn whatever_is_cut_ends_old_or_new() -> anyhow::Result<()> {
    let stand = Stand::new("cuts")?;
    let subjects = [probe(&stand)?, notes(&stand)?];
    let first = number("ARCHY_LIVE_SEED").unwrap_or(1);
    for round in first..first + number("ARCHY_LIVE_CUTS").unwrap_or(ROUNDS) {
        one_round(&stand, &subjects, round)
            .with_context(|| format!("round {round}\n{}", stand.log()))?;
    }
    for subject in &subjects {
        let end = if subject.id == "probe" { OLD } else { WATCHED };
        subject.prepare(&stand, end)?;
        subject.is_whole(&stand, end)?;
    }
    Ok(())
}
