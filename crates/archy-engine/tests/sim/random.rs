//! Lives as the dice throw them: several operations, several harms, sometimes before the last
//! operation is over.

use std::time::Duration;

use archy_testkit::sim::{Harm, Rng};
use tokio::time::sleep;

use crate::node::{Ask, Node};
use crate::shapes::APPS;
use crate::{report, setting, settle, simulate};

/// Lives of a usual run.
const USUAL: u64 = 100;

fn ask(rng: &mut Rng) -> Ask {
    let number = 1 + u32::try_from(rng.below(3)).unwrap();
    match rng.below(12) {
        0..=2 => Ask::Install(1),
        3 | 4 => Ask::Install(2),
        5 => Ask::Start,
        6 => Ask::Stop,
        7 => Ask::Restart,
        8 => Ask::Configure(number),
        9 | 10 => Ask::Uninstall,
        _ => Ask::Purge,
    }
}

async fn live(seed: u64) -> Result<(), (Node, String)> {
    // other dice than the host's, so that a change of the host leaves the story as it is
    let mut rng = Rng::new(!seed);
    let mut node = Node::new(seed).await;
    let favourites = [*rng.pick(&APPS).unwrap(), *rng.pick(&APPS).unwrap(), "base"];
    for _ in 0..3 + rng.below(6) {
        if rng.percent(70) {
            let harm = *rng.pick(&Harm::ALL).unwrap();
            let lasts = [0, 20, 200, 2000][usize::try_from(rng.below(4)).unwrap()];
            node.sim.arm(harm, rng.below(80), Duration::from_secs(lasts));
        }
        let app = *rng.pick(&favourites).unwrap();
        let what = ask(&mut rng);
        node.ask(app, what).await;
        if rng.percent(30) {
            // the next wish does not wait for this one
            sleep(Duration::from_millis(rng.below(20_000))).await;
            continue;
        }
        if let Err(broken) = settle(&mut node).await {
            return Err((node, broken));
        }
    }
    match settle(&mut node).await {
        Ok(()) => Ok(()),
        Err(broken) => Err((node, broken)),
    }
}

#[test]
fn random_lives() {
    let number = |name: &str| setting(name).and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("ARCHY_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => {
            let first = number("ARCHY_SIM_FIRST").unwrap_or(1);
            first..first + number("ARCHY_SIM_SEEDS").unwrap_or(USUAL)
        }
    };
    let mut failures = 0;
    for seed in seeds {
        if let Err((node, broken)) = simulate(live(seed)) {
            failures += 1;
            let replay = format!(
                "ARCHY_SIM_SEED={seed} cargo nextest run -p archy-engine --test sim random_lives"
            );
            report(&node, &format!("seed {seed}: {broken}"), &replay);
            assert!(failures < 5, "enough is broken");
        }
    }
    assert_eq!(failures, 0);
}
