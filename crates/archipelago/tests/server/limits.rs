//! Bodies, heads and handshakes that are too large or too slow; redirects; headers of pages.

use std::time::Duration;

use archipelago::net::serve::Limits;
use http::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::node::{Node, post};

/// A wait that only ends early when the daemon does its part.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused() {
    let node = Node::start().await;
    let body = vec![b' '; 4 * 1024 * 1024 + 1];
    let answer = node.send(post(body, &[])).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.code(), "body-too-large");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_head_and_a_silent_handshake_are_cut() {
    let short = Duration::from_millis(200);
    let limits = Limits { head: short, handshake: short, ..Limits::default() };
    let node = Node::start_with(&[], limits).await;
    let mut buffer = Vec::new();
    let mut tls = node.tls().await;
    tls.write_all(b"POST /rpc/v1 HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, tls.read_to_end(&mut buffer)).await;
    assert!(ended.is_ok(), "a slow head keeps its connection");
    let mut silent = TcpStream::connect(node.address()).await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, silent.read_to_end(&mut buffer)).await;
    assert!(ended.is_ok(), "a silent handshake keeps its connection");
    // the daemon still answers
    assert_eq!(node.call("health", json!({}), &[]).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_bounded() {
    let limits = Limits { connections: 3, ..Limits::default() };
    let node = Node::start_with(&[], limits).await;
    let mut held = vec![node.tls().await, node.tls().await, node.tls().await];
    let mut fourth = TcpStream::connect(node.address()).await.unwrap();
    let mut buffer = [0; 1];
    let ended = tokio::time::timeout(PATIENCE, fourth.read(&mut buffer)).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "the fourth connection is not closed");
    drop(held.pop());
    // its place is free again a moment later
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let mut next = TcpStream::connect(node.address()).await.unwrap();
        let closed = tokio::time::timeout(Duration::from_millis(50), next.read(&mut buffer)).await;
        if closed.is_err() {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "the place does not become free");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_redirects() {
    let node = Node::start().await;
    let plain = node.daemon.http[0];
    for (path, host, status) in [
        ("/x?y=1", "localhost", StatusCode::PERMANENT_REDIRECT),
        ("/rpc/v1", "localhost:80", StatusCode::PERMANENT_REDIRECT),
        ("/health", "localhost", StatusCode::OK),
        ("/x", "a b", StatusCode::BAD_REQUEST),
    ] {
        let request =
            http::Request::get(path).header("host", host).body(Default::default()).unwrap();
        let answer = crate::node::exchange(TcpStream::connect(plain).await.unwrap(), request).await;
        assert_eq!(answer.status, status, "{path}");
        if status == StatusCode::PERMANENT_REDIRECT {
            let location = answer.headers["location"].to_str().unwrap().to_owned();
            assert_eq!(location, format!("https://localhost:{}{path}", node.address().port()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_have_a_strict_policy() {
    let node = Node::start().await;
    // the page, and the addresses that it shows by itself
    for path in ["/", "/apps/blog", "/apps/blog/log", "/discover", "/system/health"] {
        let page = node.get(path, &[]).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"));
        assert_eq!(page.headers["cache-control"], "no-store", "{path}");
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("script-src 'self';"), "{policy}");
        assert_eq!(page.headers["x-content-type-options"], "nosniff");
    }
    let page = String::from_utf8(node.get("/", &[]).await.body.to_vec()).unwrap();
    assert!(!page.contains("<script>") && !page.contains("style=") && !page.contains("onclick"));
    for path in ["/nowhere", "/assets/nothing.js", "/apps.js", "/../etc/passwd", "/rpc"] {
        let answer = node.get(path, &[]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(answer.headers["content-security-policy"].to_str().unwrap().contains("'none'"));
    }
    // whatever the page names is there, of the type that it says
    for part in page.split('"').filter(|part| part.starts_with('/') && part.contains('.')) {
        let file = node.get(part, &[("accept-encoding", "br".to_owned())]).await;
        assert_eq!(file.status, StatusCode::OK, "{part}");
        assert!(!file.body.is_empty(), "{part}");
    }
}
