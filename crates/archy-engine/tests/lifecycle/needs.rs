//! Apps that need others: they wait with a cause, go on by themselves, and are not started in a loop.

use std::time::Duration;

use archy_engine::RequestKind;
use archy_plan::observed::ActiveState;
use archy_testkit::Fault;
use archy_types::AppState;

use crate::node::{IMAGE, Node, id};

fn app(id: &str, version: &str, more: &str) -> String {
    format!(
        "app:\n  id: {id}\n  name: {id}\n  version: {version}\n{more}  services:\n    main:\n      image: {IMAGE}\n"
    )
}

fn base(version: &str) -> String {
    let provides = format!("  provides: [{{ role: chain, version: {version} }}]\n");
    let ready = "      ready: [{ log_line: done, timeout: 60s }]\n";
    app("base", version, &provides) + ready
}

/// A node with both of them, and the one that needs the other is down, as after a cut.
async fn down(needs: &str) -> Node {
    let node = Node::start().await;
    node.install(&base("28.0.0")).await.unwrap();
    node.until_state("base", AppState::Running).await;
    let needs = format!("  requires: [{{ role: chain, {needs} }}]\n");
    node.install(&app("notes", "1.0.0", &needs)).await.unwrap();
    node.until_state("notes", AppState::Running).await;
    {
        let mut model = node.host.model();
        let unit = model.units.get_mut("notes.service").unwrap();
        unit.active = ActiveState::Inactive;
        unit.active_since = None;
        model.containers.remove("notes");
        model.calls.clear();
    }
    node
}

#[tokio::test(start_paused = true)]
async fn an_app_waits_until_the_one_that_it_needs_is_ready() {
    let node = down("condition: ready").await;
    {
        let mut model = node.host.model();
        model.faults.insert(Fault::NotReady("base".to_owned()));
        // as systemd makes it anew
        model.made += 1;
        let fresh = format!("{:064x}", model.made);
        model.containers.get_mut("base").unwrap().id = fresh;
    }
    node.host.hint();
    let waiting = node.until_state("notes", AppState::Waiting).await;
    let report = &waiting.apps[&id("notes")].report;
    assert_eq!(report.cause.code.as_str(), "dependency-down");
    assert!(report.cause.text.contains("base, of which main is not ready yet"), "{report:?}");
    let next = report.next.as_ref().unwrap();
    let now = archy_engine::ports::Clock::now(&node.clock);
    assert!(next.at.is_some_and(|at| at > now), "{report:?}");
    assert_eq!(report.deadline, None, "it may take as long as it takes");
    // a wish changes nothing about that, and is not forgotten
    node.ask(RequestKind::Start(id("notes"))).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1800)).await;
    node.until_state("notes", AppState::Waiting).await;
    assert!(node.calls("start notes").is_empty());
    node.host.model().faults.clear();
    node.until_state("notes", AppState::Running).await;
    assert_eq!(node.calls("start notes"), ["start notes.service"]);
    assert!(node.calls("stop").is_empty(), "nobody was stopped for it");
}

#[tokio::test(start_paused = true)]
async fn an_app_is_not_started_into_a_loop_on_a_version_that_it_was_not_made_for() {
    let node = down("version: \"<29\"").await;
    // it would end at once
    let crashes = Fault::Crashes("notes.service".to_owned());
    node.host.model().faults.insert(crashes.clone());
    node.install(&base("29.0.0")).await.unwrap();
    node.until("the other is updated", |snapshot| {
        let view = &snapshot.apps[&id("base")];
        view.manifest.version == "29.0.0" && view.operation.is_none()
    })
    .await;
    node.until_state("base", AppState::Running).await;
    node.host.model().calls.clear();
    let waiting = node.until_state("notes", AppState::Waiting).await;
    let text = &waiting.apps[&id("notes")].report.cause.text;
    assert_eq!(text, "It needs base <29; installed is 29.0.0.");
    node.ask(RequestKind::Start(id("notes"))).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(node.calls("start notes").is_empty(), "{:?}", node.calls(""));
    // the version that it was made for releases it
    node.host.model().faults.clear();
    node.ask(RequestKind::Rollback { app: id("base"), keep_data: false }).await.unwrap();
    node.until_state("notes", AppState::Running).await;
}

#[tokio::test(start_paused = true)]
async fn a_circle_is_refused_before_anything_is_journaled() {
    let node = Node::start().await;
    let one = app("one", "1.0.0", "  requires: [{ app: two, optional: true }]\n");
    node.install(&one).await.unwrap();
    node.until_state("one", AppState::Running).await;
    let two = app("two", "1.0.0", "  requires: [{ app: one }]\n");
    node.install(&two).await.unwrap();
    node.until_state("two", AppState::Running).await;
    // its next version cannot do without the other any more
    let closes = app("one", "1.1.0", "  requires: [{ app: two }]\n");
    let refused = node.install(&closes).await.unwrap_err();
    assert_eq!(refused.code.as_str(), "dependency-cycle");
    assert!(refused.message.contains("one → two → one") && refused.hint.is_some(), "{refused}");
    assert_eq!(node.ledger.books().operations.len(), 2);
    node.until_state("one", AppState::Running).await;
}
