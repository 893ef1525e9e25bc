//! Installs as clients send them, the other package methods, and what tells about the host.

use std::collections::BTreeSet;

use archy_types::{AppId, AppState};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tokio::net::UnixStream;

use crate::node::{MANIFEST, Node, exchange, manifest, publish, view};

#[tokio::test(flavor = "multi_thread")]
async fn installs() {
    let node = Node::start().await;
    let browser = node.owner().await;
    let outside = node.dir.path().join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("manifest.yml"), MANIFEST).unwrap();
    let text = MANIFEST.replace("id: blog", "id: wiki");
    let broken = MANIFEST.replace("registry.example/blog:1.2.3", "{{NOT_A_PLACEHOLDER");
    for (params, code) in [
        (json!({"id": "blog", "dockerImage": "registry.example/blog:1.2.3"}), "none"),
        (json!({"id": "blog", "dockerImage": "other/image"}), "none"),
        (json!({"id": "nothing"}), "manifest-not-found"),
        (json!({"id": "Bad Id"}), "id-invalid"),
        (json!({"id": "wiki", "manifest": text}), "none"),
        (json!({"id": "blog", "manifest": text}), "id-mismatch"),
        (json!({"id": "blog", "manifest": broken}), "manifest-invalid"),
        (json!({"id": "blog", "path": outside}), "socket-only"),
        (json!({"id": "blog", "config": {"titel": "x"}}), "setting-unknown"),
        (json!({"id": "blog", "config": {"title": 3}}), "setting-invalid"),
        (json!({"id": "blog", "ports": [{"declared": 8080, "host": 9090}]}), "none"),
        (json!({"id": "blog", "ports": [{"declared": 1, "host": 9090}]}), "port-choice-invalid"),
    ] {
        let answer = node.call("package.install", params.clone(), &browser.headers()).await;
        assert_eq!(answer.code(), code, "{params}");
        let body = answer.json();
        if code == "none" {
            assert_eq!(body["result"]["package_id"], params["id"]);
            assert_eq!(body["result"]["status"], "installing");
            let warning = body["result"]["warning"].as_str();
            let other = params["dockerImage"] == "other/image";
            assert_eq!(warning.is_some_and(|text| text.contains("other/image")), other);
            assert_eq!(body["result"].get("warning").is_some(), other, "{params}");
        }
        if code == "manifest-invalid" {
            assert!(!body["error"]["data"]["findings"].as_array().unwrap().is_empty());
        }
        if code == "manifest-not-found" {
            assert!(body["error"]["message"].as_str().unwrap().starts_with("Not found: "));
        }
    }
    let local = node.local("package.install", json!({"id": "blog", "path": outside})).await;
    assert_eq!(local.code(), "none");
    let none = node.local("package.install", json!({"id": "blog", "path": "relative"})).await;
    assert_eq!(none.code(), "package-dir-invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn wishes_reach_the_engine() {
    let node = Node::start().await;
    for method in ["start", "stop", "restart", "cancel", "uninstall", "logs", "exec", "config.get"]
    {
        let params = json!({"id": "blog", "command": ["id"]});
        let answer = node.local(&format!("package.{method}"), params).await;
        assert_eq!(answer.code(), "app-not-found", "{method}");
    }
    let blog = AppId::new("blog").unwrap();
    publish(&node.snapshots, &blog, Some(view(manifest("blog"), AppState::Running)));
    for (method, params, status) in [
        ("start", json!({"id": "blog"}), "starting"),
        ("stop", json!({"id": "blog"}), "stopping"),
        ("restart", json!({"id": "blog"}), "restarting"),
        ("cancel", json!({"id": "blog", "operation": 3}), "cancelling"),
        ("uninstall", json!({"id": "blog"}), "removing"),
        ("uninstall", json!({"id": "blog", "purge": true}), "removing"),
        ("config.set", json!({"id": "blog", "settings": {"title": "T"}}), "configuring"),
    ] {
        let answer = node.local(&format!("package.{method}"), params).await;
        assert_eq!(answer.json()["result"]["status"], status, "{:?}", answer.body);
    }
    let asked = node.asked.lock().unwrap().clone();
    let expected = ["start", "stop", "restart", "cancel", "uninstall", "purge", "configure"];
    assert_eq!(asked, expected.map(|word| format!("{word} blog")));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_all_images_only_the_one_that_is_long_unwanted_goes() {
    let node = Node::start().await;
    let blog = AppId::new("blog").unwrap();
    publish(&node.snapshots, &blog, Some(view(manifest("blog"), AppState::Running)));
    let now = time_now();
    let key = "images.last-wanted";
    let known = json!({
        "registry.example/old:1": 1, "registry.example/in-use:1": 1, "registry.example/young:1": now,
        "registry.example/blog:1.2.3": 1,
    });
    node.daemon.app.store.put_setting(key, known).await.unwrap();
    archipelago::images::prune(node.daemon.app.clone()).await;
    // the daemon's own look may fall beside this one
    let removed =
        || -> BTreeSet<String> { node.closer.removed.lock().unwrap().iter().cloned().collect() };
    let old = BTreeSet::from(["registry.example/old:1".to_owned()]);
    assert_eq!(removed(), old);
    // what a container uses is tried again, what is wanted counts from now on
    let left = node.daemon.app.store.setting(key).await.unwrap().unwrap();
    let left: Vec<&String> = left.as_object().unwrap().keys().collect();
    let names =
        ["blog:1.2.3", "in-use:1", "young:1"].map(|name| format!("registry.example/{name}"));
    assert_eq!(left, names.iter().collect::<Vec<_>>());
    archipelago::images::prune(node.daemon.app.clone()).await;
    assert_eq!(removed(), old);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_says_who_suffers() {
    let node = Node::start().await;
    let set = |id: &str, needs: &str, state| {
        let text = format!(
            "{}  requires: [{needs}]\n",
            MANIFEST.replace("id: blog", &format!("id: {id}"))
        );
        let manifest = archy_manifest::Manifest::parse(text.as_bytes()).unwrap();
        let mut seen = view(manifest.into(), AppState::Running);
        seen.desired = state;
        publish(&node.snapshots, &AppId::new(id).unwrap(), Some(seen));
    };
    use archy_plan::DesiredState::{Running, Stopped};
    let warning = async |method: &str, id: &str| {
        let answer = node.local(method, json!({"id": id})).await.json();
        assert!(answer["error"].is_null(), "{answer}");
        answer["result"]["warning"].as_str().map(str::to_owned)
    };
    set("blog", "", Running);
    assert_eq!(warning("package.stop", "blog").await, None);
    set("wiki", "{ app: blog }", Running);
    set("viewer", "{ app: blog, optional: true }", Running);
    set("resting", "{ app: blog }", Stopped);
    for method in ["package.stop", "package.uninstall"] {
        let words = "wiki needs blog, and works again when it is back.";
        assert_eq!(warning(method, "blog").await.as_deref(), Some(words), "{method}");
    }
    set("zine", "{ app: blog }", Running);
    let words = "wiki, zine need blog, and work again when it is back.";
    assert_eq!(warning("package.stop", "blog").await.as_deref(), Some(words));
    // a restart and a stop of those who need it hurt nobody
    assert_eq!(warning("package.restart", "blog").await, None);
    assert_eq!(warning("package.stop", "wiki").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_settings_commands_and_logs() {
    let node = Node::start().await;
    let blog = AppId::new("blog").unwrap();
    publish(&node.snapshots, &blog, Some(view(manifest("blog"), AppState::Running)));
    let plan = node.local("package.plan", json!({"action": "stop", "id": "blog"})).await.json();
    let step = &plan["result"]["steps"][0];
    assert_eq!(step["kind"], "stop-units");
    assert_eq!(step["text"], "Stop units blog.service");
    let config = node.local("package.config.get", json!({"id": "blog"})).await.json();
    let settings = config["result"]["settings"].as_array().unwrap();
    assert_eq!(settings[0]["value"], "Mine");
    assert_eq!((&settings[1]["kind"], &settings[1]["value"]), (&json!("secret"), &Value::Null));
    let params = json!({"id": "blog", "command": ["id", "-u"], "timeout_secs": 99_999});
    let exec = node.local("package.exec", params).await.json();
    assert_eq!(exec["result"], json!({"exit_code": 3, "output": "blog: id -u (3600 s)"}));
    let params = json!({"id": "blog", "service": "nope", "command": ["id"]});
    assert_eq!(node.local("package.exec", params).await.code(), "service-not-found");
    let logs = node.local("package.logs", json!({"id": "blog", "lines": 1})).await.json();
    let line = json!({"ts": 2, "service": "main", "stream": "stdout", "line": "blog"});
    assert_eq!(logs["result"]["lines"], json!([line]));
    for (query, status, lines) in [
        ("app=blog", StatusCode::OK, 2),
        ("app=blog&follow=1", StatusCode::OK, 2),
        ("app=none", StatusCode::NOT_FOUND, 0),
        ("x=1", StatusCode::BAD_REQUEST, 0),
    ] {
        let stream = UnixStream::connect(node.socket()).await.unwrap();
        let uri = format!("/rpc/v1/logs?{query}");
        let request = Request::get(uri).header("host", "x").body(Default::default()).unwrap();
        let answer = exchange(stream, request).await;
        assert_eq!(answer.status, status, "{query}");
        if status == StatusCode::OK {
            assert_eq!(answer.headers["content-type"], "application/x-ndjson");
            let text = String::from_utf8(answer.body.to_vec()).unwrap();
            assert_eq!(text.lines().count(), lines, "{text}");
        }
    }
    assert_eq!(node.get("/rpc/v1/logs?app=blog", &[]).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tells_about_the_node() {
    let node = Node::start().await;
    let blog = AppId::new("blog").unwrap();
    publish(&node.snapshots, &blog, Some(view(manifest("blog"), AppState::Unhealthy)));
    let result = |method: &'static str| {
        let node = &node;
        async move { node.local(method, json!({})).await.json()["result"].clone() }
    };
    let health = result("health").await;
    assert_eq!(
        (&health["status"], &health["crash_recovery_complete"]),
        (&json!("ok"), &json!(true))
    );
    let info = result("system.info").await;
    assert_eq!(info["podman_version"], "5.4.2");
    assert_eq!(info["unknown"][0]["code"], "bus-silent");
    let status = result("node.status").await;
    assert_eq!(
        status["apps"],
        json!({"installed": 1, "running": 1, "stopped": 0, "failed": 0, "unhealthy": 1})
    );
    let containers = result("container-list").await;
    assert_eq!(containers[0]["state"], "running");
    assert_eq!(containers[0]["image"], "registry.example/blog:1.2.3");
    let available = result("package.available").await;
    assert_eq!(available["apps"][0]["installed"], true);
    assert!(result("system.stats").await["memory_total_bytes"].as_u64().unwrap() > 0);
    let hostname = result("system.get-hostname").await;
    assert_eq!(hostname["mdns"], format!("{}.local", hostname["hostname"].as_str().unwrap()));
    let history = result("package.history").await;
    assert_eq!(history["operations"], json!([]));
    for (name, code) in [("", "name-invalid"), ("a\nb", "name-invalid"), (" Küche ", "none")] {
        assert_eq!(node.local("server.set-name", json!({"name": name})).await.code(), code);
    }
    assert_eq!(result("node.status").await["name"], "Küche");
}

/// Milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the daemon counts from the real time")]
fn time_now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}
