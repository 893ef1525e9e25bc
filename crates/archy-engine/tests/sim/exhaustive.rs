//! Every operation × every shape × every harm, at every boundary.

use archy_testkit::sim::Harm;

use crate::node::{Ask, Node};
use crate::shapes::{self, Shape};
use crate::{LASTS, report, setting, settle, simulate};

/// An operation, with what leads to it.
#[derive(Debug, Clone, Copy)]
struct Case {
    word: &'static str,
    before: &'static [Ask],
    ask: Ask,
}

const fn case(word: &'static str, before: &'static [Ask], ask: Ask) -> Case {
    Case { word, before, ask }
}

const KEEP: Ask = Ask::Rollback { keep_data: true };
const ROLLBACK: Ask = Ask::Rollback { keep_data: false };

/// Operations on an app that is Archipelago's own.
const OWN: &[Case] = &[
    case("install", &[], Ask::Install(1)),
    case("update", &[Ask::Install(1)], Ask::Install(2)),
    case("start", &[Ask::Install(1), Ask::Stop], Ask::Start),
    case("stop", &[Ask::Install(1)], Ask::Stop),
    case("restart", &[Ask::Install(1)], Ask::Restart),
    case("configure", &[Ask::Install(1)], Ask::Configure(1)),
    case("uninstall", &[Ask::Install(1)], Ask::Uninstall),
    case("purge", &[Ask::Install(1)], Ask::Purge),
    case("reinstall", &[Ask::Install(1), Ask::Uninstall], Ask::Install(1)),
    case("update-to", &[Ask::Install(1)], Ask::Update(2)),
    case("update-at-rest", &[Ask::Install(1), Ask::Stop], Ask::Update(2)),
    case("update-bad", &[Ask::Install(1)], Ask::Update(shapes::BAD)),
    case("update-sick", &[Ask::Install(1)], Ask::Update(shapes::SICK)),
    case("rollback", &[Ask::Install(1), Ask::Update(2)], ROLLBACK),
    case("rollback-at-rest", &[Ask::Install(1), Ask::Update(2), Ask::Stop], ROLLBACK),
    case("purge-left", &[Ask::Install(1), Ask::Update(2), Ask::Uninstall], Ask::PurgeLeft),
];

/// Further ones on an app that an older version may run after a newer one.
const DOWNGRADABLE: &[Case] = &[case("rollback-keep", &[Ask::Install(1), Ask::Update(2)], KEEP)];

/// Operations on an app that was there before Archipelago was.
const FOREIGN: &[Case] = &[
    case("adopt", &[], Ask::Adopt(1)),
    case("adopted-stop", &[Ask::Adopt(1)], Ask::Stop),
    case("adopted-start", &[Ask::Adopt(1), Ask::Stop], Ask::Start),
    case("adopted-restart", &[Ask::Adopt(1)], Ask::Restart),
    case("adopted-uninstall", &[Ask::Adopt(1)], Ask::Uninstall),
    case("migrate", &[Ask::Adopt(1)], Ask::Migrate),
    case("migrate-at-rest", &[Ask::Adopt(1), Ask::Stop], Ask::Migrate),
    case("migrate-bad", &[Ask::Adopt(shapes::BROKEN)], Ask::Migrate),
    case("migrate-again", &[Ask::Adopt(1), Ask::Migrate, Ask::MigrateBack], Ask::Migrate),
    case("migrate-back", &[Ask::Adopt(1), Ask::Migrate], Ask::MigrateBack),
    case("migrate-commit", &[Ask::Adopt(1), Ask::Migrate], Ask::MigrateCommit),
    case("migrated-update", &[Ask::Adopt(1), Ask::Migrate], Ask::Update(2)),
    case("migrated-rollback", &[Ask::Adopt(1), Ask::Migrate, Ask::Update(2)], ROLLBACK),
    case("migrated-uninstall", &[Ask::Adopt(1), Ask::Migrate], Ask::Uninstall),
    case("migrated-purge", &[Ask::Adopt(1), Ask::Migrate], Ask::Purge),
];

/// All operations of a shape.
fn cases(shape: Shape) -> Vec<Case> {
    match shape {
        Shape::Single | Shape::Stack => OWN.to_vec(),
        Shape::Dependent => [OWN, DOWNGRADABLE].concat(),
        Shape::Run | Shape::Child | Shape::Quadlet => FOREIGN.to_vec(),
    }
}

/// One run: the harm comes at the boundary after `left` others. Says whether it came.
async fn run(shape: Shape, case: Case, harm: Harm, left: u64) -> Result<bool, (Node, String)> {
    // the seed says how long things take, and what a cut loses
    let laid: Vec<_> = shape.laid().into_iter().collect();
    let mut node = Node::new(left, &laid).await;
    let (others, app) = shape.apps();
    for (app, ask) in others
        .iter()
        .map(|other| (*other, Ask::Install(1)))
        .chain(case.before.iter().map(|ask| (app, *ask)))
    {
        node.ask(app, ask).await;
        if let Err(broken) = settle(&mut node).await {
            return Err((node, format!("preparation: {broken}")));
        }
    }
    node.sim.arm(harm, left, LASTS);
    node.ask(app, case.ask).await;
    let settled = settle(&mut node).await;
    let came = !node.sim.disarm();
    if matches!(case.ask, Ask::Adopt(_)) && harm != Harm::PowerCut {
        // one that lives in the daemon dies with it
        let lives = harm != Harm::Kill || shape != Shape::Child;
        if lives && !node.laid.iter().all(|laid| laid.is_untouched(&node)) {
            return Err((node, "what was adopted is not what it was".to_owned()));
        }
    }
    match settled {
        Ok(()) => Ok(came),
        Err(broken) => Err((node, broken)),
    }
}

/// All boundaries of all cases of a shape, `stride` apart.
fn all(shape: Shape, stride: u64) {
    let only = setting("ARCHY_SIM_CASE");
    let mut runs = 0_u64;
    let mut failures = 0;
    for case in cases(shape) {
        for harm in Harm::ALL {
            let name = format!("{}/{}/{}", shape.word(), case.word, harm.word());
            // what is no crash has few boundaries, and other ones than a crash
            let stride = if harm.is_crash() { stride } else { stride.div_ceil(8) };
            let mut left = runs % stride;
            loop {
                let id = format!("{name}/{left}");
                if only.as_ref().is_some_and(|only| !id.starts_with(only.as_str())) {
                    if only.as_ref().is_some_and(|only| only.starts_with(&name)) && left < 10_000 {
                        left += 1;
                        continue;
                    }
                    break;
                }
                runs += 1;
                let came = match simulate(run(shape, case, harm, left)) {
                    Ok(came) => came,
                    Err((node, broken)) => {
                        failures += 1;
                        let replay = format!(
                            "ARCHY_SIM_CASE={id} cargo nextest run -p archy-engine --test sim {}",
                            shape.word()
                        );
                        report(&node, &format!("{id}: {broken}"), &replay);
                        assert!(failures < 5, "enough is broken");
                        true
                    }
                };
                if !came {
                    break;
                }
                left += stride;
            }
        }
    }
    eprintln!("{}: {runs} runs", shape.word());
    assert_eq!(failures, 0);
}

/// One boundary of this many is tried unless all are asked for.
fn stride(usual: u64) -> u64 {
    if setting("ARCHY_SIM_ALL").is_some() || setting("ARCHY_SIM_CASE").is_some() {
        1
    } else {
        usual
    }
}

/// Boundaries at which something was found.
const ONCE_BROKEN: &[(Shape, &str, Harm, u64)] = &[
    // the end of an operation could not be noted and stayed open
    (Shape::Single, "install", Harm::DiskFull, 2),
    // a failed operation left stopped what it had stopped, as if the owner had done it
    (Shape::Single, "restart", Harm::DiskFull, 4),
    (Shape::Stack, "update", Harm::PodmanError, 3),
    (Shape::Single, "update", Harm::PodmanHung, 6),
    // a failed reload was not repeated, so that the old unit was started
    (Shape::Single, "update", Harm::JobFailed, 1),
    (Shape::Single, "configure", Harm::JobFailed, 1),
    (Shape::Single, "stop", Harm::DiskFull, 5),
    // a start that was queued at boot outlived the removal
    (Shape::Dependent, "uninstall", Harm::PowerCut, 5),
    (Shape::Dependent, "purge", Harm::PowerCut, 24),
    // what the cut took (image, directory) was not made again for a unit that had failed
    (Shape::Single, "reinstall", Harm::PowerCut, 61),
    (Shape::Stack, "install", Harm::PowerCut, 146),
    // an unknown host was taken for an empty one
    (Shape::Single, "uninstall", Harm::PodmanError, 0),
    (Shape::Stack, "uninstall", Harm::PodmanHung, 0),
    // the removal was over, but the app was never forgotten
    (Shape::Single, "uninstall", Harm::Kill, 80),
    (Shape::Single, "uninstall", Harm::PowerCut, 82),
    // soon after an answer: what was answered must be on the disk
    (Shape::Single, "stop", Harm::PowerCut, 6),
    // that hooks have run could not be noted, and was not noted later
    (Shape::Stack, "update-bad", Harm::DiskFull, 36),
];

#[test]
fn what_was_broken_once() {
    for (shape, word, harm, left) in ONCE_BROKEN {
        let case = cases(*shape).into_iter().find(|case| case.word == *word).unwrap();
        if let Err((node, broken)) = simulate(run(*shape, case, *harm, *left)) {
            let id = format!("{}/{word}/{}/{left}", shape.word(), harm.word());
            report(&node, &format!("{id}: {broken}"), "this test");
            panic!("{id}");
        }
    }
}

#[test]
fn every_boundary_of_a_single_app() {
    all(Shape::Single, stride(43));
}

#[test]
fn every_boundary_of_a_stack() {
    all(Shape::Stack, stride(83));
}

#[test]
fn every_boundary_of_a_dependent_app() {
    all(Shape::Dependent, stride(59));
}

#[test]
fn every_boundary_of_a_container_that_was_run() {
    all(Shape::Run, stride(97));
}

#[test]
fn every_boundary_of_a_child_of_the_daemon() {
    all(Shape::Child, stride(97));
}

#[test]
fn every_boundary_of_a_quadlet() {
    all(Shape::Quadlet, stride(97));
}
