//! Lives as the dice throw them: several operations, several harms, sometimes before the last
//! operation is over.

use std::time::Duration;

use archy_testkit::sim::{Harm, Rng};
use tokio::time::sleep;

use crate::node::{Ask, Node};
use crate::shapes::{self, APPS, Shape};
use crate::{report, setting, settle, simulate};

/// Lives of a usual run.
const USUAL: u64 = 100;

fn ask(rng: &mut Rng) -> Ask {
    let number = 1 + u32::try_from(rng.below(3)).unwrap();
    match rng.below(24) {
        0..=3 => Ask::Install(1),
        4 | 5 => Ask::Install(2),
        6 | 7 => Ask::Update(2),
        8 => Ask::Update(if rng.percent(50) { shapes::BAD } else { shapes::SICK }),
        9 | 10 => Ask::Rollback { keep_data: false },
        11 => Ask::Rollback { keep_data: true },
        12 | 13 => Ask::Start,
        14 | 15 => Ask::Stop,
        16 => Ask::Restart,
        17 | 18 => Ask::Configure(number),
        19..=21 => Ask::Uninstall,
        22 => Ask::Purge,
        _ => Ask::PurgeLeft,
    }
}

/// What is asked of an app that was there before Archipelago was.
fn ask_foreign(rng: &mut Rng) -> Ask {
    match rng.below(16) {
        0..=4 => Ask::Adopt(1),
        5..=9 => Ask::Migrate,
        10 | 11 => Ask::MigrateBack,
        12 => Ask::MigrateCommit,
        _ => ask(rng),
    }
}

async fn live(seed: u64) -> Result<(), (Node, String)> {
    // other dice than the host's, so that a change of the host leaves the story as it is
    let mut rng = Rng::new(!seed);
    let shapes = [Shape::Run, Shape::Child, Shape::Quadlet];
    let laid = rng.percent(50).then(|| rng.pick(&shapes).unwrap().laid()).flatten();
    let there = laid.as_ref().map_or("web", |laid| laid.app.as_str()).to_owned();
    let mut node = Node::new(seed, laid.as_slice()).await;
    let others = *rng.pick(&APPS).unwrap();
    let favourites = [others, &*there, &*there, "base"];
    for _ in 0..3 + rng.below(6) {
        if rng.percent(70) {
            let harm = *rng.pick(&Harm::ALL).unwrap();
            let lasts = [0, 20, 200, 2000][usize::try_from(rng.below(4)).unwrap()];
            node.sim.arm(harm, rng.below(80), Duration::from_secs(lasts));
        }
        let app = *rng.pick(&favourites).unwrap();
        let what = match app == there && laid.is_some() {
            true => ask_foreign(&mut rng),
            false => ask(&mut rng),
        };
        // without a look at Podman nothing says that its place is taken
        if matches!(what, Ask::Install(_)) && node.is_taken(app) {
            node.sim.disarm();
        }
        // whether it stands depends on whether the app runs: nothing may come in between
        let fails = matches!(what, Ask::Update(version) if version > 2);
        if fails {
            if let Err(broken) = settle(&mut node).await {
                return Err((node, broken));
            }
            if !node.runs(app) {
                continue;
            }
        }
        node.ask(app, what).await;
        if !fails && rng.percent(30) {
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
