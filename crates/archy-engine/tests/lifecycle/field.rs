//! What users of other systems complain of, each as a conversation that must end well here.

use std::time::Duration;

use archy_engine::RequestKind;
use archy_engine::ports::{Clock, Ending};
use archy_plan::DesiredState;
use archy_plan::observed::ActiveState;
use archy_testkit::{FakeHost, Fault};
use archy_types::AppState;

use crate::node::{Node, id, update};

fn image(id: &str, version: u32) -> String {
    format!("registry.example/{id}:{version}")
}

fn app(id: &str, version: u32, parts: &str) -> String {
    let image = image(id, version);
    format!(
        "app:\n  id: {id}\n  name: {id}\n  version: {version}.0.0\n  update: {{ soak: 6s }}\n  services:\n    main:\n      image: {image}\n{parts}"
    )
}

/// A node on which these apps run in their first version.
async fn running(apps: &[&str]) -> Node {
    let node = Node::start().await;
    for app_id in apps {
        let images = [image(app_id, 1), image(app_id, 2)];
        node.host.model().registry.extend(images);
        node.install(&app(app_id, 1, "")).await.unwrap();
        node.until_state(app_id, AppState::Running).await;
    }
    node.host.model().calls.clear();
    node
}

/// How the last operation of an app ended.
async fn ended(node: &Node, app: &str) -> Ending {
    let of = id(app);
    let ending = || {
        let books = node.ledger.books();
        books.operations.iter().rfind(|operation| operation.app == of)?.ending.clone()
    };
    node.until(&format!("the operation of {app} has ended"), |_| ending().is_some()).await;
    ending().unwrap()
}

fn version(node: &Node, app: &str) -> String {
    node.handle.snapshot().apps[&id(app)].manifest.version.clone()
}

/// As systemd has it between two tries of an app that ends at once.
fn loops(host: &FakeHost, unit: &str) {
    let mut model = host.model();
    let state = model.units.get_mut(unit).unwrap();
    state.active = ActiveState::Activating;
    state.sub = "auto-restart".to_owned();
    state.result = "exit-code".to_owned();
    state.exit_status = Some(1);
    state.restarts += 1;
    model.containers.remove(unit.trim_end_matches(".service"));
}

#[tokio::test(start_paused = true)]
async fn an_update_whose_old_app_will_not_stop_ends_with_the_old_app() {
    let node = running(&["web"]).await;
    let stuck = Fault::WillNotStop("web.service".to_owned());
    node.host.model().faults.insert(stuck);
    node.ask(update(&app("web", 2, ""), false)).await.unwrap();
    let error = match ended(&node, "web").await {
        Ending::RolledBack(error) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(error.code.as_str(), "stop-timeout");
    assert!(error.message.contains("It is back at 1.0.0, and its data was not touched"), "{error}");
    node.until_state("web", AppState::Running).await;
    assert_eq!(version(&node, "web"), "1.0.0");
    // and it is not stuck there
    node.host.model().faults.clear();
    node.ask(update(&app("web", 2, ""), false)).await.unwrap();
    assert_eq!(ended(&node, "web").await, Ending::Done);
    node.until_state("web", AppState::Running).await;
    assert_eq!(version(&node, "web"), "2.0.0");
}

#[tokio::test(start_paused = true)]
async fn an_app_amid_a_crash_loop_is_stopped_updated_and_removed() {
    for wish in ["stop", "update", "uninstall"] {
        let node = running(&["web"]).await;
        loops(&node.host, "web.service");
        node.host.hint();
        let snapshot = node.until_state("web", AppState::Starting).await;
        let report = &snapshot.apps[&id("web")].report;
        assert_eq!(report.cause.code.as_str(), "service-restarting", "{report:?}");
        assert!(report.deadline.is_some(), "it does not loop for ever: {report:?}");
        match wish {
            "stop" => {
                node.ask(RequestKind::Stop(id("web"))).await.unwrap();
                node.until_state("web", AppState::Stopped).await;
            }
            "update" => {
                node.ask(update(&app("web", 2, ""), false)).await.unwrap();
                assert_eq!(ended(&node, "web").await, Ending::Done);
                node.until_state("web", AppState::Running).await;
                assert_eq!(version(&node, "web"), "2.0.0");
            }
            _ => {
                node.ask(RequestKind::Uninstall { app: id("web"), purge: false }).await.unwrap();
                node.until("it is gone", |snapshot| snapshot.apps.is_empty()).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn apps_that_loop_do_not_slow_the_control_of_others() {
    let names: Vec<String> = (0..8).map(|number| format!("loop{number}")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).chain(["web"]).collect();
    let node = running(&all).await;
    node.host.model().look_takes = Duration::from_millis(200);
    let host = node.host.clone();
    let noise = tokio::spawn(async move {
        loop {
            for name in &names {
                loops(&host, &format!("{name}.service"));
                host.hint();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
    tokio::time::sleep(Duration::from_secs(60)).await;
    for (wish, state) in [
        (RequestKind::Stop(id("web")), AppState::Stopped),
        (RequestKind::Start(id("web")), AppState::Running),
        (RequestKind::Restart(id("web")), AppState::Running),
    ] {
        let began = node.clock.now();
        node.ask(wish.clone()).await.unwrap();
        assert!(node.clock.now().seconds_since(began) <= 1, "{wish:?} is answered at once");
        node.until_state("web", state).await;
        let took = node.clock.now().seconds_since(began);
        assert!(took <= 10, "{wish:?} took {took} s");
    }
    noise.abort();
    let looping = node.handle.snapshot().apps[&id("loop0")].report.clone();
    assert_eq!(looping.state, AppState::Starting, "{looping:?}");
    assert!(node.calls("start loop").is_empty(), "systemd tries again, nobody else");
}

#[tokio::test(start_paused = true)]
async fn updates_of_several_apps_do_not_hang_on_a_stopped_or_a_broken_one() {
    let all = ["bad", "good", "lost", "rests", "sick", "slow"];
    let node = running(&all).await;
    node.ask(RequestKind::Stop(id("rests"))).await.unwrap();
    node.until_state("rests", AppState::Stopped).await;
    {
        let mut model = node.host.model();
        model.faults.insert(Fault::BadImage(image("bad", 2)));
        model.faults.insert(Fault::SickImage(image("sick", 2)));
        model.faults.insert(Fault::WillNotStop("slow.service".to_owned()));
        model.registry.remove(&image("lost", 2));
    }
    for name in all {
        node.ask(update(&app(name, 2, ""), false)).await.unwrap();
    }
    for name in ["good", "rests"] {
        assert_eq!(ended(&node, name).await, Ending::Done, "{name}");
        assert_eq!(version(&node, name), "2.0.0", "{name}");
    }
    for name in ["bad", "lost", "sick", "slow"] {
        let ending = ended(&node, name).await;
        assert!(matches!(ending, Ending::RolledBack(_)), "{name}: {ending:?}");
        node.until_state(name, AppState::Running).await;
        assert_eq!(version(&node, name), "1.0.0", "{name}");
    }
    node.until_state("good", AppState::Running).await;
    let snapshot = node.until_state("rests", AppState::Stopped).await;
    assert_eq!(snapshot.apps[&id("rests")].desired, DesiredState::Stopped);
}

#[tokio::test(start_paused = true)]
async fn the_platforms_own_ports_are_refused_with_the_reason_and_a_free_one() {
    for port in [80, 443] {
        let node = running(&[]).await;
        node.host.model().registry.insert(image("web", 1));
        let parts = format!("      ports: [{{ host: {port}, container: 80, auth: gated }}]\n");
        let refused = node.install(&app("web", 1, &parts)).await.unwrap_err();
        assert_eq!(refused.code.as_str(), "port-privileged", "{port}");
        assert!(refused.message.contains(&format!("Port {port}/tcp needs rights")), "{refused}");
        assert!(refused.hint.unwrap().contains(&format!("{}", port + 8000)));
        let model = node.host.model();
        assert!(model.unit_files.is_empty() && model.images.is_empty());
        assert!(node.ledger.books().operations.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_refuses_or_is_dead_leaves_the_app_untouched() {
    let limit = "toomanyrequests: You have reached your pull rate limit (429).";
    let dead = "dial tcp 192.0.2.9:443: connect: no route to host";
    for fault in [
        Fault::PullRefused(limit.to_owned()),
        Fault::PullRefused(dead.to_owned()),
        Fault::PullHangs,
    ] {
        let node = running(&["web"]).await;
        node.host.model().faults.insert(fault.clone());
        let container = node.host.model().containers["web"].clone();
        node.ask(update(&app("web", 2, ""), false)).await.unwrap();
        if fault == Fault::PullHangs {
            tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
        }
        let error = match ended(&node, "web").await {
            Ending::RolledBack(error) => error,
            other => panic!("{fault:?}: {other:?}"),
        };
        if let Fault::PullRefused(text) = &fault {
            assert!(error.message.contains(text), "{error}");
        }
        assert!(
            error.message.ends_with("It is back at 1.0.0, and its data was not touched."),
            "{error}"
        );
        node.until_state("web", AppState::Running).await;
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(node.host.model().containers["web"], container, "{fault:?}");
        assert!(node.calls("pull").len() <= 1, "nobody knocks again: {:?}", node.calls("pull"));
        assert!(node.calls("stop").is_empty() && node.calls("start").is_empty());
        // the old image is there: a restart needs no registry
        node.ask(RequestKind::Restart(id("web"))).await.unwrap();
        assert_eq!(ended(&node, "web").await, Ending::Done, "{fault:?}");
    }
}
