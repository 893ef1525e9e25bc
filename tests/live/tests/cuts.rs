//! The daemon killed, and the node's power cut, at random moments of installs, updates, rollbacks, changes of a setting,
//! stops, starts, removals, purges, adoptions and migrations, while the app is at work: in the end it is as before or as
//! after, with its data, and nothing is left that its state does not need.
//!
//! `ARCHY_LIVE_CUTS` says how many rounds (every third is a kill, the others are cuts), and `ARCHY_LIVE_SEED` where to
//! begin; a failure names the round to begin with. With more rounds than by default a stack of three is harmed as well.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use archy_live::rounds::{self, Asked, End, OF_PROBE, OLD, UP, moment, number, random};
use archy_live::{Stand, get, leftovers};
use serde_json::Value;
use xtask::sh::wait_until;

const ROUNDS: u64 = 6;
/// The first ones harm a migration, a purge, an update, a removal, a pull and a change of a setting.
const FIRST: u64 = 508;
const BLOCKS: usize = 32;
/// An app that was being started may use up the deadline of one start.
const SETTLED: Duration = Duration::from_secs(240);
/// Longest time from the request to the harm: longer than most operations take.
const LATEST: Duration = Duration::from_millis(4500);
const APPS: &[&str] = &["probe", "notes", "website", "blog"];
/// Blocks that the app writes at most between the request and the harm.
const WRITES: usize = 40;
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

const PURGE: Asked = Asked {
    from: OLD,
    words: &["uninstall", "probe", "--purge", "--yes", "--no-wait"],
    ends: &[OLD, End::Gone],
};

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
    /// A page that says that it works.
    health: &'static str,
    asked: Vec<Asked>,
    step: fn(End, End) -> &'static [&'static str],
    /// The images that it pulls.
    images: &'static [&'static str],
    /// Blocks that it has written; none of an app that does not write, or whose data was purged.
    blocks: BTreeMap<String, Vec<u8>>,
    /// The secret that it was given at first.
    token: Option<String>,
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
            "running" if self.id != "notes" => self.page(stand, self.health).map(|_| UP),
            "running" => {
                self.page(stand, self.health)?;
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
    fn prepare(&mut self, stand: &Stand, from: End) -> anyhow::Result<()> {
        for _ in 0..5 {
            let now = self.settle(stand)?;
            if matches!(now, End::Runs(_)) && self.writes() && self.blocks.is_empty() {
                self.fill(stand, now)?;
            }
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

    fn writes(&self) -> bool {
        matches!(self.id, "probe" | "notes")
    }

    /// Its first data.
    fn fill(&mut self, stand: &Stand, end: End) -> anyhow::Result<()> {
        ensure!(get(&stand.url(self.port, &format!("/data/write?n={BLOCKS}")))?.status == 200);
        self.blocks = leftovers::blocks(&self.data(stand, end))?;
        ensure!(self.blocks.len() == BLOCKS, "only {} blocks", self.blocks.len());
        self.token = Some(self.page(stand, "/env/PROBE_TOKEN").context("no secret")?);
        Ok(())
    }

    /// All blocks that it has, which must be whole.
    fn count(&self, stand: &Stand) -> anyhow::Result<usize> {
        let verdict = self.page(stand, "/data/verify").unwrap_or_default();
        let good = verdict.split(' ').next().and_then(|word| word.strip_prefix("good="));
        ensure!(verdict.contains(" bad=0"), "damaged: {verdict}");
        good.and_then(|good| good.parse().ok()).with_context(|| format!("no count: {verdict}"))
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
            ("website", End::Gone) => &[],
            ("website", _) => {
                &["container website", "file website.container", "unit website.service"]
            }
            ("blog", end) => leftovers::needs_of_blog(end),
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

    /// Its data is whole, its secret the one it had, and no port is held by what does not run. Of its blocks at least
    /// so many are there.
    fn is_whole(&self, stand: &Stand, end: End, least: usize) -> anyhow::Result<()> {
        leftovers::no_half_copies(&stand.node.root_path().join(DATA).join(self.id))?;
        if !self.blocks.is_empty() {
            leftovers::has_blocks(&self.data(stand, end), &self.blocks)?;
        }
        if !matches!(end, End::Runs(_)) {
            // a container of somebody else's holds its port, adopted or not
            return match self.id {
                "notes" => Ok(()),
                _ => leftovers::port_is_free(stand, self.port),
            };
        }
        if self.id == "blog" {
            ensure!(rows_of_blog(stand)? == "kept", "the database lost its row");
        }
        if self.blocks.is_empty() {
            return Ok(());
        }
        let count = self.count(stand)?;
        ensure!(count >= least, "{least} blocks were written, {count} are there");
        let token = self.page(stand, "/env/PROBE_TOKEN");
        ensure!(token == self.token, "another secret: {token:?}");
        Ok(())
    }

    /// Nothing of its data is left, which was purged.
    fn is_purged(&mut self, stand: &Stand) -> anyhow::Result<()> {
        let root = stand.node.root_path().join(DATA);
        for place in [root.join(self.id), root.join(format!("secrets/{}-token", self.id))] {
            ensure!(!place.exists(), "{} is left", place.display());
        }
        self.blocks.clear();
        self.token = None;
        Ok(())
    }

    /// Asks for something while the app is at work, waits for a random moment and does the harm. Gives how many
    /// blocks the app has said to have written by then.
    fn under_load(
        &self,
        stand: &Stand,
        work: impl FnOnce() -> anyhow::Result<&'static str>,
    ) -> anyhow::Result<(&'static str, usize)> {
        let over = AtomicBool::new(false);
        let write = || {
            let mut most = 0;
            for _ in 0..WRITES {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                let page = if self.writes() { "/data/write?n=1" } else { self.health };
                let said = self.page(stand, page).unwrap_or_default();
                let total = said.trim().strip_prefix("blocks=").and_then(|n| n.parse().ok());
                most = total.unwrap_or(0).max(most);
            }
            most
        };
        thread::scope(|scope| {
            let writer = scope.spawn(write);
            let what = work();
            over.store(true, Ordering::SeqCst);
            let most = writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))?;
            Ok((what?, most))
        })
    }
}

/// Runs a statement in the stack's database.
fn sql(stand: &Stand, statement: &str) -> anyhow::Result<String> {
    let client = format!(
        "exec mariadb -h 127.0.0.1 -u blog -p\"$MARIADB_PASSWORD\" blog -Ne \"{statement}\""
    );
    let exec = ["exec", "blog", "--service", "database", "--", "sh", "-c", &client];
    Ok(stand.archy_ok(&exec)?.trim().to_owned())
}

fn rows_of_blog(stand: &Stand) -> anyhow::Result<String> {
    sql(stand, "select word from kept")
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

/// Harms one app amid what it was asked for; the others only look on.
fn one_round(stand: &Stand, subjects: &mut [Subject], round: u64) -> anyhow::Result<()> {
    let all: Vec<(usize, Asked)> = subjects
        .iter()
        .enumerate()
        .flat_map(|(at, one)| one.asked.iter().map(move |asked| (at, *asked)))
        .collect();
    let (at, asked) = all[usize::try_from(random(round ^ 0xABCD))? % all.len()];
    subjects[at].prepare(stand, asked.from)?;
    let before: Vec<End> =
        subjects.iter().map(|one| one.settle(stand)).collect::<anyhow::Result<_>>()?;
    let subject = &subjects[at];
    if asked.words.starts_with(&["install"]) {
        for image in subject.images {
            let image = &stand.index.get(*image).context("no such image")?.reference;
            stand.node.exec_user(["podman", "rmi", "-f", image])?;
        }
    }
    let had = match (subject.writes(), asked.from) {
        (true, End::Runs(_)) => subject.count(stand)?,
        _ => 0,
    };
    let (what, written) = subject.under_load(stand, || {
        stand.archy_ok(asked.words)?;
        moment(round, LATEST);
        harm(stand, round)
    })?;
    let story = format!("{what} amid {:?}", asked.words);
    let mut needed = BTreeSet::new();
    for (index, before) in before.into_iter().enumerate() {
        let found = subjects[index].settle(stand)?;
        let own = index == at;
        let ends = if own { asked.ends } else { &[before] };
        let one = &mut subjects[index];
        ensure!(ends.contains(&found), "{story}: {} is {found:?}", one.id);
        if own && found == End::Gone && asked.words.contains(&"--purge") {
            one.is_purged(stand).with_context(|| story.clone())?;
        }
        let least = if own { least(&asked, had, written) } else { 0 };
        one.is_whole(stand, found, least)
            .with_context(|| format!("{story}: {} is {found:?}", one.id))?;
        needed.extend(one.needed(found).iter().map(|thing| (*thing).to_owned()));
    }
    xtask::sh::say(&format!("round {round}: {story}; {written} blocks were written by then"));
    leftovers::only(&mut |argv| stand.user(argv), APPS, &needed).with_context(|| story)?;
    if subjects[at].id == "notes" && asked.from == End::Gone {
        // adopted or not, it runs as it did
        stand.until_answers(&stand.url(subjects[at].port, "/health"), 200)?;
    }
    Ok(())
}

/// Blocks that must be there: what is taken back goes with the data of meanwhile, and only that.
fn least(asked: &Asked, had: usize, written: usize) -> usize {
    if asked.words.iter().any(|word| word.contains("rollback")) {
        return BLOCKS;
    }
    match asked.words.first() {
        Some(&"update" | &"migrate") => had,
        _ => had.max(written),
    }
}

fn probe(stand: &Stand) -> anyhow::Result<Subject> {
    let path = stand.node.root_path().join("opt/archipelago/apps/probe/manifest.yml");
    let manifest = rounds::with_a_setting(&std::fs::read_to_string(&path)?);
    std::fs::write(&path, &manifest)?;
    let next = stand.node.root_path().join(rounds::NEXT.trim_start_matches('/'));
    std::fs::write(next, rounds::next_version(&manifest, "2s")?)?;
    stand.archy_ok(&["--quiet", "install", "probe"])?;
    let asked = [OF_PROBE, &[PURGE]].concat();
    known(stand, subject("probe", 18001, asked, rounds::step_of_probe), OLD)
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
    known(stand, subject("notes", 18100, OF_NOTES.to_vec(), step_of_notes), End::Gone)
}

fn subject(
    id: &'static str,
    port: u16,
    asked: Vec<Asked>,
    step: fn(End, End) -> &'static [&'static str],
) -> Subject {
    let (blocks, token) = (BTreeMap::new(), None);
    Subject { id, port, health: "/health", asked, step, images: &[], blocks, token }
}

fn known(stand: &Stand, mut subject: Subject, first: End) -> anyhow::Result<Subject> {
    stand.until_answers(&stand.url(subject.port, "/health"), 200)?;
    subject.fill(stand, first)?;
    Ok(subject)
}

fn website() -> Subject {
    let website = subject("website", 18002, rounds::OF_WEBSITE.to_vec(), rounds::step_of_website);
    Subject { images: &["nginx"], ..website }
}

/// A stack, with a row in its database.
fn blog(stand: &Stand) -> anyhow::Result<Subject> {
    let blog = subject("blog", 18007, rounds::OF_BLOG.to_vec(), rounds::step_of_blog);
    let images = &["wordpress", "mariadb", "valkey"];
    let blog = Subject { health: "/wp-admin/install.php", images, ..blog };
    stand.archy_ok(&["--quiet", "install", "blog"])?;
    stand.until_answers(&stand.url(blog.port, blog.health), 200)?;
    sql(stand, "create table kept as select 'kept' as word")?;
    Ok(blog)
}

#[test]
fn whatever_is_cut_ends_old_or_new() -> anyhow::Result<()> {
    let stand = Stand::new("cuts")?;
    let rounds = number("ARCHY_LIVE_CUTS").unwrap_or(ROUNDS);
    let mut subjects = vec![probe(&stand)?, notes(&stand)?, website()];
    if rounds > ROUNDS {
        subjects.push(blog(&stand)?);
    }
    let first = number("ARCHY_LIVE_SEED").unwrap_or(FIRST);
    for round in first..first + rounds {
        one_round(&stand, &mut subjects, round)
            .with_context(|| format!("round {round}\n{}", stand.log()))?;
    }
    for subject in &mut subjects {
        let end = match subject.id {
            "probe" => OLD,
            "notes" => WATCHED,
            _ => UP,
        };
        subject.prepare(&stand, end)?;
        subject.is_whole(&stand, end, 0)?;
    }
    Ok(())
}
