//! Power cuts that lose what was not synced: a virtual machine whose emulator is killed amid installs, updates,
//! rollbacks, changes of a setting, stops, starts and removals, and booted again on the same disk.
//!
//! Minutes a round in software emulation: it runs only when `ARCHY_LIVE_VM_CUTS` says how many rounds.
//! `ARCHY_LIVE_SEED` says where to begin; a failure names the round.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use archy_live::leftovers;
use archy_live::rounds::{self, End, OF_PROBE, OLD, moment, number};
use archy_live::vm::{BOOT, COMMAND, Vm, manifest_of_probe};
use xtask::node::Said;
use xtask::sh::{say, step, wait_until};

const SETTLED: Duration = Duration::from_secs(900);
/// The app's first health check alone may take many seconds.
const SOAK: &str = "60s";
/// Blocks that are written before each cut.
const BLOCKS: usize = 4;
const DATA: &str = "/var/lib/archipelago/probe/data";
const STORE: &str = "/var/lib/archipelago/state/state.db";

/// The machine, and what is known of the data in it.
struct Stand {
    vm: Vm,
    /// Checksums of all blocks that the app said were on disk.
    sums: BTreeMap<String, String>,
    token: String,
    /// Longest time from a request to the cut: what an install took that nobody disturbed.
    latest: Duration,
}

impl Stand {
    /// How the app is found, once nothing is under way.
    fn found(&mut self) -> Option<End> {
        let list = self.vm.archy(&["--json", "list"]).ok().filter(Said::ok)?;
        if !list.text.contains("\"probe\"") {
            return Some(End::Gone);
        }
        let app = self.vm.app("probe")?;
        match rounds::rests(&app)? {
            "stopped" => Some(End::Stopped),
            "running" => {
                let (version, tone) = (self.vm.page("/version")?, self.vm.page("/env/TONE")?);
                rounds::shape_of_probe(&version, &tone)
            }
            _ => None,
        }
    }

    fn settle(&mut self) -> anyhow::Result<End> {
        let found = wait_until(SETTLED, || self.found());
        found.with_context(|| {
            let shown = self.vm.archy(&["--json", "status", "probe"]);
            format!("it does not rest: {shown:?}\n{}", self.vm.log())
        })
    }

    fn prepare(&mut self, from: End) -> anyhow::Result<()> {
        for _ in 0..5 {
            let now = self.settle()?;
            if now == from {
                return Ok(());
            }
            self.vm.archy_ok(rounds::step_of_probe(now, from))?;
        }
        let found = self.settle()?;
        ensure!(found == from, "{found:?} instead of {from:?}");
        Ok(())
    }

    /// More blocks, which the app says are on disk.
    fn write(&mut self) -> anyhow::Result<()> {
        let written = self.vm.page(&format!("/data/write?n={BLOCKS}"));
        written.context("the app did not write")?;
        self.sums = self.blocks()?;
        Ok(())
    }

    fn blocks(&mut self) -> anyhow::Result<BTreeMap<String, String>> {
        let listed = self.vm.root(&format!("sha256sum {DATA}/block-????????"))?;
        let pairs = listed.lines().filter_map(|line| line.split_once("  "));
        Ok(pairs.map(|(sum, name)| (name.to_owned(), sum.to_owned())).collect())
    }

    /// The store is the one that was there, whole, without a recovery that somebody would have to know of.
    fn store_is_whole(&mut self) -> anyhow::Result<()> {
        let verdict =
            self.vm.root(&format!("sqlite3 -readonly {STORE} 'pragma integrity_check'"))?;
        ensure!(verdict.trim() == "ok", "the store is damaged: {verdict}");
        let status = self.vm.archy_ok(&["--json", "status"])?;
        for word in ["store-recovered", "store-rebuilt", "store-io", "store-read-only"] {
            ensure!(!status.contains(word), "{word}: {status}\n{}", self.vm.log());
        }
        Ok(())
    }

    fn data_is_whole(&mut self, end: End) -> anyhow::Result<()> {
        let now = self.blocks()?;
        for (name, sum) in &self.sums {
            ensure!(now.get(name) == Some(sum), "{name} is lost or damaged: {now:#?}");
        }
        if matches!(end, End::Runs(_)) {
            let verdict = self.vm.page("/data/verify").unwrap_or_default();
            ensure!(verdict.contains(" bad=0"), "damaged: {verdict}");
            let token = self.vm.page("/env/PROBE_TOKEN").unwrap_or_default();
            ensure!(token == self.token, "another secret: {token:?}");
        } else {
            let holders = self.vm.root("ss -Hltnp 'sport = :18001'")?;
            ensure!(holders.is_empty(), "its port is held: {holders}");
        }
        Ok(())
    }

    /// Cuts the power. What was written a moment ago and not synced must be lost, or this shows nothing.
    fn cut(&mut self, round: u64) -> anyhow::Result<()> {
        let mark = format!("/var/tmp/not-synced-{round}");
        self.vm.root(&format!("echo {round} > {mark}"))?;
        self.vm.machine.pull_the_plug();
        self.vm.machine.boot(BOOT)?;
        let said = self.vm.machine.exec(&format!("test -s {mark}"), COMMAND)?;
        ensure!(!said.ok(), "the cut lost nothing: {mark} was never synced and is there");
        self.vm.until_the_api_answers()
    }

    fn one_round(&mut self, round: u64) -> anyhow::Result<()> {
        // one after the other: rounds are few, and each begins where the one before may have ended
        let at = usize::try_from(round.saturating_sub(1))? % OF_PROBE.len();
        let asked = OF_PROBE[at];
        self.prepare(asked.from)?;
        if matches!(asked.from, End::Runs(_)) {
            self.write()?;
        }
        self.vm.archy_ok(asked.words)?;
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
            .and_then(|()| leftovers::only(&mut |argv| self.vm.user(argv), &apps, &needed))
            .with_context(|| format!("cut amid {:?}: {found:?}", asked.words))
    }
}

/// The machine with the platform, the probe's images and the app, synced.
fn stand() -> anyhow::Result<Stand> {
    let manifest = rounds::with_a_setting(&manifest_of_probe()?);
    let next = rounds::next_version(&manifest, SOAK)?;
    let vm = Vm::new("vm-cuts", &manifest, &[("next.yml", &next)])?;
    let (sums, token, latest) = (BTreeMap::new(), String::new(), Duration::ZERO);
    let mut stand = Stand { vm, sums, token, latest };
    step("install an app", || install(&mut stand))?;
    Ok(stand)
}

fn install(stand: &mut Stand) -> anyhow::Result<()> {
    stand.vm.root(&format!("install -m 644 next.yml {}", rounds::NEXT))?;
    for version in ["1.0.0", "2.0.0"] {
        stand.vm.build(version)?;
    }
    let began = Instant::now();
    stand.vm.archy_ok(&["--quiet", "install", "probe"])?;
    stand.latest = began.elapsed();
    stand.prepare(OLD)?;
    stand.write()?;
    stand.token = stand.vm.page("/env/PROBE_TOKEN").context("no secret")?;
    stand.vm.root("sync").map(drop)
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
        stand.one_round(round).with_context(|| format!("round {round}\n{}", stand.vm.log()))?;
    }
    stand.prepare(OLD)?;
    stand.data_is_whole(OLD)
}
