//! What its owner stopped stays stopped, whatever others want of it or happens around it.

use std::collections::BTreeMap;
use std::time::Duration;

use archy_engine::RequestKind;
use archy_manifest::model::Protocol;
use archy_plan::DesiredState;
use archy_testkit::Fault;
use archy_types::{AppState, Health};

use crate::node::{IMAGE, Node, id, update};

const NEW: &str = "registry.example/web:2";

fn app(id: &str, version: &str, more: &str, parts: &str) -> String {
    format!(
        "app:\n  id: {id}\n  name: {id}\n  version: {version}\n{more}  services:\n    main:\n      image: {IMAGE}\n{parts}"
    )
}

const PORT: &str = "      ports: [{ host: 8080, container: 80, auth: gated }]\n      health: { type: http, port: 80, interval: 5s }\n";
const PROVIDES: &str = "  provides: [{ role: chain, version: 1.0.0 }]\n";
const TITLE: &str = "  config:\n    title: { type: text, label: Title, default: Hello, targets: [{ service: main, env: TITLE }] }\n";

/// A node whose `web` was stopped by its owner.
async fn stopped() -> Node {
    let node = Node::start().await;
    node.host.model().registry.insert(NEW.to_owned());
    node.install(&app("web", "1.0.0", PROVIDES, &format!("{PORT}{TITLE}"))).await.unwrap();
    node.until_state("web", AppState::Running).await;
    node.ask(RequestKind::Stop(id("web"))).await.unwrap();
    node.until_state("web", AppState::Stopped).await;
    node.host.model().calls.clear();
    node
}

/// Half an hour of passes later it is stopped, and was so all the while.
async fn stays(node: &Node, after: &str) {
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_secs(60)).await;
        node.host.hint();
    }
    let snapshot = node.until_state("web", AppState::Stopped).await;
    let view = &snapshot.apps[&id("web")];
    assert_eq!(view.desired, DesiredState::Stopped, "{after}");
    assert_eq!(view.report.cause.code.as_str(), "stop-asked", "{after}: {:?}", view.report);
    let starts: Vec<String> = node.calls("start web");
    assert_eq!(starts, [""; 0], "{after}");
    assert!(!node.host.model().containers.contains_key("web"), "{after}");
}

#[tokio::test(start_paused = true)]
async fn dependants_that_are_installed_started_and_updated_do_not_start_it() {
    let node = stopped().await;
    let needs = "  requires: [{ role: chain }]\n";
    node.install(&app("notes", "1.0.0", needs, "")).await.unwrap();
    node.until_state("notes", AppState::Running).await;
    stays(&node, "an install").await;
    for kind in [
        RequestKind::Restart(id("notes")),
        RequestKind::Stop(id("notes")),
        RequestKind::Start(id("notes")),
    ] {
        node.ask(kind).await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    node.until_state("notes", AppState::Running).await;
    stays(&node, "a start").await;
    let new = app("notes", "2.0.0", needs, "").replace(IMAGE, NEW);
    node.ask(update(&new, true)).await.unwrap();
    node.until("it is updated", |snapshot| {
        let view = &snapshot.apps[&id("notes")];
        view.manifest.version == "2.0.0" && view.operation.is_none()
    })
    .await;
    stays(&node, "an update").await;
    // an app that waits for it waits
    let waits = app("late", "1.0.0", "  requires: [{ role: chain, condition: healthy }]\n", "");
    node.install(&waits).await.unwrap();
    node.until("it is installed", |snapshot| {
        snapshot.apps.get(&id("late")).is_some_and(|view| view.operation.is_none())
    })
    .await;
    stays(&node, "one that waits").await;
}

#[tokio::test(start_paused = true)]
async fn its_manifest_its_settings_and_others_updates_do_not_start_it() {
    let node = stopped().await;
    let reworded = app(
        "web",
        "1.0.1",
        &format!("  description: Words.\n{PROVIDES}"),
        &format!("{PORT}{TITLE}"),
    );
    node.ask(update(&reworded, true)).await.unwrap();
    node.until("it is taken over", |snapshot| {
        let view = &snapshot.apps[&id("web")];
        view.manifest.version == "1.0.1" && view.operation.is_none()
    })
    .await;
    stays(&node, "its manifest").await;
    let settings = BTreeMap::from([("title".to_owned(), "Welcome".into())]);
    node.ask(RequestKind::Configure { app: id("web"), settings }).await.unwrap();
    stays(&node, "a setting").await;
    node.install(&app("other", "1.0.0", "", "")).await.unwrap();
    node.until_state("other", AppState::Running).await;
    let new = app("other", "2.0.0", "", "").replace(IMAGE, NEW);
    node.ask(update(&new, true)).await.unwrap();
    node.until("the other is updated", |snapshot| {
        snapshot.apps[&id("other")].manifest.version == "2.0.0"
    })
    .await;
    stays(&node, "another's update").await;
}

#[tokio::test(start_paused = true)]
async fn neither_health_nor_drift_nor_a_cut_starts_it() {
    let mut node = stopped().await;
    // a look that still saw its container, unwell
    let mut left = {
        let model = node.host.model();
        model.containers.clone()
    };
    assert!(left.is_empty());
    node.ask(RequestKind::Start(id("web"))).await.unwrap();
    node.until_state("web", AppState::Running).await;
    left.extend(node.host.model().containers.clone());
    node.host.model().containers.get_mut("web").unwrap().health = Health::Unhealthy;
    node.host.hint();
    node.until_state("web", AppState::Unhealthy).await;
    node.ask(RequestKind::Stop(id("web"))).await.unwrap();
    node.until_state("web", AppState::Stopped).await;
    node.host.model().calls.clear();
    stays(&node, "ill health").await;
    // drift is mended, and it stays stopped
    {
        let mut model = node.host.model();
        model.unit_files.remove("web.container");
        model.images.clear();
        model.registry.insert(IMAGE.to_owned());
    }
    stays(&node, "drift").await;
    let text = node.host.model().unit_files.get("web.container").cloned().unwrap_or_default();
    assert!(!text.contains("[Install]"), "it does not start at boot:\n{text}");
    // a power cut: systemd starts at boot what is enabled
    {
        let mut model = node.host.model();
        model.containers.clear();
        model.units.clear();
        model.reload();
    }
    node.crash_and_restart().await;
    stays(&node, "a power cut").await;
}

#[tokio::test(start_paused = true)]
async fn it_is_shown_as_stopped_while_something_else_serves_its_port() {
    let node = stopped().await;
    node.install(&app(
        "ui",
        "1.0.0",
        "",
        "      ports: [{ host: 8081, container: 80, auth: gated }]\n",
    ))
    .await
    .unwrap();
    node.until_state("ui", AppState::Running).await;
    // as a companion that took over the door
    node.host.model().foreign_ports.insert((8080, Protocol::Tcp));
    stays(&node, "a companion").await;
    // and a start says what is in its way
    node.ask(RequestKind::Start(id("web"))).await.unwrap();
    let snapshot = node.until_state("web", AppState::Failed).await;
    let cause = &snapshot.apps[&id("web")].report.cause;
    assert_eq!(cause.code.as_str(), "port-taken", "{cause:?}");
    node.ask(RequestKind::Stop(id("web"))).await.unwrap();
    node.until_state("web", AppState::Stopped).await;
    stays(&node, "a start that was refused").await;
    assert!(!node.host.model().faults.contains(&Fault::PodmanAway));
}
