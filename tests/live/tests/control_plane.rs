//! Podman lies, fails, or has much to tell: what is shown is the last that was known, with its age, and nothing is
//! made anew on missing knowledge.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use archy_client::{Client, StateUpdate};
use archy_live::{Stand, get, leftovers};
use serde_json::Value;
use xtask::node::Who;
use xtask::sh::wait_until;

/// Longest time that the API may take, the command line with it.
const USUAL: Duration = Duration::from_secs(3);
/// Two level passes, which come every 30 s.
const PASSES: Duration = Duration::from_secs(75);
const FOREIGN: usize = 200;
const COUNT: &str = "podman ps -q --filter name=stranger- --filter status=running | wc -l";
const PORT: u16 = 18001;
/// How long it takes until a change of Podman's temper is seen, or what was asked for is done.
const NOTICED: Duration = Duration::from_secs(180);

fn with_app(name: &str) -> anyhow::Result<(Stand, String)> {
    let stand = Stand::new(name)?;
    stand.archy_ok(&["--quiet", "install", "probe"])?;
    stand.until_state("probe", "running")?;
    let before = container(&stand)?;
    Ok((stand, before))
}

/// Container and the moment at which it began.
fn container(stand: &Stand) -> anyhow::Result<String> {
    stand.user(&["podman", "inspect", "-f", "{{.Id}} {{.State.StartedAt}}", "probe"])
}

/// The dashboard's page and the first state of a subscription, in their usual time. Gives that state.
fn shown(stand: &Stand) -> anyhow::Result<StateUpdate> {
    let asked = Instant::now();
    let page = get(&format!("https://{}/", stand.ip()))?;
    ensure!(page.status == 200 && page.body.contains("<html"), "no dashboard: {page:?}");
    ensure!(asked.elapsed() < USUAL, "the dashboard took {:?}", asked.elapsed());
    let init = stand.node.init_pid().context("the node is off")?;
    let client = Client::unix(format!("/proc/{init}/root/run/archipelago/archipelago.sock"));
    let asked = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let update = runtime.block_on(async { client.watch().await?.next().await })?;
    ensure!(asked.elapsed() < USUAL, "the subscription took {:?}", asked.elapsed());
    Ok(update)
}

/// The whole state, in its usual time, with the app running and answering.
fn usual(stand: &Stand) -> anyhow::Result<Value> {
    let subscribed = shown(stand)?;
    ensure!(subscribed.data.package_data.contains_key("probe"), "{subscribed:?}");
    let asked = Instant::now();
    let out = stand.archy(&["--json", "status"])?;
    ensure!(out.ok() && asked.elapsed() < USUAL, "after {:?}: {}", asked.elapsed(), out.stderr);
    let asked = Instant::now();
    let app = stand.app("probe")?.context("it is not shown")?;
    ensure!(asked.elapsed() < USUAL, "the API took {:?}", asked.elapsed());
    let state = app.pointer("/status/state").or_else(|| app.get("state"));
    ensure!(state.is_some_and(|state| state == "running"), "{app:#}\n{}", stand.log());
    ensure!(get(&stand.url(PORT, "/health"))?.status == 200, "the app does not answer");
    Ok(serde_json::from_str(&out.stdout)?)
}

#[test]
fn control_plane_two_hundred_foreign_containers_slow_nothing_down() -> anyhow::Result<()> {
    let (stand, before) = with_app("crowd")?;
    let image = &stand.index.get("probe").context("no probe image")?.reference;
    let script = format!(
        "for i in $(seq {FOREIGN}); do podman run -dq --network none --name stranger-$i {image} >/dev/null; done; {COUNT}"
    );
    let limit = Duration::from_secs(600);
    let made = stand.node.command(Who::User, ["sh", "-euc", &script], limit)?.run()?;
    ensure!(made.text() == FOREIGN.to_string(), "{} were made", made.text());

    let began = Instant::now();
    while began.elapsed() < PASSES {
        let state = usual(&stand)?;
        ensure!(
            state["stale_because"].is_null(),
            "a look takes too long: {}",
            state["stale_because"]
        );
    }
    // and what the owner asks for is done
    stand.archy_ok(&["--quiet", "install", "website"])?;
    stand.until_answers(&stand.url(18002, "/health"), 200)?;
    stand.archy_ok(&["--quiet", "uninstall", "website"])?;
    usual(&stand)?;
    ensure!(container(&stand)? == before, "it was made anew");
    let there = stand.user(&["sh", "-c", COUNT])?;
    ensure!(there.trim() == FOREIGN.to_string(), "of the foreign ones {} are left", there.trim());
    Ok(())
}

/// Something that keeps Podman from answering, and what ends it.
const TEMPERS: [(&str, &[&str], &[&str]); 2] = [
    (
        "frozen",
        &["kill", "-s", "STOP", "podman.service"],
        &["kill", "-s", "CONT", "podman.service"],
    ),
    ("gone", &["stop", "podman.socket", "podman.service"], &["start", "podman.socket"]),
];
const UNITS: &str = "/home/archipelago/.config/containers/systemd";

#[test]
fn control_plane_what_podman_does_not_say_changes_nothing_and_holds_no_removal()
-> anyhow::Result<()> {
    let (stand, before) = with_app("frozen")?;
    let podman = |verb: &[&str]| stand.user(&[&["systemctl", "--user"], verb].concat());
    for (temper, begin, end) in TEMPERS {
        stand.archy_ok(&["--quiet", "install", "website"])?;
        stand.until_answers(&stand.url(18002, "/health"), 200)?;
        podman(begin)?;
        let began = Instant::now();
        let mut old = Value::Null;
        // frozen as long as it was promised, gone until it is told
        while began.elapsed() < PASSES && (old.is_null() || temper == "frozen") {
            let state = usual(&stand)?;
            if !state["stale_because"].is_null() {
                old = state;
            }
        }
        ensure!(old["stale_because"]["text"].is_string(), "{temper}: that it is old is not told");
        ensure!(old["node"]["observed_at"].as_i64().is_some_and(|at| at > 0), "no age: {old:#}");
        ensure!(shown(&stand)?.data.stale_because.is_some(), "{temper}: the dashboard is not told");
        removed(&stand).with_context(|| format!("{temper}\n{}", stand.log()))?;
        podman(end)?;
        let gone = || stand.app("website").ok()?.is_none().then_some(());
        wait_until(NOTICED, gone)
            .with_context(|| format!("{temper}: it is never gone\n{}", stand.log()))?;
        let needed: BTreeSet<String> = leftovers::needs_of_probe(archy_live::rounds::OLD)
            .iter()
            .map(|thing| (*thing).to_owned())
            .collect();
        leftovers::only(&mut |argv| stand.user(argv), &["website", "probe"], &needed)?;
        stand.until_state("probe", "running")?;
        ensure!(container(&stand)? == before, "{temper}: it was made anew");
    }
    Ok(())
}

/// An app is uninstalled as far as it can be without Podman: nothing of it runs, and it says what is still to do.
fn removed(stand: &Stand) -> anyhow::Result<()> {
    let asked = Instant::now();
    stand.archy_ok(&["uninstall", "website", "--no-wait"])?;
    ensure!(asked.elapsed() < USUAL, "the request took {:?}", asked.elapsed());
    let away = || {
        let files = stand.user(&["ls", UNITS]).ok()?;
        let answers = get(&stand.url(18002, "/health")).ok()?.status != 0;
        (!files.contains("website") && !answers).then_some(())
    };
    wait_until(Duration::from_secs(60), away).context("its units or its port are still there")?;
    leftovers::port_is_free(stand, 18002)?;
    let told = || {
        let app = stand.app("website").ok()??;
        let text = app.to_string();
        (text.contains("Podman") || text.contains("podman")).then_some(())
    };
    wait_until(NOTICED, told)
        .with_context(|| format!("why it is not gone is not told: {:#?}", stand.app("website")))
}

/// What the socket answers to a question for the list of containers.
#[derive(Debug, Clone, Copy)]
enum Lie {
    Nothing = 0,
    Empty = 1,
    Fails = 2,
}

/// Takes the place of Podman's socket and hands everything on but lists of containers.
struct Liar {
    path: PathBuf,
    real: PathBuf,
    lie: Arc<AtomicU8>,
    told: Arc<AtomicUsize>,
    changes: Arc<AtomicUsize>,
}

impl Liar {
    fn instead_of(path: PathBuf) -> anyhow::Result<Self> {
        let real = path.with_file_name("podman-real.sock");
        fs::rename(&path, &real)?;
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777))?;
        let (lie, told, changes) = (Arc::default(), Arc::default(), Arc::default());
        let liar = Self { path, real, lie, told, changes };
        let (real, lie) = (liar.real.clone(), liar.lie.clone());
        let (told, changes) = (liar.told.clone(), liar.changes.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (real, lie) = (real.clone(), lie.load(Ordering::SeqCst));
                let (told, changes) = (told.clone(), changes.clone());
                // a client that goes away early is no failure
                thread::spawn(move || drop(answer(stream, &real, lie, &told, &changes)));
            }
        });
        Ok(liar)
    }

    fn tells(&self, lie: Lie) {
        self.lie.store(lie as u8, Ordering::SeqCst);
        self.told.store(0, Ordering::SeqCst);
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        // over the false one, at once
        let _gone = fs::rename(&self.real, &self.path);
    }
}

/// One request for each connection, as the platform asks.
fn answer(
    mut client: UnixStream,
    real: &Path,
    lie: u8,
    told: &AtomicUsize,
    changes: &AtomicUsize,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < 1 << 16 {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let line = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
    if !line.starts_with("GET ") && !line.starts_with("HEAD ") {
        changes.fetch_add(1, Ordering::SeqCst);
    }
    if lie != Lie::Nothing as u8 && line.contains("/containers/json") {
        told.fetch_add(1, Ordering::SeqCst);
        let (status, body) = match lie == Lie::Empty as u8 {
            true => ("200 OK", "[]"),
            false => (
                "500 Internal Server Error",
                r#"{"cause":"database is locked","message":"no","response":500}"#,
            ),
        };
        let length = body.len();
        return write!(
            client,
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
    }
    let mut server = UnixStream::connect(real)?;
    server.write_all(&head)?;
    let (mut to, mut from) = (server.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        let _done = io::copy(&mut from, &mut to);
        let _closed = to.shutdown(std::net::Shutdown::Write);
    });
    io::copy(&mut server, &mut client)?;
    client.shutdown(std::net::Shutdown::Both)
}

#[test]
fn control_plane_a_list_that_is_empty_or_fails_recreates_nothing() -> anyhow::Result<()> {
    let (stand, before) = with_app("liar")?;
    let init = stand.node.init_pid().context("the node is off")?;
    let socket = format!("/proc/{init}/root/run/user/1000/podman/podman.sock");
    let liar = Liar::instead_of(PathBuf::from(socket))?;
    for (lie, words) in [(Lie::Empty, "lists no container"), (Lie::Fails, "")] {
        liar.tells(lie);
        let changes = liar.changes.load(Ordering::SeqCst);
        let began = Instant::now();
        let mut old = None;
        while began.elapsed() < PASSES {
            let state = usual(&stand)?;
            old = state
                .pointer("/stale_because/text")
                .and_then(Value::as_str)
                .map(str::to_owned)
                .or(old);
        }
        ensure!(liar.told.load(Ordering::SeqCst) > 1, "nobody asked: the lie was not heard");
        let old = old.with_context(|| format!("{lie:?}: the age is not told\n{}", stand.log()))?;
        ensure!(old.contains(words), "{lie:?}: {old}");
        ensure!(liar.changes.load(Ordering::SeqCst) == changes, "{lie:?}: something was changed");
        // also a daemon that begins now shows the app and leaves it alone
        stand.node.exec_root(["systemctl", "restart", "archipelago"])?;
        xtask::platform::wait_for_api(&stand.node)?;
        let list = stand.archy_ok(&["list"])?;
        ensure!(list.contains("probe"), "{list}");
        ensure!(get(&stand.url(PORT, "/health"))?.status == 200, "the app does not answer");
        liar.tells(Lie::Nothing);
        stand.until_state("probe", "running")?;
        let fresh = || usual(&stand).ok().filter(|state| state["stale_because"].is_null());
        wait_until(PASSES, fresh).context("the truth is not believed")?;
        ensure!(container(&stand)? == before, "{lie:?}: it was made anew");
    }
    drop(liar);
    usual(&stand)?;
    ensure!(container(&stand)? == before, "it was made anew");
    Ok(())
}
