//! Many restarts in a row: of an app with a published port, on each kind of network, and of the daemon, which no app
//! notices.
//!
//! pasta frees a published port only after the stop has returned; a bridge network's port helper at once.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use archy_live::Stand;

/// Rounds when `ARCHY_LIVE_RESTARTS` does not say it: what is promised are a hundred.
const ROUNDS: u32 = 50;

#[expect(clippy::disallowed_methods, reason = "a test is its own edge")]
fn rounds() -> u32 {
    let asked = std::env::var("ARCHY_LIVE_RESTARTS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(ROUNDS)
}

fn restart_again_and_again(stand: &Stand, id: &str, url: &str) -> anyhow::Result<()> {
    for round in 1..=rounds() {
        stand.archy_ok(&["--quiet", "restart", id]).with_context(|| format!("round {round}"))?;
        stand.until_answers(url, 200).with_context(|| format!("round {round}"))?;
    }
    stand.until_state(id, "running")
}

#[test]
fn restarts_in_a_row_on_each_kind_of_network() -> anyhow::Result<()> {
    let stand = Stand::new("again")?;
    // the probe is on a bridge network of its own, the website behind pasta, the relay on the
    // network that apps share
    stand.archy_ok(&["--quiet", "install", "probe"])?;
    stand.archy_ok(&["--quiet", "install", "website"])?;
    stand.archy_ok(&["--quiet", "install", "relay"])?;
    thread::scope(|scope| {
        let restart = |id: &'static str, port: u16, path: &'static str| {
            let url = stand.url(port, path);
            let stand = &stand;
            scope.spawn(move || restart_again_and_again(stand, id, &url))
        };
        let bridge = restart("probe", 18001, "/health");
        let pasta = restart("website", 18002, "/health");
        let shared = restart("relay", 18008, "/");
        let done = |task: thread::ScopedJoinHandle<'_, anyhow::Result<()>>, name: &'static str| {
            task.join().unwrap_or_else(|_| Err(anyhow::anyhow!("panicked"))).context(name)
        };
        done(bridge, "bridge")?;
        done(shared, "shared")?;
        done(pasta, "pasta")
    })
}

/// Requests in a second, on how many lines, and restarts of the daemon meanwhile.
const RATE: u32 = 100;
const LINES: u32 = 4;
const DAEMON_RESTARTS: u32 = 10;
/// How long one request may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(10);

fn ask(address: SocketAddr) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    Ok(())
}

/// Asks at an even pace until it is told to end: how many times, and what failed.
#[expect(clippy::disallowed_methods, reason = "the pace of the requests is what is tested")]
fn keep_asking(address: SocketAddr, end: &AtomicBool) -> (u32, Vec<String>) {
    let (began, mut asked, mut failed) = (Instant::now(), 0, Vec::new());
    while !end.load(Ordering::SeqCst) {
        if let Err(error) = ask(address) {
            failed.push(format!("request {asked} after {:?}: {error:#}", began.elapsed()));
        }
        asked += 1;
        let next = Duration::from_secs(1) * LINES * asked / RATE;
        thread::sleep(next.saturating_sub(began.elapsed()));
    }
    (asked, failed)
}

#[test]
fn restarts_of_the_daemon_are_noticed_by_no_app() -> anyhow::Result<()> {
    let stand = Stand::new("unnoticed")?;
    stand.archy_ok(&["--quiet", "install", "probe"])?;
    stand.until_answers(&stand.url(18001, "/health"), 200)?;
    let container = ["podman", "inspect", "-f", "{{.Id}} {{.State.StartedAt}}", "probe"];
    let before = stand.user(&container)?;
    let address: SocketAddr = format!("{}:18001", stand.ip()).parse()?;
    let end = AtomicBool::new(false);
    let (took, asked, failed) = thread::scope(|scope| {
        let lines: Vec<_> =
            (0..LINES).map(|_| scope.spawn(|| keep_asking(address, &end))).collect();
        let began = Instant::now();
        let restarted = (1..=DAEMON_RESTARTS).try_for_each(|round| {
            let out = stand.node.exec_root(["systemctl", "restart", "archipelago"])?;
            ensure!(out.ok(), "restart {round}: {}", out.stderr);
            xtask::platform::wait_for_api(&stand.node)?;
            stand.until_state("probe", "running").with_context(|| format!("restart {round}"))
        });
        end.store(true, Ordering::SeqCst);
        let (mut asked, mut failed) = (0, Vec::new());
        for line in lines {
            let (count, failures) = line.join().ok().context("a line of requests ended badly")?;
            asked += count;
            failed.extend(failures);
        }
        restarted?;
        anyhow::Ok((began.elapsed(), asked, failed))
    })?;
    ensure!(failed.is_empty(), "{} of {asked} failed: {failed:#?}", failed.len());
    let rate = f64::from(asked) / took.as_secs_f64();
    ensure!(rate >= 0.9 * f64::from(RATE), "only {rate:.0} requests a second: too busy a machine");
    ensure!(stand.user(&container)? == before, "it was made anew");
    Ok(())
}
