//! Updates: one transaction each, with a way back.

use std::time::Duration;

use archy_engine::ports::Ending;
use archy_engine::{Accepted, Cancel, RequestKind, Snapshot};
use archy_plan::DesiredState;
use archy_testkit::Fault;
use archy_types::{Actor, AppState, UserError};

use crate::node::{IMAGE, Node, id, update, web};

const NEW: &str = "registry.example/web:2";
const PLACE: &str = "directory web/data";

/// The app in a version, with a directory of data.
fn version(version: &str, image: &str, more: &str) -> String {
    let mount = "{ type: bind, source: /var/lib/archipelago/web/data, target: /data }";
    let text = web(version, &format!("      volumes:\n        - {mount}\n{more}"));
    text.replace(IMAGE, image)
}

/// A node with version 1 running and data written.
async fn running() -> Node {
    let node = Node::start().await;
    node.host.model().registry.insert(NEW.to_owned());
    node.install(&version("1.0.0", IMAGE, "")).await.unwrap();
    node.until_state("web", AppState::Running).await;
    let mut model = node.host.model();
    model.data.insert(PLACE.to_owned(), "precious".to_owned());
    model.calls.clear();
    drop(model);
    node
}

fn ended(node: &Node, number: usize) -> Option<Ending> {
    node.ledger.books().operations[number - 1].ending.clone()
}

async fn until_ended(node: &Node, number: usize) -> Ending {
    let what = format!("operation {number} has ended");
    node.until(&what, |_| ended(node, number).is_some()).await;
    node.until("nothing is at work", |snapshot| {
        snapshot.apps.get(&id("web")).is_some_and(|view| {
            view.operation.as_ref().is_none_or(|operation| operation.error.is_some())
        })
    })
    .await;
    ended(node, number).unwrap()
}

fn at(snapshot: &Snapshot) -> (&str, AppState) {
    let view = &snapshot.apps[&id("web")];
    (&view.manifest.version, view.report.state)
}

fn data(node: &Node) -> String {
    node.host.model().data[PLACE].clone()
}

fn image(node: &Node) -> String {
    let text = node.host.model().unit_files["web.container"].clone();
    text.lines().find_map(|line| line.strip_prefix("Image=")).unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_good_update_is_saved_soaked_and_committed() {
    let node = running().await;
    node.ask(update(&version("2.0.0", NEW, ""), false)).await.unwrap();
    assert_eq!(until_ended(&node, 2).await, Ending::Done);
    node.until_state("web", AppState::Running).await;
    assert_eq!(image(&node), NEW);
    let calls: Vec<String> = node.calls("");
    let place = |start: &str| calls.iter().position(|call| call.starts_with(start)).unwrap();
    let order = ["pull", "stop web", "snapshot web 2", "write web.container", "start web"];
    assert!(order.map(place).is_sorted(), "{calls:?}");
    let steps = node.ledger.books().operations[1].steps.clone();
    assert!(steps.last().unwrap().starts_with("Watch for 60 s"), "{steps:?}");
    assert_eq!(node.host.model().snapshots[&id("web")].len(), 1);
    assert_eq!(data(&node), "precious");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_start_or_hold_out_goes_back_with_its_data() {
    for fault in [Fault::BadImage(NEW.to_owned()), Fault::SickImage(NEW.to_owned())] {
        let node = running().await;
        node.host.model().faults.insert(fault.clone());
        node.ask(update(&version("2.0.0", NEW, ""), false)).await.unwrap();
        let Ending::RolledBack(error) = until_ended(&node, 2).await else { panic!("{fault:?}") };
        assert!(error.message.starts_with("The update of Web to 2.0.0 failed: "), "{error}");
        assert!(error.message.contains("It is back at 1.0.0, with the data of 20"), "{error}");
        let snapshot = node.until_state("web", AppState::Running).await;
        assert_eq!(at(&snapshot), ("1.0.0", AppState::Running), "{fault:?}");
        let report = &snapshot.apps[&id("web")].report;
        assert_eq!(report.cause.code.as_str(), "update-taken-back");
        assert_eq!((data(&node).as_str(), image(&node).as_str()), ("precious", IMAGE));
        assert!(node.ledger.books().previous.is_empty());
    }
}

const HOOKS: &str = "  hooks:\n    pre_update:\n      - { exec: [check], timeout: 9s, idempotent: true }\n    post_update:\n      - { exec: [shape, write, half], idempotent: true }\n      - { exec: [finish], timeout: 9s, idempotent: true }\n";

#[tokio::test(start_paused = true)]
async fn hooks_of_an_update_run_once_each_and_their_words_are_kept() {
    let node = running().await;
    node.ask(update(&version("2.0.0", NEW, HOOKS), false)).await.unwrap();
    assert_eq!(until_ended(&node, 2).await, Ending::Done);
    assert_eq!(
        node.calls("exec"),
        ["exec web check", "exec web shape write half", "exec web finish"]
    );
    let calls = node.calls("");
    let place = |start: &str| calls.iter().position(|call| call.starts_with(start)).unwrap();
    let order = ["exec web check", "stop web", "snapshot web 2", "start web", "exec web shape"];
    assert!(order.map(place).is_sorted(), "{calls:?}");
    let said = node.ledger.books().operations[1].said.join("\n");
    assert!(said.contains("check in main (exit 0)") && said.contains("finish in main (exit 0)"));
    node.until_state("web", AppState::Running).await;
    assert_eq!(data(&node), "half");
}

#[tokio::test(start_paused = true)]
async fn a_hook_of_an_update_that_fails_or_hangs_takes_it_back_with_its_data() {
    for (word, ran) in [("check", false), ("finish", true)] {
        for (fault, code) in [
            (Fault::HookFails(word.to_owned()), "hook-failed"),
            (Fault::HookHangs(word.to_owned()), "hook-timeout"),
        ] {
            let node = running().await;
            node.host.model().faults.insert(fault.clone());
            node.ask(update(&version("2.0.0", NEW, HOOKS), false)).await.unwrap();
            let Ending::RolledBack(error) = until_ended(&node, 2).await else {
                panic!("{fault:?}")
            };
            assert_eq!(error.code.as_str(), code, "{error}");
            let told = if ran { "with the data of 20" } else { "its data was not touched" };
            assert!(error.message.contains(told), "{fault:?}: {error}");
            let snapshot = node.until_state("web", AppState::Running).await;
            assert_eq!(at(&snapshot), ("1.0.0", AppState::Running), "{fault:?}");
            assert_eq!((data(&node).as_str(), image(&node).as_str()), ("precious", IMAGE));
            assert_eq!(node.calls("stop").is_empty(), !ran, "{fault:?}");
        }
    }
}

/// The hook before a stop belongs to a version that is not well: it holds no return back.
#[tokio::test(start_paused = true)]
async fn a_return_does_not_wait_for_the_hook_before_a_stop() {
    let flush = "  hooks: { pre_stop: [{ exec: [flush], timeout: 9s, idempotent: true }] }\n";
    for fault in [Fault::HookFails("flush".to_owned()), Fault::HookHangs("flush".to_owned())] {
        let node = Node::start().await;
        node.host.model().registry.insert(NEW.to_owned());
        node.install(&version("1.0.0", IMAGE, flush)).await.unwrap();
        node.until_state("web", AppState::Running).await;
        node.host.model().data.insert(PLACE.to_owned(), "precious".to_owned());
        node.host.model().faults.insert(Fault::SickImage(NEW.to_owned()));
        node.ask(update(&version("2.0.0", NEW, flush), false)).await.unwrap();
        until_at_work(&node, "Watch").await;
        node.host.model().faults.insert(fault.clone());
        let Ending::RolledBack(error) = until_ended(&node, 2).await else { panic!("{fault:?}") };
        assert!(error.message.contains("It is back at 1.0.0, with the data of 20"), "{error}");
        assert_eq!((data(&node).as_str(), image(&node).as_str()), ("precious", IMAGE));
    }
}

#[tokio::test(start_paused = true)]
async fn a_pull_that_fails_touches_nothing() {
    let node = running().await;
    node.host.model().faults.insert(Fault::PullFails);
    node.ask(update(&version("2.0.0", NEW, ""), false)).await.unwrap();
    let Ending::RolledBack(error) = until_ended(&node, 2).await else { panic!() };
    assert_eq!(error.code.as_str(), "pull-failed");
    assert!(error.message.ends_with("It is back at 1.0.0, and its data was not touched."));
    assert_eq!(node.calls("stop"), [""; 0]);
    let snapshot = node.until_state("web", AppState::Running).await;
    assert_eq!(at(&snapshot).0, "1.0.0");
}

#[tokio::test(start_paused = true)]
async fn a_plan_tells_what_arrives_and_how_long_the_app_was_away_the_last_time() {
    let node = running().await;
    let told = async |text: &str| {
        let request = archy_engine::Request { actor: Actor::System, kind: update(text, false) };
        let plan = node.handle.plan(request).await.unwrap();
        let of = |code: &str| {
            let found = plan.checks.iter().find(|check| check.code.as_str() == code);
            found.map(|check| check.message.clone()).unwrap_or_default()
        };
        (of("update-arrives"), of("update-downtime"))
    };
    node.host.model().image_sizes.insert(IMAGE.to_owned(), 300 << 20);
    let next = version("2.0.0", NEW, "");
    let (arrives, away) = told(&next).await;
    assert!(arrives.contains(NEW) && arrives.contains("takes 300.0 MiB"), "{arrives}");
    assert!(away.contains("not known yet"), "{away}");
    // the snapshot of this one takes its time
    node.ask(update(&next, false)).await.unwrap();
    assert_eq!(until_ended(&node, 2).await, Ending::Done);
    let (_, away) = told(&version("2.1.0", IMAGE, "")).await;
    assert!(away.contains("the last time that took 0 s"), "{away}");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_too_small_refuses_and_changes_nothing() {
    let node = running().await;
    {
        let mut model = node.host.model();
        model.disk_free = Some(2 << 30);
        model.data_sizes.insert(id("web"), 3 << 30);
    }
    let refused = node.ask(update(&version("2.0.0", NEW, ""), false)).await.unwrap_err();
    assert_eq!(refused.code.as_str(), "disk-snapshot");
    assert!(
        refused.message.contains("3.0 GiB") && refused.message.contains("2.0 GiB"),
        "{refused}"
    );
    assert_eq!(node.calls(""), [""; 0]);
    assert_eq!(node.ledger.books().operations.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn wider_rights_need_consent_to_this_manifest() {
    let node = running().await;
    let rights = "      security: { capabilities: [NET_ADMIN], capabilities_rationale: routes }\n";
    let text = version("2.0.0", NEW, rights);
    let refused: UserError = node.ask(update(&text, false)).await.unwrap_err();
    assert_eq!(refused.code.as_str(), "consent-needed");
    assert!(refused.message.contains("NET_ADMIN"), "{refused}");
    node.ask(update(&text, true)).await.unwrap();
    assert_eq!(until_ended(&node, 2).await, Ending::Done);
}

#[tokio::test(start_paused = true)]
async fn older_versions_and_apps_that_are_not_there_are_refused() {
    let node = running().await;
    let refused = node.ask(update(&version("0.9.0", NEW, ""), false)).await.unwrap_err();
    assert_eq!(refused.code.as_str(), "downgrade-refused");
    assert_eq!(node.calls("pull"), [""; 0]);
    let other = version("1.0.0", NEW, "").replace("id: web", "id: other");
    let other = other.replace("archipelago/web", "archipelago/other");
    let refused = node.ask(update(&other, false)).await.unwrap_err();
    assert_eq!(refused.code.as_str(), "app-not-installed");
    let same = node.ask(update(&version("1.0.0", IMAGE, ""), false)).await;
    assert_eq!(same, Ok(Accepted::AlreadySo));
    let kind = RequestKind::Rollback { app: id("web"), keep_data: false };
    assert_eq!(node.ask(kind).await.unwrap_err().code.as_str(), "rollback-impossible");
}

#[tokio::test(start_paused = true)]
async fn a_stopped_app_is_updated_and_stays_stopped() {
    let node = running().await;
    node.ask(RequestKind::Stop(id("web"))).await.unwrap();
    node.until_state("web", AppState::Stopped).await;
    node.ask(update(&version("2.0.0", NEW, ""), false)).await.unwrap();
    assert_eq!(until_ended(&node, 3).await, Ending::Done);
    let snapshot = node.until_state("web", AppState::Stopped).await;
    assert_eq!(at(&snapshot), ("2.0.0", AppState::Stopped));
    assert_eq!(snapshot.apps[&id("web")].desired, DesiredState::Stopped);
    assert!(node.host.model().containers.is_empty());
    assert_eq!(node.host.model().snapshots[&id("web")].len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_owner_takes_an_update_back() {
    let node = running().await;
    node.ask(update(&version("2.0.0", NEW, ""), false)).await.unwrap();
    assert_eq!(until_ended(&node, 2).await, Ending::Done);
    node.until_state("web", AppState::Running).await;
    node.host.model().data.insert(PLACE.to_owned(), "newer".to_owned());
    let keep = RequestKind::Rollback { app: id("web"), keep_data: true };
    assert_eq!(node.ask(keep).await.unwrap_err().code.as_str(), "downgrade-refused");
    let back = RequestKind::Rollback { app: id("web"), keep_data: false };
    let request = archy_engine::Request { actor: archy_types::Actor::System, kind: back.clone() };
    let plan = node.handle.plan(request).await.unwrap();
    let codes: Vec<&str> = plan.checks.iter().map(|check| check.code.as_str()).collect();
    assert!(codes.contains(&"data-since-lost"), "{}", plan.to_text());
    node.host.model().images.remove(IMAGE);
    assert_eq!(node.ask(back.clone()).await.unwrap_err().code.as_str(), "image-missing");
    node.host.model().images.insert(IMAGE.to_owned());
    node.ask(back).await.unwrap();
    assert_eq!(until_ended(&node, 3).await, Ending::Done);
    let snapshot = node.until_state("web", AppState::Running).await;
    assert_eq!(at(&snapshot).0, "1.0.0");
    assert_eq!((data(&node).as_str(), image(&node).as_str()), ("precious", IMAGE));
}

/// Kills the engine at each of its calls and journal notes in turn, and starts it again: in the
/// end it is the old version with the old data, or the new one.
#[tokio::test(start_paused = true)]
async fn a_crash_anywhere_ends_old_or_new() {
    for (fault, expected) in [
        (None, ("2.0.0", NEW)),
        (Some(Fault::BadImage(NEW.to_owned())), ("1.0.0", IMAGE)),
        (Some(Fault::SickImage(NEW.to_owned())), ("1.0.0", IMAGE)),
    ] {
        for crash in 1..40 {
            let mut node = running().await;
            node.host.model().faults.extend(fault.clone());
            node.ask(update(&version("2.0.0", NEW, ""), false)).await.unwrap();
            let point = async {
                while node.host.model().calls.len() + node.ledger.books().operations[1].steps.len()
                    < crash
                    && ended(&node, 2).is_none()
                {
                    tokio::task::yield_now().await;
                    tokio::time::advance(Duration::from_millis(300)).await;
                }
            };
            point.await;
            node.crash_and_restart().await;
            let ending = until_ended(&node, 2).await;
            let snapshot = node.until_state("web", AppState::Running).await;
            assert_eq!(at(&snapshot).0, expected.0, "{fault:?} at {crash}: {ending:?}");
            assert_eq!(image(&node), expected.1);
            assert_eq!(data(&node), "precious", "{fault:?} at {crash}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_old_version_wrote_before_a_power_cut_is_in_the_snapshot() {
    let mut node = running().await;
    node.host.model().faults.insert(Fault::BadImage(NEW.to_owned()));
    node.ask(update(&version("2.0.0", NEW, ""), false)).await.unwrap();
    while node.host.model().snapshots.is_empty() {
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    let deployed = image(&node);
    node.crash_and_restart().await;
    assert_eq!(deployed, IMAGE, "the cut comes between the snapshot and the new units");
    let before = "written after the boot";
    node.host.model().data.insert(PLACE.to_owned(), before.to_owned());
    until_ended(&node, 2).await;
    node.until_state("web", AppState::Running).await;
    assert_eq!(data(&node), before);
}

#[tokio::test(start_paused = true)]
async fn snapshots_are_kept_for_their_time_and_only_the_last() {
    let node = running().await;
    node.ask(update(&version("2.0.0", NEW, ""), false)).await.unwrap();
    assert_eq!(until_ended(&node, 2).await, Ending::Done);
    node.ask(update(&version("2.1.0", IMAGE, ""), false)).await.unwrap();
    assert_eq!(until_ended(&node, 3).await, Ending::Done);
    let kept = |node: &Node| -> Vec<u64> {
        let model = node.host.model();
        model.snapshots.get(&id("web")).into_iter().flatten().map(|(at, _)| at.0).collect()
    };
    assert_eq!(kept(&node), [3]);
    tokio::time::advance(Duration::from_secs(86_400 * 8)).await;
    node.handle.poke();
    let host = node.host.clone();
    node.until("it is pruned", move |_| host.model().snapshots.is_empty()).await;
}

/// The app in a version whose parts are named by nobody later.
fn with_old_parts(number: u32) -> String {
    let old = match number {
        1 => {
            "    old:\n      image: registry.example/web:1\n      secret_env: { KEY: web-old }\n      \
             volumes:\n        - { type: volume, source: old, target: /old }\n  named_volumes: { old: {} }\n  \
             secrets: { web-old: hex32 }\n"
        }
        _ => "",
    };
    web(&format!("{number}.0.0"), old)
}

#[tokio::test(start_paused = true)]
async fn a_purge_takes_what_an_older_version_named() {
    let node = Node::start().await;
    node.install(&with_old_parts(1)).await.unwrap();
    node.until_state("web", AppState::Running).await;
    node.ask(update(&with_old_parts(2), true)).await.unwrap();
    assert_eq!(until_ended(&node, 2).await, Ending::Done);
    {
        let mut model = node.host.model();
        assert!(model.volumes.contains("web-old") && model.secret_files.contains_key("web-old"));
        model.volumes.insert("webcam-data".to_owned());
        model.secret_files.insert("webcam-token".to_owned(), "x".to_owned());
    }
    let kind = RequestKind::Uninstall { app: id("web"), purge: true };
    let request = archy_engine::Request { actor: archy_types::Actor::System, kind: kind.clone() };
    let told = node.handle.plan(request).await.unwrap().to_text();
    assert!(told.contains("web-old"), "{told}");
    node.ask(kind).await.unwrap();
    node.until("it is gone", |snapshot| snapshot.apps.is_empty()).await;
    let model = node.host.model();
    assert_eq!(model.volumes, ["webcam-data".to_owned()].into());
    assert_eq!(model.secret_files.keys().collect::<Vec<_>>(), ["webcam-token"]);
    assert!(model.podman_secrets.is_empty() && model.unit_files.is_empty());
    assert_eq!(model.purged_logs, ["web".to_owned(), "web-old".to_owned()].into());
}

#[tokio::test(start_paused = true)]
async fn an_install_over_a_stopped_app_that_is_turned_back_leaves_it_stopped() {
    // what is asked for meanwhile stands
    for started in [false, true] {
        let node = running().await;
        node.ask(RequestKind::Stop(id("web"))).await.unwrap();
        node.until_state("web", AppState::Stopped).await;
        node.host.model().faults.insert(Fault::SickImage(NEW.to_owned()));
        node.install(&version("2.0.0", NEW, "")).await.unwrap();
        if started {
            node.until("it is at work", |snapshot| {
                snapshot.apps[&id("web")].operation.as_ref().is_some_and(|it| it.step.0 > 1)
            })
            .await;
            node.ask(RequestKind::Start(id("web"))).await.unwrap();
        }
        assert!(matches!(until_ended(&node, 3).await, Ending::RolledBack(_)));
        let state = if started { AppState::Running } else { AppState::Stopped };
        let snapshot = node.until_state("web", state).await;
        assert_eq!(at(&snapshot), ("1.0.0", state));
        assert_eq!(node.host.model().containers.is_empty(), !started);
        assert_eq!((data(&node).as_str(), image(&node).as_str()), ("precious", IMAGE));
    }
}

/// Cancels what is at work on the app.
async fn cancel(node: &Node) -> Result<(), String> {
    let wish = Cancel { actor: Actor::User("ann".into()), app: id("web"), operation: None };
    node.handle.cancel(wish).await.map(drop).map_err(|error| error.code.as_str().to_owned())
}

async fn until_at_work(node: &Node, step: &str) {
    node.until(step, |snapshot| {
        let operation = snapshot.apps.get(&id("web")).and_then(|view| view.operation.as_ref());
        operation.is_some_and(|operation| operation.text.starts_with(step))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_update_is_cancelled_before_and_amid_its_soak() {
    for (fault, step) in [(Some(Fault::PullHangs), "Pull"), (None, "Watch")] {
        let node = running().await;
        node.host.model().faults.extend(fault.clone());
        node.ask(update(&version("2.0.0", NEW, ""), false)).await.unwrap();
        until_at_work(&node, step).await;
        node.host.model().data.insert(PLACE.to_owned(), "written since".to_owned());
        cancel(&node).await.unwrap();
        let Ending::Cancelled(error) = until_ended(&node, 2).await else { panic!("{step}") };
        assert!(error.message.contains("ann cancelled the update of Web to 2.0.0"), "{error}");
        let snapshot = node.until_state("web", AppState::Running).await;
        assert_eq!((at(&snapshot).0, image(&node).as_str()), ("1.0.0", IMAGE));
        // before the stop nothing was touched, after it the data goes back as well
        let kept = if fault.is_some() { "written since" } else { "precious" };
        assert_eq!(data(&node), kept, "{step}");
        assert_eq!(cancel(&node).await, Err("nothing-to-cancel".to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn an_installation_that_is_cancelled_leaves_nothing_but_data() {
    let node = Node::start().await;
    node.host.model().faults.insert(Fault::PullHangs);
    node.install(&version("1.0.0", IMAGE, "")).await.unwrap();
    until_at_work(&node, "Pull").await;
    cancel(&node).await.unwrap();
    node.until("it is gone", |snapshot| snapshot.apps.is_empty()).await;
    let model = node.host.model();
    assert!(model.unit_files.is_empty() && model.containers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_has_no_way_back_is_not_cancelled() {
    let node = running().await;
    assert_eq!(cancel(&node).await, Err("nothing-to-cancel".to_owned()));
    node.ask(RequestKind::Stop(id("web"))).await.unwrap();
    node.until_state("web", AppState::Stopped).await;
    node.host.model().images.clear();
    node.host.model().faults.insert(Fault::PullHangs);
    node.ask(RequestKind::Start(id("web"))).await.unwrap();
    until_at_work(&node, "Pull").await;
    assert_eq!(cancel(&node).await, Err("cancel-impossible".to_owned()));
    let node = running().await;
    node.host.model().faults.insert(Fault::SnapshotHangs);
    node.ask(update(&version("2.0.0", NEW, ""), false)).await.unwrap();
    until_at_work(&node, "Take a snapshot").await;
    assert_eq!(cancel(&node).await, Err("cancel-unsafe".to_owned()));
}
