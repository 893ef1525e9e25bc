//! Power cuts that lose what was not synced: a virtual machine whose emulator is killed amid installs, updates,
//! rollbacks, changes of a setting, stops, starts and removals, and booted again on the same disk.
//!
//! Minutes a round in software emulation: it runs only when `ARCHY_LIVE_VM_CUTS` says how many rounds.
//! `ARCHY_LIVE_SEED` says where to begin; a failure names the round.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use archy_live::rounds::{self, End, OF_PROBE, OLD, moment, number};
use archy_live::{deb, leftovers};
use serde_json::Value;
use xtask::cache::Cache;
use xtask::node::{Machine, Said, put};
use xtask::sh::{say, step, wait_until};
use xtask::{images, workspace};

/// Everything is some fifteen times slower than on a node.
const BOOT: Duration = Duration::from_secs(900);
const COMMAND: Duration = Duration::from_secs(600);
const SETTLED: Duration = Duration::from_secs(900);
/// The app's first health check alone may take many seconds.
const SOAK: &str = "60s";
/// Blocks that are written before each cut.
const BLOCKS: usize = 4;
const DATA: &str = "/var/lib/archipelago/probe/data";
const STORE: &str = "/var/lib/archipelago/state/state.db";
const CONTAINERFILE: &str = "FROM scratch\nARG VERSION\nCOPY probe /probe\n\
    ENV PROBE_VERSION=$VERSION PROBE_SICK=0\nEXPOSE 8080\nENTRYPOINT [\"/probe\"]\n";

/// The machine, and what is known of the data in it.
struct Stand {
    machine: Machine,
    /// Checksums of all blocks that the app said were on disk.
    sums: BTreeMap<String, String>,
    token: String,
    /// Longest time from a request to the cut: what an install took that nobody disturbed.
    latest: Duration,
}

fn quoted(argv: &[&str]) -> String {
    let words = argv.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''")));
    words.collect::<Vec<_>>().join(" ")
}

impl Stand {
    fn root(&mut self, command: &str) -> anyhow::Result<String> {
        let said = self.machine.exec(command, COMMAND)?;
        ensure!(said.ok(), "`{command}` ended with {}: {}", said.code, said.text);
        Ok(said.text)
    }

    fn user(&mut self, argv: &[&str]) -> anyhow::Result<String> {
        self.root(&format!("as {}", quoted(argv)))
    }

    fn archy(&mut self, argv: &[&str]) -> anyhow::Result<Said> {
        Ok(self.machine.exec(&format!("as archy {}", quoted(argv)), COMMAND)?)
    }

    fn archy_ok(&mut self, argv: &[&str]) -> anyhow::Result<String> {
        let said = self.archy(argv)?;
        ensure!(said.ok(), "archy {argv:?} ended with {}: {}", said.code, said.text);
        Ok(said.text)
    }

    fn page(&mut self, path: &str) -> Option<String> {
        let ask = format!("curl -sf -m 60 'http://127.0.0.1:18001{path}'");
        let said = self.machine.exec(&ask, COMMAND).ok()?;
        said.ok().then_some(said.text)
    }

    fn log(&mut self) -> String {
        let ask = "journalctl -u archipelago -n 60 --no-pager -o cat";
        self.machine.exec(ask, COMMAND).map(|said| said.text).unwrap_or_default()
    }

    /// How the app is found, once nothing is under way.
    fn found(&mut self) -> Option<End> {
        let list = self.archy(&["--json", "list"]).ok().filter(Said::ok)?;
        if !list.text.contains("\"probe\"") {
            return Some(End::Gone);
        }
        let said = self.archy(&["--json", "status", "probe"]).ok().filter(Said::ok)?;
        let app: Value = serde_json::from_str(&said.text).ok()?;
        match rounds::rests(&app)? {
            "stopped" => Some(End::Stopped),
            "running" => {
                let (version, tone) = (self.page("/version")?, self.page("/env/TONE")?);
                rounds::shape_of_probe(&version, &tone)
            }
            _ => None,
        }
    }

    fn settle(&mut self) -> anyhow::Result<End> {
        let found = wait_until(SETTLED, || self.found());
        found.with_context(|| {
            let shown = self.archy(&["--json", "status", "probe"]);
            format!("it does not rest: {shown:?}\n{}", self.log())
        })
    }

    fn prepare(&mut self, from: End) -> anyhow::Result<()> {
        for _ in 0..5 {
            let now = self.settle()?;
            if now == from {
                return Ok(());
            }
            self.archy_ok(rounds::step_of_probe(now, from))?;
        }
        let found = self.settle()?;
        ensure!(found == from, "{found:?} instead of {from:?}");
        Ok(())
    }

    fn until_the_api_answers(&mut self) -> anyhow::Result<()> {
        let answers = || self.archy(&["--json", "list"]).ok().filter(Said::ok);
        let answers = wait_until(BOOT, answers);
        answers.map(drop).with_context(|| format!("the daemon does not answer:\n{}", self.log()))
    }

    /// More blocks, which the app says are on disk.
    fn write(&mut self) -> anyhow::Result<()> {
        let written = self.page(&format!("/data/write?n={BLOCKS}"));
        written.context("the app did not write")?;
        self.sums = self.blocks()?;
        Ok(())
    }

    fn blocks(&mut self) -> anyhow::Result<BTreeMap<String, String>> {
        let listed = self.root(&format!("sha256sum {DATA}/block-????????"))?;
        let pairs = listed.lines().filter_map(|line| line.split_once("  "));
        Ok(pairs.map(|(sum, name)| (name.to_owned(), sum.to_owned())).collect())
    }

    /// The store is the one that was there, whole, without a recovery that somebody would have to know of.
    fn store_is_whole(&mut self) -> anyhow::Result<()> {
        let verdict = self.root(&format!("sqlite3 -readonly {STORE} 'pragma integrity_check'"))?;
        ensure!(verdict.trim() == "ok", "the store is damaged: {verdict}");
        let status = self.archy_ok(&["--json", "status"])?;
        for word in ["store-recovered", "store-rebuilt", "store-io", "store-read-only"] {
            ensure!(!status.contains(word), "{word}: {status}\n{}", self.log());
        }
        Ok(())
    }

    fn data_is_whole(&mut self, end: End) -> anyhow::Result<()> {
        let now = self.blocks()?;
        for (name, sum) in &self.sums {
            ensure!(now.get(name) == Some(sum), "{name} is lost or damaged: {now:#?}");
        }
        if matches!(end, End::Runs(_)) {
            let verdict = self.page("/data/verify").unwrap_or_default();
            ensure!(verdict.contains(" bad=0"), "damaged: {verdict}");
            let token = self.page("/env/PROBE_TOKEN").unwrap_or_default();
            ensure!(token == self.token, "another secret: {token:?}");
        } else {
            let holders = self.root("ss -Hltnp 'sport = :18001'")?;
            ensure!(holders.is_empty(), "its port is held: {holders}");
        }
        Ok(())
    }

    /// Cuts the power. What was written a moment ago and not synced must be lost, or this shows nothing.
    fn cut(&mut self, round: u64) -> anyhow::Result<()> {
        let mark = format!("/var/tmp/not-synced-{round}");
        self.root(&format!("echo {round} > {mark}"))?;
        self.machine.pull_the_plug();
        self.machine.boot(BOOT)?;
        let said = self.machine.exec(&format!("test -s {mark}"), COMMAND)?;
        ensure!(!said.ok(), "the cut lost nothing: {mark} was never synced and is there");
        self.until_the_api_answers()
    }

    fn one_round(&mut self, round: u64) -> anyhow::Result<()> {
        // one after the other: rounds are few, and each begins where the one before may have ended
        let at = usize::try_from(round.saturating_sub(1))? % OF_PROBE.len();
        let asked = OF_PROBE[at];
        self.prepare(asked.from)?;
        if matches!(asked.from, End::Runs(_)) {
            self.write()?;
        }
        self.archy_ok(asked.words)?;
        moment(round, self.latest);
        self.cut(round)?;
        self.store_is_whole()?;
        let found = self.settle()?;
        say(&format!("round {round}: cut amid {:?}: {found:?}", asked.words));
        ensure!(asked.ends.contains(&found), "cut amid {:?}: {found:?}", asked.words);
        let (apps, needed): (_, BTreeSet<String>) = (
            ["probe"],
            leftovers::needs_of_probe(found).iter().map(|thing| (*thing).to_owned()).collect(),
        );
        self.data_is_whole(found)
            .and_then(|()| leftovers::only(&mut |argv| self.user(argv), &apps, &needed))
            .with_context(|| format!("cut amid {:?}: {found:?}", asked.words))
    }
}

/// The machine with the platform, the probe's images and the app, synced.
fn stand() -> anyhow::Result<Stand> {
    let cache = Cache::locate()?;
    let (deb, probe) = (deb()?, images::probe(&cache)?);
    let files = cache.dir("vm")?.join(format!("vm-cuts-files-{}", std::process::id()));
    let apps = workspace::root().join("tests/apps");
    let manifest = std::fs::read_to_string(apps.join("probe/manifest.yml"))?;
    let manifest = rounds::with_a_setting(&manifest);
    for (name, text) in [
        ("Containerfile", CONTAINERFILE),
        ("manifest.yml", &manifest),
        ("next.yml", &rounds::next_version(&manifest, SOAK)?),
    ] {
        put(&files.join(name), text)?;
    }
    let at = |name: &str| files.join(name);
    let (build, old, next) = (at("Containerfile"), at("manifest.yml"), at("next.yml"));
    let all: [(&Path, &str); 5] = [
        (&deb, "archipelago.deb"),
        (&probe, "probe"),
        (&build, "Containerfile"),
        (&old, "manifest.yml"),
        (&next, "next.yml"),
    ];
    let machine = Machine::create(&cache, "vm-cuts", &all);
    std::fs::remove_dir_all(&files)?;
    let machine = machine?;
    let (sums, token, latest) = (BTreeMap::new(), String::new(), Duration::ZERO);
    let mut stand = Stand { machine, sums, token, latest };
    step("boot the machine", || stand.machine.boot(BOOT))?;
    step("install the platform and an app", || install(&mut stand))?;
    Ok(stand)
}

fn install(stand: &mut Stand) -> anyhow::Result<()> {
    for command in [
        "install -D -m 644 manifest.yml /opt/archipelago/apps/probe/manifest.yml",
        &format!("install -m 644 next.yml {}", rounds::NEXT),
        "dpkg -i archipelago.deb",
    ] {
        stand.root(command)?;
    }
    for version in ["1.0.0", "2.0.0"] {
        let tag = format!("{}/archy/probe:{version}", images::registry::ADDRESS);
        let arg = format!("--build-arg=VERSION={version}");
        // cached layers do not tell apart what was built with another argument
        let build = ["podman", "build", "-q", "--no-cache", &arg, "-t", &tag, "/opt/job"];
        stand.user(&build)?;
    }
    stand.until_the_api_answers()?;
    let began = Instant::now();
    stand.archy_ok(&["--quiet", "install", "probe"])?;
    stand.latest = began.elapsed();
    stand.prepare(OLD)?;
    stand.write()?;
    stand.token = stand.page("/env/PROBE_TOKEN").context("no secret")?;
    stand.root("sync").map(drop)
}

#[test]
fn whatever_was_not_synced_is_lost_and_nothing_else() -> anyhow::Result<()> {
    let Some(rounds) = number("ARCHY_LIVE_VM_CUTS").filter(|rounds| *rounds > 0) else {
        say("skipped: power cuts of a virtual machine run with ARCHY_LIVE_VM_CUTS=5 or more");
        return Ok(());
    };
    let mut stand = stand()?;
    let first = number("ARCHY_LIVE_SEED").unwrap_or(1);
    for round in first..first + rounds {
        stand.one_round(round).with_context(|| format!("round {round}\n{}", stand.log()))?;
    }
    stand.prepare(OLD)?;
    stand.data_is_whole(OLD)
}
