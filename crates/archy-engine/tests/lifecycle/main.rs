//! An app's life on a fake host, with paused time: each test is one conversation.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod clock;
mod field;
mod hooks;
mod leaving;
mod needs;
mod node;
mod repairs;
mod stopped;
mod updates;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use archy_engine::ports::Ending;
use archy_engine::{Accepted, Replacement, Request, RequestKind};
use archy_manifest::Manifest;
use archy_plan::DesiredState;
use archy_plan::observed::ActiveState;
use archy_testkit::{Fault, TestClock};
use archy_types::{Actor, AppState, Digest, Generation};

use crate::node::{IMAGE, Node, id, web};

const SECRET: &str = "      secret_env: { TOKEN: web-token }\n  secrets: { web-token: hex32 }\n";

#[tokio::test(start_paused = true)]
async fn an_app_is_installed_stopped_started_and_uninstalled() {
    let node = Node::start().await;
    let accepted = node.install(&web("1.0.0", SECRET)).await.unwrap();
    assert!(matches!(accepted, Accepted::Operation(_)));
    node.until_state("web", AppState::Running).await;
    assert_eq!(node.calls("pull"), [format!("pull {IMAGE}")]);
    assert_eq!(node.calls("generate"), ["generate secret web-token"]);
    assert!(node.host.model().podman_secrets.contains_key("web-token"));

    node.ask(RequestKind::Stop(id("web"))).await.unwrap();
    let stopped = node.until_state("web", AppState::Stopped).await;
    assert_eq!(stopped.apps[&id("web")].desired, DesiredState::Stopped);
    let text = node.host.model().unit_files["web.container"].clone();
    assert!(!text.contains("[Install]"), "a stopped app does not start at boot:\n{text}");

    node.ask(RequestKind::Start(id("web"))).await.unwrap();
    node.until_state("web", AppState::Running).await;
    assert_eq!(node.ask(RequestKind::Start(id("web"))).await, Ok(Accepted::AlreadySo));

    node.ask(RequestKind::Uninstall { app: id("web"), purge: false }).await.unwrap();
    node.until("web is gone", |snapshot| snapshot.apps.is_empty()).await;
    let model = node.host.model();
    assert!(model.unit_files.is_empty(), "{:?}", model.unit_files.keys());
    assert!(model.containers.is_empty());
    assert!(model.secret_files.contains_key("web-token"), "secrets stay");
}

#[tokio::test(start_paused = true)]
async fn what_an_uninstalled_app_left_is_purged_later() {
    let node = Node::start().await;
    let text = web("1.0.0", SECRET);
    let manifest = Arc::new(Manifest::parse(text.as_bytes()).unwrap());
    let left = Replacement {
        manifest,
        text: text.as_bytes().into(),
        digest: Digest::of(text.as_bytes()),
        package_dir: None,
        settings: BTreeMap::new(),
        port_overrides: BTreeMap::new(),
    };
    let purge =
        || RequestKind::PurgeLeft { left: Box::new(left.clone()), generation: Generation(2) };
    node.install(&text).await.unwrap();
    node.until_state("web", AppState::Running).await;
    node.ask(RequestKind::Uninstall { app: id("web"), purge: false }).await.unwrap();
    node.until("web is gone", |snapshot| snapshot.apps.is_empty()).await;
    let absent = node.ask(RequestKind::Uninstall { app: id("web"), purge: true }).await;
    assert_eq!(absent.unwrap_err().code.as_str(), "app-not-installed");
    assert!(node.host.model().secret_files.contains_key("web-token"));

    let request = Request { actor: Actor::System, kind: purge() };
    let plan = node.handle.plan(request).await.unwrap();
    assert!(plan.to_text().contains("web-token"), "{}", plan.to_text());
    assert!(matches!(node.ask(purge()).await, Ok(Accepted::Operation(_))));
    node.until("web is gone", |snapshot| snapshot.apps.is_empty()).await;
    assert!(!node.host.model().secret_files.contains_key("web-token"));
    assert!(node.ledger.books().apps.is_empty());
    let endings =
        node.ledger.books().operations.iter().map(|o| o.ending.clone()).collect::<Vec<_>>();
    assert_eq!(endings, [Some(Ending::Done), Some(Ending::Done), Some(Ending::Done)]);

    // one that is there goes with its data
    node.install(&text).await.unwrap();
    node.until_state("web", AppState::Running).await;
    node.ask(purge()).await.unwrap();
    node.until("web is gone", |snapshot| snapshot.apps.is_empty()).await;
    assert!(node.host.model().secret_files.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_failed_pull_leaves_nothing_behind() {
    let node = Node::start().await;
    node.host.model().faults.insert(Fault::PullFails);
    node.install(&web("1.0.0", "")).await.unwrap();
    node.until("the install was taken back", |snapshot| {
        snapshot.seq > 1 && snapshot.apps.is_empty()
    })
    .await;
    assert!(node.host.model().unit_files.is_empty());
    let books = node.ledger.books();
    assert!(
        matches!(&books.operations[0].ending, Some(Ending::RolledBack(e)) if e.code.as_str() == "pull-failed")
    );
    assert!(books.apps.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_crashing_app_is_failed_with_a_cause_and_a_repair() {
    let node = Node::start().await;
    node.host.model().faults.insert(Fault::Crashes("web.service".to_owned()));
    node.install(&web("1.0.0", "")).await.unwrap();
    let snapshot = node.until_state("web", AppState::Failed).await;
    let report = &snapshot.apps[&id("web")].report;
    assert!(report.repair.is_some(), "{report:?}");
    assert!(!report.cause.text.is_empty());
    // the fault is mended: one action of the owner repairs it
    node.host.model().faults.clear();
    node.ask(RequestKind::Restart(id("web"))).await.unwrap();
    node.until_state("web", AppState::Running).await;
}

#[tokio::test(start_paused = true)]
async fn drift_is_healed_within_one_pass() {
    let node = Node::start().await;
    node.install(&web("1.0.0", "")).await.unwrap();
    node.until_state("web", AppState::Running).await;
    let good = node.host.model().unit_files["web.container"].clone();
    for harm in ["edited", "deleted"] {
        {
            let mut model = node.host.model();
            match harm {
                "edited" => {
                    drop(model.unit_files.insert("web.container".into(), format!("{good}\n# hand")))
                }
                _ => drop(model.unit_files.remove("web.container")),
            }
        }
        node.host.hint();
        let host = node.host.clone();
        let text = good.clone();
        node.until(harm, move |_| host.model().unit_files.get("web.container") == Some(&text))
            .await;
        node.until_state("web", AppState::Running).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_recreated_on_missing_knowledge() {
    let node = Node::start().await;
    node.install(&web("1.0.0", "")).await.unwrap();
    let before = node.until_state("web", AppState::Running).await;
    {
        let mut model = node.host.model();
        model.faults.insert(Fault::PodmanAway);
        model.faults.insert(Fault::SystemdAway);
        model.calls.clear();
    }
    node.host.hint();
    let stale = node.until("it says so", |snapshot| snapshot.stale_because.is_some()).await;
    assert_eq!(
        stale.apps[&id("web")].report,
        before.apps[&id("web")].report,
        "last-known state stays"
    );
    tokio::time::advance(Duration::from_secs(300)).await;
    node.handle.poke();
    tokio::task::yield_now().await;
    assert!(node.host.model().calls.is_empty(), "{:?}", node.host.model().calls);
}

#[tokio::test(start_paused = true)]
async fn user_stopped_stands_against_everything() {
    let mut node = Node::start().await;
    node.install(&web("1.0.0", "")).await.unwrap();
    node.until_state("web", AppState::Running).await;
    node.ask(RequestKind::Stop(id("web"))).await.unwrap();
    node.until_state("web", AppState::Stopped).await;
    node.host.model().calls.clear();
    node.crash_and_restart().await;
    node.until_state("web", AppState::Stopped).await;
    tokio::time::advance(Duration::from_secs(300)).await;
    node.until_state("web", AppState::Stopped).await;
    assert!(node.calls("start").is_empty());
}

#[tokio::test(start_paused = true)]
async fn stopped_from_outside_is_shown_and_left_alone() {
    let node = Node::start().await;
    node.install(&web("1.0.0", "")).await.unwrap();
    node.until_state("web", AppState::Running).await;
    {
        let mut model = node.host.model();
        model.stop("web.service", TestClock::START.plus_millis(1)).unwrap();
        model.calls.clear();
    }
    node.host.hint();
    let snapshot = node.until_state("web", AppState::Stopped).await;
    assert_eq!(snapshot.apps[&id("web")].report.actor, Actor::Outside);
    assert!(node.calls("start").is_empty());
    node.ask(RequestKind::Start(id("web"))).await.unwrap();
    node.until_state("web", AppState::Running).await;
}

/// Installs an app whose pull does not end.
async fn hang_in_a_pull(node: &Node, extra: &str) {
    node.host.model().faults.insert(Fault::PullHangs);
    node.install(&web("1.0.0", extra)).await.unwrap();
    node.until("the pull hangs", |snapshot| {
        snapshot
            .apps
            .get(&id("web"))
            .is_some_and(|view| view.operation.as_ref().is_some_and(|op| op.percent == Some(50)))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_uninstall_does_not_wait_for_a_pull_that_hangs() {
    let node = Node::start().await;
    hang_in_a_pull(&node, "").await;
    node.ask(RequestKind::Uninstall { app: id("web"), purge: false }).await.unwrap();
    node.until("web is gone", |snapshot| snapshot.apps.is_empty()).await;
    let books = node.ledger.books();
    assert_eq!(books.operations[0].ending, Some(Ending::Superseded));
}

#[tokio::test(start_paused = true)]
async fn an_operation_is_taken_up_again_after_a_crash() {
    let mut node = Node::start().await;
    hang_in_a_pull(&node, SECRET).await;
    node.host.model().faults.clear();
    node.crash_and_restart().await;
    node.until_state("web", AppState::Running).await;
    let books = node.ledger.books();
    assert_eq!(books.operations[0].ending, Some(Ending::Done), "the same operation goes on");
    drop(books);
    assert_eq!(node.calls("generate").len(), 1, "a secret is made once");
}

#[tokio::test(start_paused = true)]
async fn a_port_that_is_taken_refuses_the_install_and_changes_nothing() {
    let node = Node::start().await;
    let taken = (8080, archy_manifest::model::Protocol::Tcp);
    node.host.model().foreign_ports.insert(taken);
    let ports = "      ports:\n        - { host: 8080, container: 80, auth: gated }\n";
    let refused = node.install(&web("1.0.0", ports)).await.unwrap_err();
    assert_eq!(refused.code.as_str(), "port-taken");
    assert!(refused.hint.is_some());
    // the reload is the engine's own, at its start
    assert!(node.host.model().calls.iter().all(|call| call == "reload"));
    assert!(node.ledger.books().operations.is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_apps_hang_does_not_hold_another() {
    let node = Node::start().await;
    node.host.model().faults.insert(Fault::PullHangs);
    node.install(&web("1.0.0", "")).await.unwrap();
    let other = "registry.example/other:1";
    node.host.model().images.insert(other.to_owned());
    let text = web("1.0.0", "").replace("id: web", "id: other").replace(IMAGE, other);
    node.install(&text).await.unwrap();
    node.until_state("other", AppState::Running).await;
    assert_eq!(node.handle.snapshot().apps[&id("web")].report.state, AppState::Installing);
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_will_not_stop_is_named_and_removal_still_works_later() {
    let node = Node::start().await;
    node.install(&web("1.0.0", "")).await.unwrap();
    node.until_state("web", AppState::Running).await;
    node.host.model().faults.insert(Fault::WillNotStop("web.service".to_owned()));
    node.ask(RequestKind::Uninstall { app: id("web"), purge: true }).await.unwrap();
    let snapshot = node.until_state("web", AppState::Failed).await;
    let view = &snapshot.apps[&id("web")];
    assert_eq!(view.report.cause.code.as_str(), "stop-timeout");
    assert_eq!(view.report.repair.as_ref().unwrap().method, "package.uninstall");
    node.host.model().faults.clear();
    node.ask(RequestKind::Uninstall { app: id("web"), purge: true }).await.unwrap();
    node.until("web is gone", |snapshot| snapshot.apps.is_empty()).await;
    assert_eq!(
        node.host.model().units.values().filter(|u| u.active == ActiveState::Active).count(),
        0
    );
}
