//! Requests that two readers could read differently; headers and paths that are none.

use archy_proxy::{Access, Limits};
use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{codes, raw, raw_over};
use crate::stand::{DEADLINE, Stand, Tls};

const COOKIE: &str = "Cookie: session=good\r\n";

/// What is smuggled: seen by the app, it would be answered with these words.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: n\r\nCookie: session=good\r\n\r\n";

/// Heads and bodies that cannot be read for sure, and how they are answered.
const UNSURE: &[(&str, &str, &str, u16)] = &[
    ("two lengths", "Content-Length: 0\r\nContent-Length: 5\r\n", "", 400),
    ("a list of lengths", "Content-Length: 0, 5\r\n", "", 400),
    ("a length with a sign", "Content-Length: +5\r\n", "hello", 400),
    ("a length in hex", "Content-Length: 0x5\r\n", "hello", 400),
    ("a length below zero", "Content-Length: -1\r\n", "", 400),
    ("a huge length", "Content-Length: 18446744073709551616\r\n", "", 400),
    ("an unknown coding", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n", 400),
    ("chunked is not last", "Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n", 400),
    ("a space before the colon", "Transfer-Encoding : chunked\r\n", "", 400),
    ("a folded line", "X-A: 1\r\n Transfer-Encoding: chunked\r\n", "", 400),
    ("a tab in a name", "Transfer-\tEncoding: chunked\r\n", "", 400),
    ("a carriage return alone", "X-A: 1\rX-B: 2\r\n", "", 400),
    ("a NUL", "X-A: a\0b\r\n", "", 400),
    ("two hosts", "Host: evil\r\n", "", 400),
    (
        "a chunk's size with a sign",
        "Transfer-Encoding: chunked\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        502,
    ),
    (
        "a chunk's size that overflows",
        "Transfer-Encoding: chunked\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        502,
    ),
    (
        "a chunk that is longer than it says",
        "Transfer-Encoding: chunked\r\n",
        "2\r\nhello\r\n0\r\n\r\n",
        502,
    ),
];

#[tokio::test]
async fn a_request_is_read_in_one_way_only() {
    let stand = Stand::new(Access::Open).await;
    let length = SMUGGLED.len().to_string();
    let both = [
        // the coding counts, the length does not: what follows the last chunk is another request
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
    ];
    let both = both.iter().map(|head| ("length and coding", head.as_str(), "0\r\n\r\n", 200));
    for (name, head, body, wanted) in UNSURE.iter().copied().chain(both) {
        let request = format!(
            "POST /count HTTP/1.1\r\nHost: n\r\nConnection: close\r\n{head}\r\n{body}{SMUGGLED}"
        );
        let answer = raw(stand.at, request).await;
        let found = codes(&answer);
        // a broken chunk may also just end the connection
        let broken = wanted == 502 && (found.is_empty() || found == [400]);
        assert!(found == [wanted] || broken, "{name}: {answer}");
        assert!(!answer.contains("/smuggled"), "{name}: {answer}");
    }
    // HTTP/1.0 knows no chunks
    let old = "POST /count HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let answer = raw(stand.at, format!("{old}{SMUGGLED}")).await;
    assert!(answer.contains(" 400 ") && !answer.contains("/smuggled"), "{answer}");
}

#[tokio::test]
async fn what_the_app_reads_is_framed_anew() {
    // an app that keeps the very bytes
    let app = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stand = Stand::new(Access::Open).await;
    let rule = archy_proxy::Rule { upstream: app.local_addr().unwrap(), ..stand.rule.clone() };
    stand.gate.set(&[rule], &[stand.at.ip()]);
    let request = "POST /a HTTP/1.1\r\nHost: n\r\nContent-Length: 100\r\nTransfer-Encoding: chunked\r\n\
                   Connection: close, X-Hop, Host\r\nX-Hop: 1\r\nTE: trailers\r\nExpect: 100-continue\r\n\
                   Upgrade: h2c\r\n\r\n5;ext=1\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n";
    let asked = tokio::spawn(raw(stand.at, request));
    let (mut stream, _) = app.accept().await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"0\r\n\r\n") {
        let read = tokio::time::timeout(DEADLINE, stream.read_buf(&mut seen)).await.unwrap();
        assert_ne!(read.unwrap(), 0, "{}", String::from_utf8_lossy(&seen));
    }
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    assert!(asked.await.unwrap().contains(" 204 "));
    let seen = String::from_utf8(seen).unwrap().to_ascii_lowercase();
    let (head, body) = seen.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "5\r\nhello\r\n0\r\n\r\n");
    for (line, there) in [
        ("transfer-encoding: chunked", true),
        ("host: n", true),
        ("content-length", false),
        ("x-hop", false),
        ("expect", false),
        ("upgrade", false),
        ("connection", false),
        ("ext=1", false),
    ] {
        assert_eq!(head.contains(line), there, "{line} in\n{head}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let stand = Stand::new(Access::Open).await;
    let many: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    for (name, head) in [
        ("one header", format!("X-A: {}\r\n", "a".repeat(300 * 1024))),
        ("many headers", many),
        ("a long target", String::new()),
    ] {
        let path = if head.is_empty() { "/".repeat(100 * 1024) } else { "/".to_owned() };
        let request = format!("GET {path} HTTP/1.1\r\nHost: n\r\nConnection: close\r\n{head}\r\n");
        let answer = raw(stand.at, request).await;
        let code = codes(&answer);
        assert!(matches!(code[..], [414 | 431] | []), "{name}: {code:?}");
    }
}

#[tokio::test]
async fn paths_reach_the_app_as_they_are_and_nothing_else_does() {
    let stand = Stand::new(Access::Gated).await;
    let ask = async |target: &str, cookie: &str| {
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: n\r\nConnection: close\r\n{cookie}\r\n");
        raw(stand.at, request).await
    };
    // nobody passes by the way a path is written
    let paths = [
        "/../etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/x",
        "//evil.example/x",
        "/a\\..\\b",
        "/%00",
        "/;/x",
        "/.archipelago/../x",
        "/%2earchipelago/login",
        "/nostr-provider.js/../x",
    ];
    for path in paths {
        let answer = ask(path, "").await;
        let code = codes(&answer);
        assert!(matches!(code[..], [401 | 404 | 400]), "{path}: {answer}");
        assert!(!answer.contains("x-forwarded-for"), "{path} reached the app: {answer}");
    }
    for path in paths.iter().filter(|path| !path.starts_with("/.archipelago")) {
        let answer = ask(path, COOKIE).await;
        let code = codes(&answer);
        assert!(answer.contains(&format!("GET {path}\n")) || code == [400], "{path}: {answer}");
    }
    for (target, wanted) in [
        ("http://n/x", 200),
        ("http://evil.example/x", 400),
        ("/a b", 400),
        ("*", 400),
        ("x", 400),
        ("/\u{0}", 400),
    ] {
        let answer = ask(target, COOKIE).await;
        assert_eq!(codes(&answer), [wanted], "{target}: {answer}");
    }
    for method in ["CONNECT n:80", "CONNECT 127.0.0.1:22", "TRACE /"] {
        let request = format!("{method} HTTP/1.1\r\nHost: n\r\nConnection: close\r\n{COOKIE}\r\n");
        let answer = raw(stand.at, request).await;
        assert_eq!(codes(&answer), [405], "{method}: {answer}");
        assert!(!answer.contains("session=good"), "{answer}");
    }
}

#[tokio::test]
async fn nobody_makes_a_tunnel_of_a_connection() {
    let stand = Stand::new(Access::Open).await;
    for upgrade in ["h2c", "tcp", "websocket, h2c", "TLS/1.0"] {
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: n\r\nConnection: Upgrade, HTTP2-Settings\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nHTTP2-Settings: AAMAAABk\r\n\
             Upgrade: {upgrade}\r\n\r\n"
        );
        let mut stream = TcpStream::connect(stand.at).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 12];
        // the app upgrades whatever it is asked; the gate passes no such answer on
        stream.read_exact(&mut answer).await.unwrap();
        assert_ne!(&answer, b"HTTP/1.1 101", "{upgrade}");
    }
    // HTTP/2 in plain is not spoken
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let answer = raw(stand.at, preface).await;
    assert!(!answer.contains(" 200 "), "{answer}");
}

#[tokio::test]
async fn what_comes_over_http2_cannot_break_out_into_http1() {
    let Tls { server, client } = Tls::new();
    let stand = Stand::with(Access::Open, Limits::default(), Some(server)).await;
    let io = TokioIo::new(Tls::connect(&client, stand.at, &["h2"]).await);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let at = format!("https://node.local:{}", stand.at.port());
    let request = |name: &'static str, value: &'static str| {
        let request = Request::builder().version(Version::HTTP_2).uri(format!("{at}/x"));
        request.header(name, value).body(Empty::<Bytes>::new()).unwrap()
    };
    for (name, value) in [
        ("host", "evil.example"),
        ("x-forwarded-for", "1.2.3.4"),
        ("x_forwarded_for", "1.2.3.4"),
        ("x-visitor", "root"),
        ("x_visitor", "root"),
        ("cookie", "session=good"),
    ] {
        let response = sender.send_request(request(name, value)).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let seen = String::from_utf8_lossy(&body);
        assert!(status == 400 || !seen.contains(value), "{name}: {value} in {seen}");
        assert_eq!(status == 400, name == "host", "{name}: {seen}");
    }
    // headers of a connection are no part of HTTP/2: such a stream is broken off
    for (name, value) in [("transfer-encoding", "chunked"), ("connection", "x")] {
        let frames = headers_frame(name, value);
        let mut stream = Tls::connect(&client, stand.at, &["h2"]).await;
        stream.write_all(&frames).await.unwrap();
        let mut answer = Vec::new();
        let reset = async {
            // RST_STREAM of stream 1 (type 3)
            while !answer.windows(9).any(|at| at[3] == 3 && at[5..9] == [0, 0, 0, 1]) {
                assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "closed");
            }
        };
        tokio::time::timeout(DEADLINE, reset).await.unwrap();
        assert!(!String::from_utf8_lossy(&answer).contains("smuggled"));
    }
}

/// A connection's preface and one request with a header, uncompressed (RFC 7541, section 6.2.2).
fn headers_frame(name: &str, value: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x87];
    for (name, value) in [(":path", "/smuggled"), (":authority", "n"), (name, value)] {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    let mut frames = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frames.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 0, 0]);
    let length = u8::try_from(block.len()).unwrap();
    frames.extend_from_slice(&[0, 0, length, 1, 5, 0, 0, 0, 1]);
    frames.extend_from_slice(&block);
    frames
}

#[tokio::test]
async fn old_versions_of_tls_are_not_spoken() {
    let Tls { server, client } = Tls::new();
    let stand = Stand::with(Access::Open, Limits::default(), Some(server)).await;
    for version in [[3, 0], [3, 1], [3, 2]] {
        let answer = raw(stand.at, hello(version)).await;
        // an alert (21), fatal (2): protocol version (70), or none at all
        let bytes: Vec<char> = answer.chars().collect();
        assert!(bytes.is_empty() || bytes[0] == '\u{15}', "{version:?}: {answer:?}");
    }
    let stream = Tls::connect(&client, stand.at, &["http/1.1"]).await;
    let version = stream.get_ref().1.protocol_version();
    assert_eq!(version, Some(rustls::ProtocolVersion::TLSv1_3));
    let request = "GET / HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n";
    assert_eq!(codes(&raw_over(stream, request).await), [200]);
}

/// A greeting of a client that knows this version at most, without extensions.
fn hello(version: [u8; 2]) -> Vec<u8> {
    let mut body = version.to_vec();
    body.extend_from_slice(&[7; 32]);
    // no session, one suite (RSA with AES-128-CBC), no compression
    body.extend_from_slice(&[0, 0, 2, 0x00, 0x2f, 1, 0]);
    let length = u8::try_from(body.len()).unwrap();
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend_from_slice(&body);
    record
}
