//! Hooks: in order, bounded, with what they said kept; in every fresh container, or once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use archy_engine::RequestKind;
use archy_engine::ports::Ending;
use archy_manifest::Manifest;
use archy_manifest::model::Protocol;
use archy_plan::observed::{ActiveState, FileState};
use archy_testkit::Fault;
use archy_types::{AppState, Digest, UserError};

use crate::node::{Node, id, web};

const PARTS: &str = "      ports:\n        - { host: 8080, container: 80, auth: gated }\n      \
                     secret_env: { TOKEN: web-token }\n  secrets: { web-token: hex32 }\n";

/// The app with hooks, one line each: the point and its steps.
fn hooked(hooks: &[(&str, &str)]) -> String {
    let lines = hooks.iter().map(|(point, steps)| format!("    {point}: {steps}\n"));
    web("1.0.0", &format!("{PARTS}  hooks:\n{}", lines.collect::<String>()))
}

async fn running(hooks: &[(&str, &str)]) -> Node {
    let node = Node::start().await;
    node.install(&hooked(hooks)).await.unwrap();
    node.until_state("web", AppState::Running).await;
    node
}

/// Waits until an operation, counted from one, has ended.
async fn ended(node: &Node, number: usize) -> Ending {
    let ending = || node.ledger.books().operations.get(number - 1).and_then(|o| o.ending.clone());
    node.until(&format!("operation {number} has ended"), |_| ending().is_some()).await;
    ending().unwrap()
}

/// What hooks did, in order, with starts and stops of the app.
fn done(node: &Node) -> Vec<String> {
    let of_hooks = ["exec ", "copy ", "GET ", "POST ", "start web.", "stop web."];
    let calls = node.calls("");
    calls.into_iter().filter(|call| of_hooks.iter().any(|word| call.starts_with(word))).collect()
}

fn said(node: &Node) -> String {
    let books = node.ledger.books();
    books
        .operations
        .iter()
        .flat_map(|operation| operation.said.clone())
        .collect::<Vec<_>>()
        .join("\n")
}

/// As systemd does it after a crash of the program: another container, under the same unit.
fn made_anew(node: &Node) {
    let mut model = node.host.model();
    model.made += 1;
    let fresh = format!("{:064x}", model.made);
    model.containers.get_mut("web").unwrap().id = fresh;
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_step_runs_in_order_at_its_point() {
    let hooks = [
        ("pre_start", "[{ http: { port: 80, path: /early }, idempotent: true }]"),
        ("post_start", "[{ wait_for: { socket: 80 } }, { exec: [greet, you], idempotent: true }]"),
        (
            "post_install",
            "[{ copy_from_host: { src: web-ui/a.js, dest: /a.js } }, { http: { method: post, port: \
             80, path: /setup, body: \"{{HOST_IP}}\" }, idempotent: true }]",
        ),
        ("pre_stop", "[{ exec: [flush], idempotent: true }]"),
    ];
    let node = running(&hooks).await;
    let started = [
        "GET 8080/early",
        "start web.service",
        "exec web greet you",
        "copy web-ui/a.js to web:/a.js",
        "POST 8080/setup 10.0.0.5",
    ];
    assert_eq!(done(&node), started);
    assert_eq!(ended(&node, 1).await, Ending::Done);
    node.host.model().calls.clear();
    node.ask(RequestKind::Restart(id("web"))).await.unwrap();
    assert_eq!(ended(&node, 2).await, Ending::Done);
    let again: Vec<&str> =
        ["exec web flush", "stop web.service"].into_iter().chain(started).collect();
    assert_eq!(done(&node), again);
}

#[tokio::test(start_paused = true)]
async fn what_a_request_and_a_file_name_is_filled_in_as_it_is_now() {
    let text = "{{config:title}} {{role:chain}} {{port:8080}} {{HOST_IP}}";
    let hook = format!(
        "{{ http: {{ method: post, port: 80, path: /setup, body: \"{text}\" }}, idempotent: true }}"
    );
    let parts = format!(
        "{PARTS}  requires: [{{ role: chain }}]\n  config:\n    title: {{ type: text, label: Title, default: Hello, targets: [{{ file: conf/page }}] }}\n  files: [{{ path: conf/page, overwrite: true, content: \"{text}\" }}]\n  hooks: {{ post_start: [{hook}] }}\n"
    );
    let node = Node::start().await;
    let provides = "  provides: [{ role: chain, version: 1.0.0 }]\n";
    let base = web("1.0.0", provides).replace("id: web", "id: base");
    node.install(&base).await.unwrap();
    node.until_state("base", AppState::Running).await;
    let text = web("1.0.0", &parts);
    node.ask(RequestKind::Install {
        manifest: Arc::new(Manifest::parse(text.as_bytes()).unwrap()),
        text: text.as_bytes().into(),
        digest: Digest::of(text.as_bytes()),
        package_dir: None,
        settings: BTreeMap::from([("title".to_owned(), "Welcome".into())]),
        port_overrides: BTreeMap::from([((8080, Protocol::Tcp), 9090)]),
    })
    .await
    .unwrap();
    assert_eq!(ended(&node, 2).await, Ending::Done);
    let filled = "Welcome base 9090 10.0.0.5";
    assert_eq!(node.calls("POST"), [format!("POST 9090/setup {filled}")]);
    let files = node.host.model().app_files[&id("web")].clone();
    let FileState::File { hash } = &files["conf/page"] else { panic!() };
    assert_eq!(*hash, Digest::of(filled.as_bytes()).hex());
}

#[tokio::test(start_paused = true)]
async fn a_step_that_fails_or_hangs_is_named_with_its_time_and_last_words() {
    let fails = |word: &str| Fault::HookFails(word.to_owned());
    let hangs = |word: &str| Fault::HookHangs(word.to_owned());
    let create = "[{ exec: [create], timeout: 5s, idempotent: true }]";
    let ask = "[{ http: { port: 80, path: /setup }, timeout: 5s, idempotent: true }]";
    let wait = "[{ wait_for: { socket: 80 }, timeout: 5s }]";
    let odd = "[{ http: { port: 80, path: /setup, expect: 201 }, idempotent: true }]";
    let cases = [
        ("post_install", create, fails("create"), "hook-failed", "create ended with 3: last words"),
        (
            "post_install",
            create,
            hangs("create"),
            "hook-timeout",
            "create in main took longer than 5 s",
        ),
        ("post_start", create, fails("create"), "hook-failed", "create ended with 3"),
        (
            "pre_start",
            ask,
            fails("/setup"),
            "hook-failed",
            "GET /setup answered 500: /setup is unwell",
        ),
        (
            "post_start",
            ask,
            hangs("/setup"),
            "hook-timeout",
            "GET /setup of main took longer than 5 s",
        ),
        ("post_start", odd, fails("nothing"), "hook-failed", "GET /setup answered 200: fine"),
        (
            "post_start",
            wait,
            Fault::NotReady("web".into()),
            "not-ready",
            "main accepts connections",
        ),
    ];
    for (point, steps, fault, code, words) in cases {
        let node = Node::start().await;
        node.host.model().faults.insert(fault.clone());
        node.install(&hooked(&[(point, steps)])).await.unwrap();
        let error = match ended(&node, 1).await {
            Ending::Failed(error) | Ending::RolledBack(error) => error,
            other => panic!("{point} {fault:?}: {other:?}"),
        };
        assert_eq!(error.code.as_str(), code, "{point} {fault:?}");
        assert!(error.message.contains(words), "{point} {fault:?}: {error}");
        assert!(error.hint.is_some(), "{point} {fault:?}: {error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_may_take_the_time_that_its_manifest_grants() {
    let node = Node::start().await;
    node.host.model().faults.insert(Fault::NotReady("web".to_owned()));
    let wait = "[{ wait_for: { socket: 80 }, timeout: 3h }]";
    node.install(&hooked(&[("post_start", wait)])).await.unwrap();
    let at_work = |snapshot: &archy_engine::Snapshot| {
        let view = snapshot.apps.get(&id("web"));
        let work = view.and_then(|view| view.operation.as_ref());
        work.is_some_and(|work| work.text.contains("hook") || work.text.contains("Hook"))
    };
    node.until("the hook waits", at_work).await;
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    assert_eq!(node.ledger.books().operations[0].ending, None, "it has an hour left");
    node.host.model().faults.clear();
    assert_eq!(ended(&node, 1).await, Ending::Done);
}

#[tokio::test(start_paused = true)]
async fn a_port_that_is_not_published_for_tcp_is_named() {
    let ask = "[{ http: { port: 80, path: /setup }, idempotent: true }]";
    let text = hooked(&[("post_start", ask)]);
    // as an earlier version of the rules let it pass
    let mut manifest = Manifest::parse(text.as_bytes()).unwrap();
    let main = manifest.services.values_mut().next().unwrap();
    main.ports[0].protocol = Protocol::Udp;
    let node = Node::start().await;
    node.ask(RequestKind::Install {
        manifest: Arc::new(manifest),
        text: text.as_bytes().into(),
        digest: Digest::of(text.as_bytes()),
        package_dir: None,
        settings: BTreeMap::new(),
        port_overrides: BTreeMap::new(),
    })
    .await
    .unwrap();
    let Ending::Failed(error) = ended(&node, 1).await else { panic!() };
    assert_eq!(error.code.as_str(), "hook-port-unpublished");
    assert!(error.message.contains("port 80 of main"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_hooks_say_is_kept_without_secrets() {
    let hooks = [("post_start", "[{ exec: [greet], idempotent: true }]")];
    let node = running(&hooks).await;
    let secret = node.host.model().secret_files["web-token"].clone();
    let kept = said(&node);
    assert!(
        kept.contains("greet in main (exit 0):\ngreet said:\n•••\nlast words of greet"),
        "{kept}"
    );
    assert!(!kept.contains(&secret));
    // and of one that fails, the same beside its error
    node.host.model().faults.insert(Fault::HookFails("greet".to_owned()));
    node.ask(RequestKind::Restart(id("web"))).await.unwrap();
    let Ending::Failed(error) = ended(&node, 2).await else { panic!() };
    assert!(!error.message.contains(&secret), "{error}");
    let kept = node.ledger.books().operations[1].said.join("\n");
    assert!(kept.contains("greet in main (exit 3)"), "{kept}");
    assert!(!kept.contains(&secret));
}

#[tokio::test(start_paused = true)]
async fn a_hook_before_a_stop_holds_no_stop_restart_or_removal_back() {
    let flush = [("pre_stop", "[{ exec: [flush], timeout: 5s, idempotent: true }]")];
    let wishes = [
        RequestKind::Stop(id("web")),
        RequestKind::Restart(id("web")),
        RequestKind::Uninstall { app: id("web"), purge: true },
    ];
    for fault in [Fault::HookFails("flush".to_owned()), Fault::HookHangs("flush".to_owned())] {
        for wish in &wishes {
            let node = running(&flush).await;
            node.host.model().faults.insert(fault.clone());
            node.ask(wish.clone()).await.unwrap();
            assert_eq!(ended(&node, 2).await, Ending::Done, "{fault:?} {wish:?}");
            let kept = said(&node);
            assert!(kept.contains("It failed and was passed over:\n"), "{wish:?}: {kept}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_before_a_stop_holds_back_a_change_but_no_repair() {
    let flush = [("pre_stop", "[{ exec: [flush], timeout: 5s, idempotent: true }]")];
    let node = running(&flush).await;
    node.host.model().calls.clear();
    node.host.model().faults.insert(Fault::HookFails("flush".to_owned()));
    let changed = hooked(&flush).replace("8080", "8081");
    node.install(&changed).await.unwrap();
    let Ending::RolledBack(error) = ended(&node, 2).await else { panic!() };
    assert_eq!(error.code.as_str(), "hook-failed");
    assert!(node.calls("stop").is_empty(), "it runs on, untouched");
    node.until_state("web", AppState::Running).await;
    let good = node.host.model().unit_files["web.container"].clone();
    let bad = good.replace("Image=", "Image=x");
    node.host.model().unit_files.insert("web.container".to_owned(), bad);
    node.host.hint();
    let host = node.host.clone();
    node.until("it is repaired", move |_| host.model().unit_files["web.container"] == good).await;
    node.until_state("web", AppState::Running).await;
}

#[tokio::test(start_paused = true)]
async fn hooks_run_again_in_a_container_that_systemd_made_anew() {
    let hooks = [
        ("post_start", "[{ exec: [greet], idempotent: true }]"),
        (
            "post_install",
            "[{ exec: [init], idempotent: false }, { exec: [patch], idempotent: true }]",
        ),
    ];
    let mut node = running(&hooks).await;
    assert_eq!(done(&node)[1..], ["exec web greet", "exec web init", "exec web patch"]);
    node.until("it is noted", |_| !node.ledger.books().hooked.is_empty()).await;
    // what is known to have run does not run again, with another daemon neither
    node.host.model().calls.clear();
    node.crash_and_restart().await;
    node.until_state("web", AppState::Running).await;
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert_eq!(done(&node), [""; 0]);
    made_anew(&node);
    node.host.hint();
    node.until("the hooks ran", |_| done(&node).len() >= 2).await;
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert_eq!(done(&node), ["exec web greet", "exec web patch"], "and once is enough");
}

/// An app without secrets needs one round only, whose look is the one of its acceptance.
#[tokio::test(start_paused = true)]
async fn what_runs_once_runs_when_the_install_needs_one_look_only() {
    let node = Node::start().await;
    let steps = "post_install: [{ exec: [init], idempotent: false }]";
    node.install(&web("1.0.0", &format!("  hooks: {{ {steps} }}\n"))).await.unwrap();
    node.until_state("web", AppState::Running).await;
    assert_eq!(node.calls("exec web init").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_in_a_fresh_container_is_tried_again_with_pauses() {
    let hooks = [("post_start", "[{ exec: [greet], idempotent: true }]")];
    let node = running(&hooks).await;
    node.until("it is noted", |_| !node.ledger.books().hooked.is_empty()).await;
    node.host.model().calls.clear();
    node.host.model().faults.insert(Fault::HookFails("greet".to_owned()));
    made_anew(&node);
    node.host.hint();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let tries = done(&node).len();
    assert!((5..=20).contains(&tries), "{tries} tries in an hour");
    assert!(node.calls("stop").is_empty(), "it runs on meanwhile");
    node.host.model().faults.clear();
    tokio::time::sleep(Duration::from_secs(1200)).await;
    assert_eq!(node.ledger.books().operations.last().unwrap().ending, Some(Ending::Done));
    assert_eq!(done(&node).len(), tries + 1);
}

/// Kills the engine at each of its steps in turn, and starts it again: what may run once has run,
/// and not again once that is noted.
#[tokio::test(start_paused = true)]
async fn what_may_not_run_twice_runs_once_whenever_the_daemon_dies_after_it() {
    let hooks = [(
        "post_install",
        "[{ exec: [init], idempotent: false }, { exec: [patch], idempotent: true }]",
    )];
    for crash in 1..12 {
        let mut node = Node::start().await;
        node.install(&hooked(&hooks)).await.unwrap();
        while node.host.model().calls.len() + node.ledger.books().operations[0].steps.len() < crash
            && node.ledger.books().operations[0].ending.is_none()
        {
            tokio::task::yield_now().await;
        }
        let ran = |known: &BTreeMap<String, String>| !known.contains_key("");
        let noted = node.ledger.books().hooked.values().any(ran);
        let before = node.calls("exec web init").len();
        node.crash_and_restart().await;
        assert_eq!(ended(&node, 1).await, Ending::Done, "{crash}");
        node.until_state("web", AppState::Running).await;
        let after = node.calls("exec web init").len();
        assert!(after >= 1, "{crash}: it never ran");
        assert!(!noted || after == before, "{crash}: it ran again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_install_whose_hook_failed_runs_it_when_it_is_installed_again() {
    let hooks = [("post_install", "[{ exec: [init], idempotent: false }]")];
    let node = Node::start().await;
    node.host.model().faults.insert(Fault::HookFails("init".to_owned()));
    node.install(&hooked(&hooks)).await.unwrap();
    let Ending::Failed(error) = ended(&node, 1).await else { panic!() };
    assert_eq!(error.code.as_str(), "hook-failed");
    let snapshot = node.handle.snapshot();
    let view = &snapshot.apps[&id("web")];
    let shown: Option<&UserError> = view.operation.as_ref().and_then(|work| work.error.as_ref());
    assert_eq!(shown.map(|error| error.code.as_str()), Some("hook-failed"));
    node.host.model().faults.clear();
    node.host.model().calls.clear();
    node.ask(RequestKind::Restart(id("web"))).await.unwrap();
    assert_eq!(ended(&node, 2).await, Ending::Done);
    assert_eq!(node.calls("exec web init").len(), 1, "its repair makes up for it");
    node.ask(RequestKind::Restart(id("web"))).await.unwrap();
    assert_eq!(ended(&node, 3).await, Ending::Done);
    assert_eq!(node.calls("exec web init").len(), 1, "once it ran it does not run again");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_the_generator_rejects_is_named_before_anything_is_touched() {
    let node = running(&[("pre_stop", "[{ exec: [flush], idempotent: true }]")]).await;
    node.host.model().calls.clear();
    let rejects = Fault::GeneratorRejects("web.container".to_owned());
    node.host.model().faults.insert(rejects);
    let text = hooked(&[]).replace("  hooks:\n", "").replace("8080", "8081");
    node.install(&text).await.unwrap();
    let error = match ended(&node, 2).await {
        Ending::Failed(error) | Ending::RolledBack(error) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(error.code.as_str(), "unit-rejected");
    assert_eq!(done(&node), [""; 0], "nothing was stopped for it");
    node.until_state("web", AppState::Running).await;
    let state = node.host.model().units["web.service"].active;
    assert_eq!(state, ActiveState::Active);
}
