//! Every route: its security headers, who may frame it, and paths that are tricks.

use archipelago::dashboard::SIGNER;
use http::{Method, Request, StatusCode};
use serde_json::json;
use tokio::net::TcpStream;

use super::raw;
use crate::node::{Node, exchange};

#[tokio::test(flavor = "multi_thread")]
async fn every_route_has_the_security_headers() {
    let node = Node::start().await;
    let owner = node.owner().await;
    for path in [
        "/",
        "/apps/blog",
        "/discover",
        SIGNER,
        "/style.css",
        "/nowhere",
        "/health",
        "/ca.crt",
        "/trust",
        "/trust.css",
        "/rpc/v1",
        "/rpc/v1/logs?app=blog",
        "/ws/state",
        "/rpc/v1/",
        "/%00",
    ] {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::OPTIONS] {
            let request = Request::builder().method(&method).uri(path).header("host", "localhost");
            let request = request.header("cookie", owner.headers()[0].1.clone());
            let request = request.body(Default::default()).unwrap();
            let tls = node.send(request.clone()).await;
            let plain = TcpStream::connect(node.daemon.http[0]).await.unwrap();
            let plain = exchange(plain, request).await;
            for (over, answer) in [("tls", tls), ("plain", plain)] {
                let name = format!("{method} {path} over {over}");
                let shown = matches!(method, Method::GET | Method::HEAD);
                let signer = path == SIGNER && over == "tls" && shown;
                let policy = answer.headers["content-security-policy"].to_str().unwrap();
                assert!(policy.starts_with("default-src 'none'"), "{name}: {policy}");
                assert!(!policy.contains("unsafe"), "{name}: {policy}");
                let framed = if signer {
                    "frame-ancestors 'self' https://localhost:* http://localhost:*"
                } else {
                    "frame-ancestors 'none'"
                };
                assert!(policy.contains(framed), "{name}: {policy}");
                assert_eq!(answer.headers.contains_key("x-frame-options"), !signer, "{name}");
                for (header, value) in [
                    ("x-content-type-options", "nosniff"),
                    ("referrer-policy", "no-referrer"),
                    ("cross-origin-opener-policy", "same-origin"),
                    ("cross-origin-resource-policy", "same-origin"),
                ] {
                    assert_eq!(answer.headers[header], value, "{name}");
                }
                // nobody else's page reads an answer, and no page is told what runs here
                for absent in ["access-control-allow-origin", "server", "x-powered-by"] {
                    assert!(!answer.headers.contains_key(absent), "{name}: {absent}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_with_data_are_kept_by_nobody() {
    let node = Node::start().await;
    let owner = node.owner().await;
    for method in ["server.get-state", "auth.whoami", "auth.login", "no.such"] {
        let answer = node.call(method, json!({}), &owner.headers()).await;
        assert_eq!(answer.headers["cache-control"], "no-store", "{method}");
        assert_eq!(answer.headers["content-type"], "application/json", "{method}");
    }
    // a call is a POST: no link and no picture makes one
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let request = Request::builder().method(&method).uri("/rpc/v1").header("host", "localhost");
        let request = request.header("origin", "https://evil.example");
        let answer = node.send(request.body(Default::default()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert!(!answer.headers.contains_key("access-control-allow-methods"), "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_lead_to_no_file_of_the_node() {
    let node = Node::start().await;
    node.owner().await;
    for target in [
        "/../../etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/assets/../../../data/user.json",
        "/assets/..%5c..%5cuser.json",
        "/..\\..\\user.json",
        "//etc/passwd",
        "/index.html%00.css",
        "/.git/config",
        "/user.json",
        "/identity/seed.json",
        "/ssl/ca.key",
        "/ca.key",
        "file:///etc/passwd",
        "http://localhost/etc/passwd",
    ] {
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = raw(node.tls().await, request).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{target}: {answer}");
        for leak in ["root:", "password_hash", "PRIVATE KEY", "sealed"] {
            assert!(!answer.contains(leak), "{target}: {answer}");
        }
    }
    for request in ["TRACE / HTTP/1.1", "CONNECT localhost:22 HTTP/1.1", "PROPFIND / HTTP/1.1"] {
        let request =
            format!("{request}\r\nHost: localhost\r\nConnection: close\r\nX-Echo: me\r\n\r\n");
        let answer = raw(node.tls().await, request).await;
        assert!(answer.starts_with("HTTP/1.1 4") && !answer.contains("X-Echo"), "{answer}");
    }
}
