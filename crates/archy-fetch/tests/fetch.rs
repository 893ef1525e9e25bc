//! Fetches from a server on loopback that behaves in many ways.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use archy_fetch::{FetchError, Fetcher, Limits, LocalRequest, get_json, request, tls_config};
use archy_types::Digest;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

type Body = BoxBody<Bytes, Infallible>;

fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).boxed()
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let builder = Response::builder();
    let response = match path.as_str() {
        "/ok" => builder.body(full("hello")),
        "/json" => builder.body(full(r#"{"a":{"b":[1,2]}}"#)),
        "/host" => {
            let host = request.headers()["host"].to_str().unwrap().to_owned();
            builder.body(full(host))
        }
        "/echo" => {
            let kind = request.headers().get("content-type").cloned();
            let method = request.method().to_string();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let text = format!("{method} {kind:?} {}", String::from_utf8_lossy(&body));
            builder.status(201).body(full(text))
        }
        "/to-ok" => builder.status(302).header("location", "ok").body(full("")),
        "/tagged" if request.headers().get("if-none-match").is_some_and(|it| it == "\"1\"") => {
            builder.status(304).body(full(""))
        }
        "/tagged" => builder.header("etag", "\"1\"").body(full("news")),
        "/always-304" => builder.status(304).body(full("")),
        "/loop" => builder.status(307).header("location", "/loop").body(full("")),
        "/to-http" => builder.status(301).header("location", "http://127.0.0.1/").body(full("")),
        "/lost" => builder.status(302).body(full("")),
        "/packed" => builder.header("content-encoding", "gzip").body(full("hello")),
        "/endless" => {
            let frames = std::iter::repeat_with(|| Ok(Frame::data(Bytes::from(vec![b'x'; 1000]))));
            builder.body(BodyExt::boxed(StreamBody::new(futures_util::stream::iter(frames))))
        }
        "/hangs" => std::future::pending().await,
        _ => builder.status(404).body(full("no")),
    };
    Ok(response.unwrap())
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let server = hyper::server::conn::http1::Builder::new();
    drop(server.serve_connection(TokioIo::new(stream), service_fn(answer)).await);
}

async fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// An https server for `localhost` and its certificate.
async fn start_tls() -> (SocketAddr, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream).await;
                }
            });
        }
    });
    (address, made.cert.pem())
}

fn plain() -> Fetcher {
    Fetcher::new(None, "test")
}

#[tokio::test]
async fn a_file_is_fetched_also_behind_a_redirect() {
    let address = start().await;
    for path in ["ok", "to-ok"] {
        let url = format!("http://{address}/{path}");
        let fetched = plain().get(&url, &Limits::default()).await.unwrap();
        assert_eq!(fetched.body, "hello", "{path}");
        assert_eq!(fetched.url, format!("http://{address}/ok"));
    }
    let host = plain().get(&format!("http://{address}/host"), &Limits::default()).await.unwrap();
    assert_eq!(host.body, address.to_string());
}

#[tokio::test]
async fn only_the_expected_digest_passes() {
    let address = start().await;
    let url = format!("http://{address}/ok");
    let right = Digest::of(b"hello");
    plain().get_verified(&url, right, &Limits::default()).await.unwrap();
    let expected = Digest::of(b"other");
    let error = plain().get_verified(&url, expected, &Limits::default()).await.unwrap_err();
    assert_eq!(error, FetchError::Digest { url, expected, found: right });
}

#[tokio::test]
async fn limits_hold() {
    let address = start().await;
    let limits = Limits { deadline: Duration::from_secs(20), max_bytes: 4, max_redirects: 3 };
    let short = Limits { deadline: Duration::from_millis(50), ..limits };
    for (path, limits, code) in [
        ("ok", limits, "fetch-too-large"),
        ("endless", limits, "fetch-too-large"),
        ("loop", limits, "fetch-redirects"),
        ("lost", limits, "fetch-status"),
        ("missing", limits, "fetch-status"),
        ("packed", limits, "fetch-http"),
        ("hangs", short, "fetch-deadline"),
    ] {
        let url = format!("http://{address}/{path}");
        let error = plain().get(&url, &limits).await.unwrap_err();
        assert_eq!(error.code(), code, "{path}: {error}");
        assert!(!error.hint().is_empty());
    }
    let exact = Limits { max_bytes: 5, ..limits };
    plain().get(&format!("http://{address}/ok"), &exact).await.unwrap();
    let none = Limits { max_redirects: 0, ..exact };
    let error = plain().get(&format!("http://{address}/to-ok"), &none).await.unwrap_err();
    assert_eq!(error.code(), "fetch-redirects");
}

#[tokio::test]
async fn what_is_here_already_is_not_sent_again() {
    let address = start().await;
    let url = format!("http://{address}/tagged");
    for (tag, expected) in
        [(None, Some("news")), (Some("\"0\""), Some("news")), (Some("\"1\""), None)]
    {
        let fetched = plain().get_if_changed(&url, tag, &Limits::default()).await.unwrap();
        assert_eq!(fetched.map(|it| it.body), expected.map(Bytes::from), "{tag:?}");
    }
    // one that says "unchanged" of what was never sent is broken
    let url = format!("http://{address}/always-304");
    assert_eq!(plain().get(&url, &Limits::default()).await.unwrap_err().code(), "fetch-status");
}

#[tokio::test]
async fn https_needs_a_trusted_name() {
    let (address, pem) = start_tls().await;
    let trusting = Fetcher::new(Some(tls_config(pem.as_bytes()).unwrap()), "test");
    let limits = Limits { deadline: Duration::from_secs(20), ..Limits::default() };
    let port = address.port();
    let fetched = trusting.get(&format!("https://localhost:{port}/to-ok"), &limits).await.unwrap();
    assert_eq!(fetched.body, "hello");

    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let stranger = Fetcher::new(Some(tls_config(other.cert.pem().as_bytes()).unwrap()), "test");
    let cases = [
        (&trusting, format!("https://127.0.0.1:{port}/ok"), "fetch-tls"),
        (&stranger, format!("https://localhost:{port}/ok"), "fetch-tls"),
        (&plain(), format!("https://localhost:{port}/ok"), "fetch-tls"),
        (&trusting, format!("https://localhost:{port}/to-http"), "fetch-insecure-redirect"),
    ];
    for (fetcher, url, code) in cases {
        let error = fetcher.get(&url, &limits).await.unwrap_err();
        assert_eq!(error.code(), code, "{url}: {error}");
        assert!(!error.is_retryable());
    }
    assert_eq!(tls_config(b"nothing").unwrap_err().code(), "fetch-tls");
}

#[tokio::test]
async fn what_is_sent_goes_to_one_place() {
    let address = start().await;
    let post = async |path: &str| {
        let (headers, body) = (http::HeaderMap::new(), Bytes::from_static(b"{}"));
        let deadline = Duration::from_millis(500);
        plain().post(&format!("http://{address}{path}"), &headers, body, deadline).await
    };
    assert_eq!(post("/echo").await, Ok(()));
    // of an answer only the status counts
    assert_eq!(post("/endless").await, Ok(()));
    assert_eq!(post("/packed").await, Ok(()));
    assert!(matches!(post("/to-ok").await, Err(FetchError::Status { status: 302, .. })));
    assert!(matches!(post("/nothing").await, Err(FetchError::Status { status: 404, .. })));
    assert!(matches!(post("/hangs").await, Err(FetchError::Deadline { .. })));
}

#[tokio::test]
async fn nobody_there_is_told_and_may_be_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = plain().get(&format!("http://{address}/"), &Limits::default()).await.unwrap_err();
    assert_eq!(error.code(), "fetch-unreachable");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn a_server_that_speaks_no_http_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let text = b"SSH-2.0-server\r\n";
            drop(tokio::io::AsyncWriteExt::write_all(&mut stream, text).await);
        }
    });
    let error = plain().get(&format!("http://{address}/"), &Limits::default()).await.unwrap_err();
    assert_eq!(error.code(), "fetch-http", "{error}");
}

#[tokio::test]
async fn local_ports_are_asked() {
    let address = start().await;
    let long = Duration::from_secs(20);
    assert_eq!(get_json(address, "/json", long).await.unwrap(), json!({"a": {"b": [1, 2]}}));
    for (path, code) in [
        ("/ok", "fetch-json"),
        ("/missing", "fetch-status"),
        ("/endless", "fetch-too-large"),
        ("json", "fetch-url"),
        ("/a b", "fetch-url"),
    ] {
        let error = get_json(address, path, long).await.unwrap_err();
        assert_eq!(error.code(), code, "{path}: {error}");
    }
    let error = get_json(address, "/hangs", Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(error.code(), "fetch-deadline");

    let missing = request(&LocalRequest::get(address, "/missing"), long, 100).await.unwrap();
    assert_eq!((missing.status, missing.body.as_ref()), (404, b"no".as_ref()));
    let cut = request(&LocalRequest::get(address, "/endless"), long, 2500).await.unwrap();
    assert_eq!((cut.status, cut.body.len()), (200, 2500));
    let post = |body: &str| LocalRequest {
        method: "POST".to_owned(),
        body: Some(body.to_owned()),
        ..LocalRequest::get(address, "/echo")
    };
    let answer = request(&post(r#"{"a":1}"#), long, 100).await.unwrap();
    assert_eq!(answer.status, 201);
    assert_eq!(answer.body, r#"POST Some("application/json") {"a":1}"#);
    let answer = request(&post("x=1"), long, 100).await.unwrap();
    assert!(String::from_utf8_lossy(&answer.body).contains("text/plain"));
}
