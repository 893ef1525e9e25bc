//! Every operation × every shape × every harm, at every boundary.

use archy_testkit::sim::Harm;

use crate::node::{Ask, Node};
use crate::shapes::Shape;
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

const CASES: &[Case] = &[
    case("install", &[], Ask::Install(1)),
    case("update", &[Ask::Install(1)], Ask::Install(2)),
    case("start", &[Ask::Install(1), Ask::Stop], Ask::Start),
    case("stop", &[Ask::Install(1)], Ask::Stop),
    case("restart", &[Ask::Install(1)], Ask::Restart),
    case("configure", &[Ask::Install(1)], Ask::Configure(1)),
    case("uninstall", &[Ask::Install(1)], Ask::Uninstall),
    case("purge", &[Ask::Install(1)], Ask::Purge),
    case("reinstall", &[Ask::Install(1), Ask::Uninstall], Ask::Install(1)),
];

/// One run: the harm comes at the boundary after `left` others. Says whether it came.
async fn run(shape: Shape, case: Case, harm: Harm, left: u64) -> Result<bool, (Node, String)> {
    // the seed says how long things take, and what a cut loses
    let mut node = Node::new(left).await;
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
    for case in CASES {
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
                let came = match simulate(run(shape, *case, harm, left)) {
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
];

#[test]
fn what_was_broken_once() {
    for (shape, word, harm, left) in ONCE_BROKEN {
        let case = CASES.iter().find(|case| case.word == *word).unwrap();
        if let Err((node, broken)) = simulate(run(*shape, *case, *harm, *left)) {
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
