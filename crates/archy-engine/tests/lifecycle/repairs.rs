//! Repairs, refusals, settings and what the history says of them.

use std::collections::BTreeMap;
use std::time::Duration;

use archy_engine::RequestKind;
use archy_engine::ports::Ending;
use archy_manifest::model::Protocol;
use archy_plan::observed::ActiveState;
use archy_testkit::Fault;
use archy_types::AppState;

use crate::node::{Node, id, web};

const PORT: &str = "      ports:\n        - { host: 8080, container: 80, auth: gated }\n";
const SECRET: &str = "      secret_env: { TOKEN: web-token }\n  secrets: { web-token: hex32 }\n";
/// A file with a setting, beside what only the node knows.
const FILES: &str = r#"      volumes:
        - { type: file, source: conf/page, target: /page, read_only: true }
        - { type: file, source: conf/key, target: /key, read_only: true }
  secrets: { web-token: hex32 }
  config:
    title: { type: text, label: Title, default: Hello, targets: [{ file: conf/page }, { file: conf/key }] }
  files:
    - { path: conf/page, overwrite: true, content: "{{config:title}} at {{HOST_MDNS}}" }
    - { path: conf/key, overwrite: true, content: "{{config:title}} {{secret:web-token}}" }
"#;

async fn running(extra: &str) -> Node {
    let node = Node::start().await;
    node.install(&web("1.0.0", extra)).await.unwrap();
    node.until_state("web", AppState::Running).await;
    node.host.model().calls.clear();
    node
}

fn kinds(node: &Node) -> Vec<String> {
    node.ledger.books().operations.iter().map(|operation| operation.kind.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_deleted_unit_file_of_a_running_app_comes_back_and_nothing_restarts() {
    let node = running(PORT).await;
    {
        let mut model = node.host.model();
        model.foreign_ports.insert((8080, Protocol::Tcp));
        model.unit_files.remove("web.container").unwrap();
        model.reload();
    }
    node.host.hint();
    node.until("the repair is done", |_| {
        let books = node.ledger.books();
        books.operations.last().is_some_and(|last| last.kind == "recover" && last.ending.is_some())
    })
    .await;
    node.until_state("web", AppState::Running).await;
    assert!(node.host.model().unit_files.contains_key("web.container"));
    assert!(node.calls("stop").is_empty(), "{:?}", node.calls(""));
    assert_eq!(kinds(&node), ["install", "recover"]);
}

#[tokio::test(start_paused = true)]
async fn a_repair_that_is_refused_says_why_until_it_is_possible() {
    let node = running(PORT).await;
    {
        let mut model = node.host.model();
        // as after a boot: the port went to somebody else meanwhile
        model.foreign_ports.insert((8080, Protocol::Tcp));
        model.containers.clear();
        let unit = model.units.get_mut("web.service").unwrap();
        unit.active = ActiveState::Inactive;
        unit.active_since = None;
    }
    node.host.hint();
    let snapshot = node.until_state("web", AppState::Failed).await;
    let report = &snapshot.apps[&id("web")].report;
    assert_eq!(report.cause.code.as_str(), "port-taken");
    assert_eq!(report.repair.as_ref().unwrap().method, "package.restart");
    assert_eq!(kinds(&node), ["install"]);
    node.host.model().foreign_ports.clear();
    node.until_state("web", AppState::Running).await;
}

#[tokio::test(start_paused = true)]
async fn a_look_from_before_an_operation_ended_repairs_nothing() {
    let node = running("").await;
    node.host.model().slow_look = Some(Duration::from_secs(20));
    node.handle.poke();
    while node.host.model().slow_look.is_some() {
        tokio::task::yield_now().await;
    }
    node.ask(RequestKind::Stop(id("web"))).await.unwrap();
    node.until_state("web", AppState::Stopped).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    node.until_state("web", AppState::Stopped).await;
    assert_eq!(kinds(&node), ["install", "stop"]);
}

#[tokio::test(start_paused = true)]
async fn a_setting_reaches_files_that_hold_more_than_settings() {
    let node = running(FILES).await;
    let title = |text: &str| RequestKind::Configure {
        app: id("web"),
        settings: BTreeMap::from([("title".to_owned(), text.into())]),
    };
    node.ask(title("Welcome")).await.unwrap();
    node.until("the setting is taken over", |_| {
        let books = node.ledger.books();
        books
            .operations
            .last()
            .is_some_and(|last| last.kind == "configure" && last.ending.is_some())
    })
    .await;
    assert_eq!(node.calls("write web/"), ["write web/conf/page", "write web/conf/key"]);
    assert_eq!(node.calls("stop"), ["stop web.service"]);
    assert_eq!(node.calls("start"), ["start web.service"]);
    // and once is enough
    node.until_state("web", AppState::Running).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    node.until_state("web", AppState::Running).await;
    assert_eq!(kinds(&node), ["install", "configure"]);
}

#[tokio::test(start_paused = true)]
async fn the_history_lists_each_step_once() {
    let node = running(SECRET).await;
    let books = node.ledger.books();
    let install = &books.operations[0];
    // unit files in a row are one step of the work
    let is_file = |text: &String| text.ends_with(".container") || text.ends_with(".network");
    let files = install.planned.iter().filter(|text| is_file(text)).count();
    let others = install.planned.iter().filter(|text| !is_file(text));
    let written = format!("Write {files} unit files");
    let steps = install.steps.iter();
    assert!(others.eq(steps.filter(|text| **text != written)));
    assert_eq!(install.steps.iter().filter(|text| **text == written).count(), 1);
    assert_eq!(install.steps[0], "Generate the secret web-token");
    assert_eq!(install.steps.iter().filter(|step| step.starts_with("Pull")).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_older_version_needs_leave() {
    let node = running("").await;
    let refused = node.install(&web("0.9.0", "")).await.unwrap_err();
    assert_eq!(refused.code.as_str(), "downgrade-refused");
    assert!(refused.hint.is_some());
    assert_eq!(kinds(&node), ["install"]);
    node.install(&web("0.9.0", "  update: { downgrade: true }\n")).await.unwrap();
    node.until("the older version is there", |snapshot| {
        snapshot.apps[&id("web")].manifest.version == "0.9.0"
    })
    .await;
    node.until_state("web", AppState::Running).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_installed_is_shown_before_the_first_look() {
    let mut node = running("").await;
    node.host.model().faults.insert(Fault::PodmanAway);
    node.crash_and_restart().await;
    assert!(node.handle.snapshot().apps.contains_key("web"));
}

#[tokio::test(start_paused = true)]
async fn since_when_it_is_stopped_outlives_the_daemon() {
    let mut node = running("").await;
    node.ask(RequestKind::Stop(id("web"))).await.unwrap();
    node.until_state("web", AppState::Stopped).await;
    let stopped = archy_engine::ports::Clock::now(&node.clock);
    tokio::time::advance(Duration::from_secs(600)).await;
    // systemd forgets units that nothing holds
    node.host.model().units.clear();
    node.crash_and_restart().await;
    let snapshot = node.until_state("web", AppState::Stopped).await;
    assert!(snapshot.apps[&id("web")].report.since <= stopped);
}

#[tokio::test(start_paused = true)]
async fn the_words_of_a_failure_hold_no_secret() {
    let node = running(SECRET).await;
    {
        let mut model = node.host.model();
        // as if the unit's last words were the secret
        model.secret_files.insert("web-token".to_owned(), "start-limit-hit".to_owned());
        model.faults.insert(Fault::Crashes("web.service".to_owned()));
    }
    node.ask(RequestKind::Restart(id("web"))).await.unwrap();
    let snapshot = node.until_state("web", AppState::Failed).await;
    let operation = snapshot.apps[&id("web")].operation.as_ref().unwrap();
    assert_eq!(operation.error.as_ref().unwrap().message, "web.service: •••");
    let books = node.ledger.books();
    let ending = books.operations.last().and_then(|last| last.ending.as_ref());
    assert!(matches!(ending, Some(Ending::Failed(error)) if error.message.ends_with(": •••")));
}

#[tokio::test(start_paused = true)]
async fn what_an_operation_left_is_shown_once_it_is_seen() {
    let node = running("").await;
    node.host.model().look_takes = Duration::from_secs(1);
    for (kind, after) in [
        (RequestKind::Stop(id("web")), AppState::Stopped),
        (RequestKind::Start(id("web")), AppState::Running),
    ] {
        node.ask(kind).await.unwrap();
        let over =
            |snapshot: &archy_engine::Snapshot| snapshot.apps[&id("web")].operation.is_none();
        let over = node.until("the operation is over", over).await;
        let report = &over.apps[&id("web")].report;
        assert!(report.state.is_transient(), "{report:?}");
        node.until_state("web", after).await;
    }
}

#[tokio::test(start_paused = true)]
async fn files_that_are_written_amid_a_look_are_read_after_it() {
    let title = "  config:\n    title: { type: text, label: Title, default: Hello, targets: [{ service: main, env: TITLE }] }\n";
    let node = running(title).await;
    node.host.model().late_write = Some(Duration::from_secs(20));
    let settings = [("title".to_owned(), "New".into())].into();
    node.ask(RequestKind::Configure { app: id("web"), settings }).await.unwrap();
    while node.host.model().late_write.is_some() {
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    node.handle.poke();
    node.until("the write has failed", |_| node.ledger.books().operations[1].ending.is_some())
        .await;
    node.until_state("web", AppState::Running).await;
    let model = node.host.model();
    assert!(model.unit_files["web.container"].contains("TITLE=New"));
    assert_eq!(model.loaded, model.unit_files, "systemd has read what was written");
    let made_for = &model.containers["web"].labels["io.archipelago.generation"];
    assert_eq!(made_for, "2", "it runs with the setting");
}

#[tokio::test(start_paused = true)]
async fn looks_rest_longer_while_many_units_start() {
    let looks = async |rising: usize| {
        let node = running("").await;
        {
            let mut model = node.host.model();
            model.look_takes = Duration::from_millis(200);
            for number in 0..rising {
                let mut unit = model.units["web.service"].clone();
                unit.active = ActiveState::Activating;
                model.units.insert(format!("other-{number}.service"), unit);
            }
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        let before = node.host.model().looks;
        for _ in 0..200 {
            node.host.hint();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        node.host.model().looks - before
    };
    let (one, many) = (looks(1).await, looks(12).await);
    assert!(many * 2 <= one + 2, "{many} looks with many, {one} with one");
    assert!(many >= 8, "{many}: the last one is seen before long");
}
