//! Setup, login, sessions, the password's change.

use http::StatusCode;
use serde_json::{Value, json};

use crate::node::{Browser, Node, PASSWORD};

#[tokio::test(flavor = "multi_thread")]
async fn before_setup_nothing_else_answers() {
    let node = Node::start().await;
    for (method, open) in [
        ("health", true),
        ("auth.isSetup", true),
        ("auth.isOnboardingComplete", true),
        ("server.get-state", false),
        ("system.get-hostname", false),
        ("package.install", false),
        ("auth.changePassword", false),
    ] {
        let answer = node.call(method, json!({}), &[]).await;
        let expected = if open { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
        assert_eq!(answer.status, expected, "{method}");
        if !open {
            assert_eq!(answer.code(), "not-set-up", "{method}");
        }
    }
    let login = node.call("auth.login", json!({"password": PASSWORD}), &[]).await;
    assert_eq!((login.status, login.code().as_str()), (StatusCode::UNAUTHORIZED, "not-set-up"));
    let short = node.call("auth.setup", json!({"password": "short"}), &[]).await;
    assert_eq!(short.code(), "password-too-weak");
    assert_eq!(node.call("auth.isSetup", json!({}), &[]).await.json()["result"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn setup_once_then_login_with_two_cookies() {
    let node = Node::start().await;
    node.owner().await;
    let again = node.call("auth.setup", json!({"password": "another one"}), &[]).await;
    assert_eq!(again.code(), "already-set-up");
    let answer = node.call("auth.login", json!({"password": PASSWORD}), &[]).await;
    assert_eq!(answer.json()["result"], Value::Null);
    assert_eq!(answer.json()["error"], Value::Null);
    let cookies = answer.cookies();
    assert_eq!(cookies.len(), 2, "{cookies:?}");
    for (cookie, name, parts) in [
        (&cookies[0], "session=", &["HttpOnly", "Secure", "SameSite=Strict", "Path=/"][..]),
        (&cookies[1], "csrf_token=", &["Secure", "SameSite=Strict", "Path=/"]),
    ] {
        assert!(cookie.starts_with(name), "{cookie}");
        parts.iter().for_each(|part| assert!(cookie.contains(part), "{part} in {cookie}"));
    }
    assert!(!cookies[1].contains("HttpOnly"));
    let browser = Browser::of(&answer);
    let state = node.call("server.get-state", json!({}), &browser.headers()).await;
    assert_eq!(state.status, StatusCode::OK);
    // neither the password nor the token is in any file
    for file in ["data/user.json", "state/state.db", "state/state.db-wal"] {
        let content = std::fs::read(node.dir.path().join(file)).unwrap_or_default();
        for secret in [PASSWORD, &browser.session] {
            let found = content.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!found, "{file}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_ends_the_session() {
    let node = Node::start().await;
    let browser = node.owner().await;
    let out = node.call("auth.logout", json!({}), &browser.headers()).await;
    assert!(out.cookies().iter().all(|cookie| cookie.contains("Max-Age=0")));
    let after = node.call("system.get-hostname", json!({}), &browser.headers()).await;
    assert_eq!((after.status, after.code().as_str()), (StatusCode::UNAUTHORIZED, "unauthorized"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_ends_other_sessions() {
    let node = Node::start().await;
    let other = node.owner().await;
    let login = node.call("auth.login", json!({"password": PASSWORD}), &[]).await;
    let own = Browser::of(&login);
    let headers = own.headers();
    let change =
        |current: &str, new: &str| json!({"current_password": current, "newPassword": new});
    let wrong = node.call("auth.changePassword", change("wrong one", "new password"), &headers);
    assert_eq!(wrong.await.code(), "password-incorrect");
    let changed = node.call("auth.changePassword", change(PASSWORD, "new password"), &headers);
    assert_eq!(changed.await.json()["error"], Value::Null);
    for (browser, status) in [(&own, StatusCode::OK), (&other, StatusCode::UNAUTHORIZED)] {
        let answer = node.call("system.get-hostname", json!({}), &browser.headers()).await;
        assert_eq!(answer.status, status);
    }
    let old = node.call("auth.login", json!({"password": PASSWORD}), &[]).await;
    assert_eq!(old.json()["error"]["message"], "Password Incorrect");
    let new = node.call("auth.login", json!({"password": "new password"}), &[]).await;
    assert_eq!(new.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_bcrypt_hash_is_upgraded_on_login() {
    let node = Node::start().await;
    let file = node.dir.path().join("data/user.json");
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    std::fs::write(&file, json!({"password_hash": hash, "role": "Viewer"}).to_string()).unwrap();
    let answer = node.call("auth.login", json!({"password": PASSWORD}), &[]).await;
    let viewer = Browser::of(&answer);
    let user: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert!(user["password_hash"].as_str().unwrap().starts_with("$argon2id$"));
    let again = node.call("auth.login", json!({"password": PASSWORD}), &[]).await;
    assert_eq!(again.status, StatusCode::OK);
    // the role of the file holds: a viewer reads and does nothing
    for (method, status) in [
        ("server.get-state", StatusCode::OK),
        ("package.start", StatusCode::FORBIDDEN),
        ("package.config.get", StatusCode::FORBIDDEN),
    ] {
        let answer = node.call(method, json!({"id": "blog"}), &viewer.headers()).await;
        assert_eq!(answer.status, status, "{method}");
        if status == StatusCode::FORBIDDEN {
            let body = answer.json();
            let message = body["error"]["message"].as_str().unwrap();
            assert!(message.contains("insufficient permissions"), "{message}");
        }
    }
}
