//! A node in simulation: something goes wrong at one boundary, or at several, and in the end
//! everything is as the owner wished it, before or after.
//!
//! * `every_boundary_*` goes through operation × shape × harm, and through every boundary of each.
//! * `random_lives` throws dice: `ARCHY_SIM_SEEDS=10000` says how many lives, `ARCHY_SIM_SEED=42`
//!   which one.
//!
//! A failure prints the command that repeats it, and what happened.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panics and say why"
)]

mod acceptance;
mod data;
mod exhaustive;
mod foreign;
mod invariants;
mod node;
mod random;
mod shapes;

use std::time::Duration;

use archy_testkit::sim::Harm;

use crate::node::Node;

/// A number from the environment, which only tests of this binary read.
#[expect(clippy::disallowed_methods, reason = "the seed of a simulation to repeat")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Runs one life in a runtime of its own, whose clock stands still unless everybody waits.
fn simulate<T>(life: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(life)
}

/// Waits until the node rests, does the repair that a failed app offers, and looks at everything.
async fn settle(node: &mut Node) -> Result<(), String> {
    node.rest().await?;
    let gentle = |harm: &Harm| !harm.is_crash();
    for _ in 0..2 {
        if invariants::failed(&node.handle.snapshot()).is_empty() {
            break;
        }
        // a crash alone is no business of the owner
        if !node.sim.fired().iter().any(gentle) {
            break;
        }
        if !node.repair().await {
            break;
        }
        node.rest().await?;
    }
    let broken = invariants::broken(node);
    if !broken.is_empty() {
        return Err(broken.join("\n  "));
    }
    node.remember();
    Ok(())
}

/// How long a harm lasts that lasts.
const LASTS: Duration = Duration::from_secs(200);

/// Prints what went wrong with the command that repeats it.
fn report(node: &Node, what: &str, replay: &str) {
    let trace = node.sim.trace();
    let from = trace.len().saturating_sub(150);
    for line in &trace[from..] {
        eprintln!("{line}");
    }
    eprintln!("BROKEN in {what}:\n  replay: {replay}");
}
