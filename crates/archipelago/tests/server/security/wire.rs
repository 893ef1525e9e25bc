//! Below HTTP and at its edges: versions of TLS, framing, heads and bodies that stall.

use std::time::Duration;

use archipelago::net::serve::Limits;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{PATIENCE, raw};
use crate::node::Node;

#[tokio::test(flavor = "multi_thread")]
async fn old_versions_of_tls_are_not_spoken() {
    let node = Node::start().await;
    for version in [[3, 0], [3, 1], [3, 2]] {
        let mut body = version.to_vec();
        body.extend_from_slice(&[7; 32]);
        body.extend_from_slice(&[0, 0, 2, 0x00, 0x2f, 1, 0]);
        let length = u8::try_from(body.len()).unwrap();
        let mut hello = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
        hello.extend_from_slice(&body);
        let answer = raw(TcpStream::connect(node.address()).await.unwrap(), hello).await;
        // an alert or nothing, never a greeting (22)
        assert!(!answer.starts_with('\u{16}'), "{version:?}: {answer:?}");
    }
    let version = node.tls().await.get_ref().1.protocol_version();
    assert_eq!(version, Some(rustls::ProtocolVersion::TLSv1_3));
    // plain HTTP on the port of HTTPS gets nothing
    let plain = TcpStream::connect(node.address()).await.unwrap();
    let answer = raw(plain, "POST /rpc/v1 HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(!answer.contains("HTTP/1.1 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_read_in_one_way_only() {
    let node = Node::start().await;
    let smuggled = "POST /rpc/v1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 19\r\n\r\n{\"method\":\"health\"}";
    let length = smuggled.len();
    for (name, head, body) in [
        ("two lengths", "Content-Length: 2\r\nContent-Length: 3\r\n".to_owned(), "{}"),
        ("a space before the colon", "Transfer-Encoding : chunked\r\n".to_owned(), ""),
        ("a folded line", "X-A: 1\r\n Content-Length: 3\r\n".to_owned(), ""),
        ("an unknown coding", "Transfer-Encoding: gzip\r\n".to_owned(), ""),
        ("chunked is not last", "Transfer-Encoding: chunked, gzip\r\n".to_owned(), ""),
        ("a NUL", "X-A: \0\r\n".to_owned(), ""),
        (
            "length and coding",
            format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
            "0\r\n\r\n",
        ),
    ] {
        let request = format!(
            "POST /rpc/v1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}\r\n{body}{smuggled}"
        );
        let answer = raw(node.tls().await, request).await;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{name}: {answer}");
        assert!(!answer.contains("\"status\""), "{name}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_and_bodies_have_a_size_and_a_deadline() {
    let short = Duration::from_millis(200);
    let limits = Limits { head: short, body: short, still: short, ..Limits::default() };
    let node = Node::start_with(&[], limits).await;
    for (name, head) in [
        ("a header", format!("X-A: {}\r\n", "a".repeat(128 * 1024))),
        ("headers", (0..200).map(|n| format!("X-{n}: 1\r\n")).collect()),
    ] {
        let request =
            format!("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}\r\n");
        let answer = raw(node.tls().await, request).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{name}: {answer}");
    }
    // a body that begins and does not go on; the connection ends with its answer
    for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let mut tls = node.tls().await;
        let head = format!(
            "POST /rpc/v1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{framing}\r\n\r\n"
        );
        tls.write_all(head.as_bytes()).await.unwrap();
        let answer = raw(tls, if framing.starts_with('C') { "{" } else { "1\r\n{" }).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{framing}: {answer}");
        assert!(answer.contains("deadline"), "{answer}");
    }
    // an answer that nobody takes does not hold its place
    let mut tls = node.tls().await;
    let page = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20_000);
    let given_up = async {
        loop {
            if tls.write_all(page.as_bytes()).await.is_err() {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, given_up).await.unwrap();
    assert!(node.call("health", json!({}), &[]).await.status.is_success());
}
