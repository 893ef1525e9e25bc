//! Many restarts in a row of an app with a published port, on each kind of network.
//!
//! pasta frees a published port only after the stop has returned; a bridge network's port helper at once.

use std::thread;

use anyhow::Context;
use archy_live::Stand;

/// Rounds when `ARCHY_LIVE_RESTARTS` does not say it: what is promised are a hundred.
const ROUNDS: u32 = 30;

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
