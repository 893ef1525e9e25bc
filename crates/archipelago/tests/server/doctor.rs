//! `system.doctor`, `system.mend`, `system.support`, `package.explain` over the socket.

use archipelago::net::serve::Limits;
use archipelago::survey::Mend;
use archy_types::AppState;
use serde_json::{Value, json};

use crate::host::{Closer, SECRETS};
use crate::node::{MANIFEST, Node, manifest, publish, view};

fn check<'a>(report: &'a Value, area: &str, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["area"] == area && check["name"] == name);
    found.unwrap_or_else(|| panic!("no {area}/{name} in {report:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_area_is_examined_and_only_what_is_offered_is_mended() {
    let node = Node::start().await;
    let report = node.local("system.doctor", json!({})).await.json()["result"].clone();
    for (area, name, level) in [
        ("host", "daemon", "ok"),
        ("podman", "version", "ok"),
        ("systemd", "failed units", "warn"),
        ("store", "integrity", "ok"),
        ("store", "writes", "ok"),
        ("certificates", "node", "ok"),
        ("units", "orphans", "warn"),
        ("units", "kept data", "ok"),
        ("apps", "state", "ok"),
    ] {
        assert_eq!(check(&report, area, name)["level"], level, "{area}/{name}");
    }
    let fixes: Vec<&str> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|check| check["fix"].as_str())
        .collect();
    assert_eq!(fixes, ["reset-failed:lost.service", "remove-container:gone"]);

    // what no check offers is not done, whatever it is called
    let asked = json!({"fixes": ["remove-container:other", "remove-volume:gone-data"]});
    let result = node.local("system.mend", asked).await.json();
    for mended in result["result"]["mends"].as_array().unwrap() {
        assert_eq!(mended["error"]["code"], "mend-unknown", "{mended}");
    }
    assert!(node.closer.mended.lock().unwrap().is_empty());
    let result = node.local("system.mend", json!({})).await.json();
    assert_eq!(result["result"]["mends"].as_array().unwrap().len(), 2, "{result}");
    let mended = node.closer.mended.lock().unwrap().clone();
    let container = Mend::RemoveContainer("gone".into());
    assert_eq!(mended, [Mend::ResetFailed("lost.service".into()), container]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_podman_is_told_of_and_hides_nothing_else() {
    let closer = Closer { silent: true, ..Closer::default() };
    let node = Node::start_on(&[], Limits::default(), closer).await;
    let report = node.local("system.doctor", json!({})).await.json()["result"].clone();
    assert_eq!(check(&report, "podman", "socket")["level"], "fail");
    assert_eq!(check(&report, "store", "integrity")["level"], "ok");
    let manifest = manifest("blog");
    publish(&node.snapshots, &manifest.id, Some(view(manifest.clone(), AppState::Running)));
    let told = node.local("package.explain", json!({"id": "blog"})).await.json();
    assert_eq!(told["result"]["state"], "running", "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_explained() {
    let node = Node::start().await;
    let text = MANIFEST.replace(
        "    ports:",
        "    health: { type: http, port: 80, path: /health, interval: 10s, retries: 3 }\n    ports:",
    );
    let manifest = std::sync::Arc::new(archy_manifest::Manifest::parse(text.as_bytes()).unwrap());
    publish(&node.snapshots, &manifest.id, Some(view(manifest.clone(), AppState::Failed)));
    let told = node.local("package.explain", json!({"id": "blog"})).await.json()["result"].clone();
    assert_eq!(told["state"], "failed", "{told}");
    let service = &told["services"][0];
    assert_eq!(service["check"], "http 80/health");
    assert_eq!(service["probe"]["output"], "http 503");
    assert_eq!(service["probe"]["passed"], false);
    assert_eq!((&service["probe"]["failing"], &service["probe"]["limit"]), (&json!(2), &json!(3)));
    // what is wrong comes with the last lines of the log
    assert_eq!(told["log"][0]["line"], "first");
    let missing = node.local("package.explain", json!({"id": "nobody"})).await;
    assert_eq!(missing.code(), "app-not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_any_kind_is_in_a_support_bundle() {
    let node = Node::start().await;
    let manifest = manifest("blog");
    let mut shown = view(manifest.clone(), AppState::Failed);
    shown.report.cause.text = format!("it ended with {}", SECRETS[1]);
    publish(&node.snapshots, &manifest.id, Some(shown));
    let result = node.local("system.support", json!({"lines": 100})).await.json();
    let files = result["result"]["files"].as_array().unwrap_or_else(|| panic!("{result}"));
    let names: Vec<&str> = files.iter().map(|file| file["name"].as_str().unwrap()).collect();
    for name in [
        "doctor.txt",
        "versions.json",
        "state.json",
        "history.json",
        "events.json",
        "podman.txt",
        "units/someone.container",
        "journal/daemon.log",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let all: String = files.iter().map(|file| file["text"].as_str().unwrap()).collect();
    assert!(all.contains("plain words") && all.contains("•••"));
    let planted = ["abcdefabcdef", "feedface", "deadbeef", "hunter2", "MIIEkey"];
    let lines = SECRETS.iter().flat_map(|secret| secret.lines());
    for value in lines.chain(planted) {
        assert!(!all.contains(value), "{value} is in the bundle");
        let escaped = format!("{value:?}");
        assert!(!all.contains(escaped.trim_matches('"')), "{escaped} is in the bundle");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_when_the_secrets_cannot_be_read() {
    let closer = Closer { locked: true, ..Closer::default() };
    let node = Node::start_on(&[], Limits::default(), closer).await;
    let refused = node.local("system.support", json!({})).await;
    assert_eq!(refused.code(), "file-permission");
    assert!(!String::from_utf8_lossy(&refused.body).contains("plain words"));
}
