//! Uninstall always works: with Podman away what systemd holds goes at once, and the rest by itself
//! when Podman is back.

use std::time::Duration;

use archy_engine::RequestKind;
use archy_engine::ports::Ending;
use archy_plan::observed::ActiveState;
use archy_testkit::Fault;
use archy_types::AppState;

use crate::node::{Node, id, web};

const PARTS: &str = "      ports:\n        - { host: 8080, container: 80, auth: gated }\n      \
                     secret_env: { TOKEN: web-token }\n      volumes:\n        - { type: volume, \
                     source: data, target: /data }\n        - { type: bind, source: pages, target: \
                     /pages }\n  named_volumes: { data: {} }\n  secrets: { web-token: hex32 }\n";

async fn running() -> Node {
    let node = Node::start().await;
    node.install(&web("1.0.0", PARTS)).await.unwrap();
    node.until_state("web", AppState::Running).await;
    node.host.model().calls.clear();
    node
}

fn active(node: &Node) -> usize {
    let model = node.host.model();
    model.units.values().filter(|unit| unit.active == ActiveState::Active).count()
}

#[tokio::test(start_paused = true)]
async fn without_podman_units_go_at_once_and_the_rest_when_it_is_back() {
    for fault in [Fault::PodmanAway, Fault::PodmanHangs] {
        for purge in [false, true] {
            for restarted in [false, true] {
                without_podman(&fault, purge, restarted).await;
            }
        }
    }
}

async fn without_podman(fault: &Fault, purge: bool, restarted: bool) {
    let case = format!("{fault:?}, purge {purge}, restarted {restarted}");
    let mut node = running().await;
    node.host.model().faults.insert(fault.clone());
    node.ask(RequestKind::Uninstall { app: id("web"), purge }).await.unwrap();
    // what it ran is gone, and so is the port that its container held
    let host = node.host.clone();
    node.until(&format!("{case}: its units are gone"), move |_| {
        let model = host.model();
        model.unit_files.is_empty() && model.loaded.is_empty() && model.containers.is_empty()
    })
    .await;
    assert_eq!(active(&node), 0, "{case}");
    let ended = node.ledger.books().operations[1].ending.is_some();
    if !ended {
        node.until(&case, |_| node.ledger.books().operations[1].ending.is_some()).await;
    }
    if restarted {
        node.crash_and_restart().await;
    }
    // it is still there, and says why
    tokio::time::sleep(Duration::from_secs(900)).await;
    let snapshot = node.handle.snapshot();
    let view = snapshot.apps.get(&id("web")).unwrap_or_else(|| panic!("{case}: it is not over"));
    let report = &view.report;
    assert!(
        matches!(report.state, AppState::Failed | AppState::Removing | AppState::Unknown),
        "{case}: {report:?}"
    );
    let told = [report.cause.text.as_str()]
        .into_iter()
        .chain(snapshot.stale_because.as_ref().map(|because| because.text.as_str()));
    let told: String = told.collect();
    assert!(told.contains("Podman"), "{case}: {report:?}");
    assert!(report.next.is_some(), "{case}: it goes on by itself: {report:?}");
    {
        let model = node.host.model();
        assert!(
            model.podman_secrets.contains_key("web-token") && model.volumes.contains("web-data")
        );
        assert!(model.secret_files.contains_key("web-token"), "{case}: data waits");
    }
    node.host.model().faults.clear();
    node.host.hint();
    node.until(&format!("{case}: it is gone"), |snapshot| snapshot.apps.is_empty()).await;
    let model = node.host.model();
    assert!(model.podman_secrets.is_empty() && !model.networks.contains("web"), "{case}");
    assert_eq!(model.volumes.contains("web-data"), !purge, "{case}");
    assert_eq!(model.secret_files.contains_key("web-token"), !purge, "{case}");
    assert_eq!(model.app_files.contains_key(&id("web")), !purge, "{case}");
    assert!(node.ledger.books().apps.is_empty(), "{case}");
}

/// Podman goes amid the removal, at a step that only it can do.
#[tokio::test(start_paused = true)]
async fn podman_that_goes_amid_a_removal_is_named_and_waited_for() {
    for fault in [Fault::PodmanAway, Fault::PodmanHangs] {
        let node = running().await;
        node.ask(RequestKind::Uninstall { app: id("web"), purge: true }).await.unwrap();
        while node.calls("stop").is_empty() {
            tokio::task::yield_now().await;
        }
        node.host.model().faults.insert(fault.clone());
        node.until("it has failed", |_| node.ledger.books().operations[1].ending.is_some()).await;
        let ending = node.ledger.books().operations[1].ending.clone();
        assert!(
            matches!(&ending, Some(Ending::Failed(error)) if error.hint.is_some() || fault == Fault::PodmanAway),
            "{fault:?}: {ending:?}"
        );
        let host = node.host.clone();
        node.until("nothing starts again", move |_| host.model().unit_files.is_empty()).await;
        assert!(node.host.model().secret_files.contains_key("web-token"), "{fault:?}: data waits");
        node.host.model().faults.clear();
        node.until("it is gone", |snapshot| snapshot.apps.is_empty()).await;
        let model = node.host.model();
        assert!(model.volumes.is_empty() && model.secret_files.is_empty(), "{fault:?}");
    }
}

/// A worker that waits for Podman does not hold the removal back for longer than its step may take.
#[tokio::test(start_paused = true)]
async fn a_removal_comes_through_behind_a_call_that_hangs() {
    let node = running().await;
    {
        let mut model = node.host.model();
        model.podman_secrets.clear();
        model.faults.insert(Fault::PodmanHangs);
    }
    // it looks before Podman hangs
    node.host.model().faults.clear();
    node.ask(RequestKind::Restart(id("web"))).await.unwrap();
    while node.calls("stop").is_empty() {
        tokio::task::yield_now().await;
    }
    node.host.model().faults.insert(Fault::PodmanHangs);
    node.ask(RequestKind::Uninstall { app: id("web"), purge: false }).await.unwrap();
    let host = node.host.clone();
    let began = archy_engine::ports::Clock::now(&node.clock);
    node.until("its units are gone", move |_| host.model().unit_files.is_empty()).await;
    let took = archy_engine::ports::Clock::now(&node.clock).seconds_since(began);
    assert!(took <= 150, "{took} s");
    assert_eq!(active(&node), 0);
    node.host.model().faults.clear();
    node.until("it is gone", |snapshot| snapshot.apps.is_empty()).await;
}
