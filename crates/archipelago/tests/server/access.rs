//! The order of checks, origins, CSRF, limits, and the unix socket's rights.

use http::StatusCode;
use serde_json::{Value, json};

use crate::node::{Node, PASSWORD, post};

#[tokio::test(flavor = "multi_thread")]
async fn the_sixth_guess_in_a_minute_is_refused() {
    let node = Node::start().await;
    node.owner().await;
    // logins that succeed are no guesses
    for _ in 0..6 {
        let answer = node.call("auth.login", json!({"password": PASSWORD}), &[]).await;
        assert_eq!(answer.code(), "none");
    }
    for _ in 0..5 {
        let answer = node.call("auth.login", json!({"password": "wrong password"}), &[]).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.json()["error"]["message"], "Password Incorrect");
    }
    // even the right one has to wait
    let answer = node.call("auth.login", json!({"password": PASSWORD}), &[]).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "rate-limited")
    );
    let wait: u32 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(answer.cookies().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_need_the_csrf_token() {
    let node = Node::start().await;
    let browser = node.owner().await;
    let cookie = browser.headers()[0].clone();
    let wrong = ("x-csrf-token", "0".repeat(64));
    for (headers, status, code) in [
        (vec![cookie.clone()], StatusCode::FORBIDDEN, "csrf-missing"),
        (vec![cookie.clone(), wrong], StatusCode::FORBIDDEN, "csrf-missing"),
        (browser.headers(), StatusCode::OK, "none"),
    ] {
        let answer = node.call("package.install", json!({"id": "blog"}), &headers).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code));
    }
    // reading needs none
    let state = node.call("server.get-state", json!({}), &[cookie]).await;
    assert_eq!(state.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn origins_of_app_ports_are_refused_first() {
    let node = Node::start().await;
    let browser = node.owner().await;
    let own = format!("https://localhost:{}", node.address().port());
    for (origin, allowed) in [
        ("https://localhost", true),
        ("http://localhost", true),
        (own.as_str(), true),
        ("https://localhost:8443", node.address().port() == 8443),
        ("https://localhost:3742", false),
        ("null", false),
        ("file://", false),
    ] {
        let mut headers = browser.headers();
        headers.push(("origin", origin.to_owned()));
        let answer = node.call("package.start", json!({"id": "none"}), &headers).await;
        let code = if allowed { "app-not-found" } else { "forbidden-origin" };
        assert_eq!(answer.code(), code, "{origin}");
        // without a session the origin is still what is told
        let bare = [("origin", origin.to_owned())];
        let answer = node.call("package.start", json!({"id": "none"}), &bare).await;
        let code = if allowed { "unauthorized" } else { "forbidden-origin" };
        assert_eq!(answer.code(), code, "{origin}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn loopback_origins_pass_in_dev_mode() {
    let node = Node::start_with(&[("dev_mode", "true")], Default::default()).await;
    for (origin, code) in [
        ("http://127.0.0.1:5173", "not-set-up"),
        ("http://[::1]:5173", "not-set-up"),
        ("http://node.local:5173", "forbidden-origin"),
    ] {
        let answer = node.call("auth.logout", json!({}), &[("origin", origin.into())]).await;
        assert_eq!(answer.code(), code, "{origin}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_unix_socket_needs_neither_session_nor_token() {
    let node = Node::start().await;
    let answer = node.local("package.install", json!({"id": "blog"})).await;
    assert_eq!(answer.json()["result"]["status"], "installing");
    assert_eq!(*node.asked.lock().unwrap(), ["install blog"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn envelopes() {
    let node = Node::start().await;
    for (body, status, number) in [
        ("{", 200, Some(-32700)),
        ("[]", 200, Some(-32600)),
        ("3", 200, Some(-32600)),
        (r#"{"method":"no.such"}"#, 200, Some(-32601)),
        (r#"{"method":"health"}"#, 200, None),
        (r#"{"method":"health","params":[],"id":"x"}"#, 200, None),
        (r#"{"method":"auth.login","params":{"password":3}}"#, 200, Some(-32602)),
        (r#"{"method":"server.get-state"}"#, 401, Some(401)),
    ] {
        let answer = node.send(post(body.to_owned(), &[])).await;
        assert_eq!(answer.status.as_u16(), status, "{body}");
        assert_eq!(answer.json()["error"]["code"].as_i64(), number, "{body}");
    }
    let batch = r#" [{"method":"health","id":1},{"method":"server.get-state","id":2},{"x":1}]"#;
    let answer = node.send(post(batch, &[])).await;
    let body = answer.json();
    let codes: Vec<_> =
        body.as_array().unwrap().iter().map(|a| a["error"]["code"].as_i64()).collect();
    assert_eq!(codes, [None, Some(401), Some(-32600)]);
    assert_eq!(body[0]["id"], 1);
    let many = format!("[{}]", vec![r#"{"method":"health"}"#; 33].join(","));
    let answer = node.send(post(many, &[])).await;
    assert_eq!(answer.json()["error"]["code"], -32600);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_to_the_network_hide_paths_and_are_short() {
    let node = Node::start().await;
    std::fs::create_dir_all(node.dir.path().join("data/user.json")).unwrap();
    let root = node.dir.path().display().to_string();
    let answer = node.call("auth.isSetup", json!({}), &[]).await;
    assert_eq!(answer.code(), "user-file-unreadable");
    assert!(!String::from_utf8_lossy(&answer.body).contains(&root));
    let long = "日".repeat(500);
    let answer = node.call(&long, Value::Null, &[]).await;
    let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.len() <= 200, "{message}");
}
