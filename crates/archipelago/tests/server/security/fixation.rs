//! Sessions that somebody else chose, cookies that an app's page put there, and their ends.

use http::HeaderValue;
use serde_json::json;

use super::doors::second_factor;
use crate::node::{Browser, Node, PASSWORD};

#[tokio::test(flavor = "multi_thread")]
async fn a_login_gives_a_new_session_whatever_the_browser_brings() {
    let node = Node::start().await;
    let owner = node.owner().await;
    let planted = "a".repeat(64);
    let brought = [("cookie", format!("session={planted}; csrf_token={planted}"))];
    let login = node.call("auth.login", json!({"password": PASSWORD}), &brought).await;
    let first = Browser::of(&login);
    assert_ne!(first.session, planted);
    assert_eq!(node.call("auth.whoami", json!({}), &brought).await.code(), "unauthorized");
    // also with a session that lives: the old one is no way into the new one
    let again = node.call("auth.login", json!({"password": PASSWORD}), &first.headers()).await;
    let second = Browser::of(&again);
    assert_ne!((&second.session, &second.csrf), (&first.session, &first.csrf));
    // 256 random bits, and a CSRF token that does not give them away
    for token in [&first.session, &second.session, &owner.session, &second.csrf] {
        assert_eq!(token.len(), 64);
        assert!(token.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    assert!(!second.csrf.contains(&second.session[..16]));
    // a CSRF token of another session is none
    let mixed = Browser { session: second.session, csrf: first.csrf };
    let stop = node.call("package.stop", json!({"id": "none"}), &mixed.headers()).await;
    assert_eq!(stop.code(), "csrf-missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_login_is_no_session_and_its_token_is_not_kept() {
    let node = Node::start().await;
    let owner = node.owner().await;
    second_factor(&node, &owner).await;
    let half = node.call("auth.login", json!({"password": PASSWORD}), &[]).await;
    let line = half.cookies()[0].clone();
    assert!(
        line.contains("HttpOnly") && line.contains("Secure") && line.contains("SameSite=Strict")
    );
    let brought = [("cookie", line[..line.find(';').unwrap()].to_owned())];
    for method in ["auth.whoami", "server.get-state", "auth.logout", "auth.sessions"] {
        let answer = node.call(method, json!({}), &brought).await;
        assert_eq!(answer.code(), "unauthorized", "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_that_an_apps_page_puts_before_ours_changes_nothing() {
    let node = Node::start().await;
    let owner = node.owner().await;
    let params = json!({"name": "eve", "password": PASSWORD, "role": "AppUser"});
    node.call("users.create", params, &owner.headers()).await;
    let eve = json!({"user": "eve", "password": PASSWORD});
    let eve = Browser::of(&node.call("auth.login", eve, &[]).await);
    // browsers send the one with the longer path first
    for planted in [eve.session.as_str(), "00", "", "\"x\""] {
        let cookie = format!(
            "session={planted}; theme=ü; session={}; csrf_token={}",
            owner.session, owner.csrf
        );
        let headers = [("cookie", cookie), ("x-csrf-token", owner.csrf.clone())];
        let who = node.call("auth.whoami", json!({}), &headers).await.json();
        assert_eq!(who["result"]["user"], "owner", "{planted}");
        let stop = node.call("package.stop", json!({"id": "none"}), &headers).await;
        assert_eq!(stop.code(), "app-not-found", "{planted}");
    }
    // a cookie that is no text hides nothing either
    let line = [b"theme=\xff; session=", owner.session.as_bytes()].concat();
    let mut request = crate::node::post(r#"{"method":"auth.whoami"}"#, &[]);
    request.headers_mut().insert("cookie", HeaderValue::from_bytes(&line).unwrap());
    assert_eq!(node.send(request).await.json()["result"]["user"], "owner");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_is_taken_from_an_address_or_a_body() {
    let node = Node::start().await;
    let owner = node.owner().await;
    let path = format!("/rpc/v1/logs?app=blog&session={}", owner.session);
    assert_eq!(node.get(&path, &[]).await.code(), "unauthorized");
    let bearer = [("authorization", format!("Bearer {}", owner.session))];
    assert_eq!(node.call("auth.whoami", json!({}), &bearer).await.code(), "unauthorized");
    let params = json!({"session": owner.session, "csrf_token": owner.csrf});
    assert_eq!(node.call("auth.whoami", params, &[]).await.code(), "unauthorized");
}
