//! Fifty restarts in a row of an app with a published port, on each kind of network.
//!
//! pasta frees a published port only after the stop has returned; a bridge network's port helper at once.

use std::thread;

use anyhow::Context;
use archy_live::Stand;

const ROUNDS: u32 = 50;

fn restart_again_and_again(stand: &Stand, id: &str, port: u16) -> anyhow::Result<()> {
    for round in 1..=ROUNDS {
        stand.archy_ok(&["--quiet", "restart", id]).with_context(|| format!("round {round}"))?;
        stand
            .until_answers(&stand.url(port, "/health"), 200)
            .with_context(|| format!("round {round}"))?;
    }
    stand.until_state(id, "running")
}

#[test]
fn fifty_restarts_in_a_row_on_bridge_and_pasta() -> anyhow::Result<()> {
    let stand = Stand::new("again")?;
    // the probe is on a bridge network of its own, the website behind pasta
    stand.archy_ok(&["--quiet", "install", "probe"])?;
    stand.archy_ok(&["--quiet", "install", "website"])?;
    thread::scope(|scope| {
        let bridge = scope.spawn(|| restart_again_and_again(&stand, "probe", 18001));
        let pasta = scope.spawn(|| restart_again_and_again(&stand, "website", 18002));
        let done = |task: thread::ScopedJoinHandle<'_, anyhow::Result<()>>, name: &'static str| {
            task.join().unwrap_or_else(|_| Err(anyhow::anyhow!("panicked"))).context(name)
        };
        done(bridge, "bridge")?;
        done(pasta, "pasta")
    })
}
