//! The client against small servers: calls, deadlines, streams, subscriptions, sessions.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use archy_api::logs::LogQuery;
use archy_api::method::{AuthIsSetup, PackageStart, SystemGetHostname};
use archy_api::package::AppParams;
use archy_api::rpc::{ErrorObject, Request, Response};
use archy_api::state::StateData;
use archy_api::subscribe::{PatchOperation, StateFrame};
use archy_api::{NoParams, paths};
use archy_client::{Client, ClientError};
use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response as HttpResponse};
use axum::routing::{get, post};
use serde_json::json;

/// Serves on a unix socket until the test's runtime ends.
fn serve(router: Router) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (dir, path)
}

fn rpc(answer: impl Fn(Request) -> HttpResponse + Clone + Send + Sync + 'static) -> Router {
    let handler = move |body: Bytes| {
        let response = answer(Request::parse(&body).unwrap());
        async move { response }
    };
    Router::new().route(paths::RPC, post(handler))
}

fn failed(status: u16, error: ErrorObject) -> HttpResponse {
    (StatusCode::from_u16(status).unwrap(), axum::Json(Response::failed(None, error)))
        .into_response()
}

#[tokio::test]
async fn calls_and_refusals() {
    let (_dir, path) = serve(rpc(|request| match request.method.as_str() {
        "auth.isSetup" => axum::Json(Response::ok(request.id, json!(true))).into_response(),
        "package.start" => {
            failed(200, ErrorObject::new(-32000, "app-not-found", "Not found: no such app."))
        }
        "health" => (StatusCode::BAD_GATEWAY, "<html>").into_response(),
        _ => failed(401, ErrorObject::new(401, "unauthorized", "Session missing.")),
    }));
    let client = Client::unix(path);
    assert!(client.call::<AuthIsSetup>(NoParams {}).await.unwrap());
    let error = client.call::<PackageStart>(AppParams { id: "x".into() }).await.unwrap_err();
    assert!(matches!(error, ClientError::Rejected(_)), "{error:?}");
    assert_eq!(error.code(), "app-not-found");
    assert_eq!(error.hint(), Some("`archy list` shows what is installed."));
    let error = client.call::<SystemGetHostname>(NoParams {}).await.unwrap_err();
    assert!(matches!(error, ClientError::Unauthorized(_)), "{error:?}");
    let error = client.call_raw("health", json!({})).await.unwrap_err();
    assert!(matches!(error, ClientError::Protocol(_)), "{error:?}");
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let handler = post(|| async { std::future::pending::<()>().await });
    let (_dir, path) = serve(Router::new().route(paths::RPC, handler));
    let client = Client::unix(path).with_deadline(Duration::from_millis(50));
    let error = client.call::<AuthIsSetup>(NoParams {}).await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn nobody_there() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::unix(dir.path().join("no.sock"));
    let error = client.call::<AuthIsSetup>(NoParams {}).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
    assert!(matches!(client.watch().await, Err(ClientError::Unreachable { .. })));
}

#[tokio::test]
async fn log_lines_and_their_end() {
    let body = "{\"ts\":1,\"service\":\"main\",\"stream\":\"stdout\",\"line\":\"a\"}\n\n\
                {\"error\":{\"code\":\"logs-unavailable\",\"message\":\"The journal is gone.\"}}";
    let (_dir, path) = serve(Router::new().route(paths::LOGS, get(move || async move { body })));
    let query = LogQuery { app: "blog".into(), service: None, lines: None, since: None, follow: 1 };
    let mut stream = Client::unix(path).logs(&query).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().line, "a");
    assert_eq!(stream.next().await.unwrap_err().code(), "logs-unavailable");
    assert!(stream.next().await.unwrap().is_none());
}

fn data(name: &str) -> StateData {
    let mut data = StateData::default();
    data.server_info.name = name.to_owned();
    data
}

async fn send(socket: &mut WebSocket, frame: &StateFrame) {
    let text = serde_json::to_string(frame).unwrap();
    socket.send(Message::Text(text.into())).await.unwrap();
}

fn rename(from: u64, seq: u64, name: &str) -> StateFrame {
    let path = "/server_info/name".to_owned();
    let patch = vec![PatchOperation::Replace { path, value: json!(name) }];
    StateFrame::Patch { seq, from, patch }
}

/// What the server does with the n-th connection of a subscription.
async fn script(connection: usize, mut socket: WebSocket) {
    match connection {
        0 => {
            let snapshot = Box::new(data("one"));
            send(&mut socket, &StateFrame::Snapshot { seq: 5, snapshot }).await;
            send(&mut socket, &StateFrame::Heartbeat { heartbeat: 1 }).await;
        }
        1 => {
            send(&mut socket, &rename(5, 6, "two")).await;
            // a gap: the client must ask for everything
            send(&mut socket, &rename(8, 9, "lost")).await;
            let _ = socket.recv().await;
        }
        _ => {
            let snapshot = Box::new(data("three"));
            send(&mut socket, &StateFrame::Snapshot { seq: 9, snapshot }).await;
            let _ = socket.recv().await;
        }
    }
}

#[tokio::test]
async fn a_subscription_goes_on_after_a_lost_connection() {
    let queries = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&queries);
    let handler = move |uri: axum::http::Uri, upgrade: WebSocketUpgrade| {
        let connection = {
            let mut seen = seen.lock().unwrap();
            seen.push(uri.query().unwrap_or("").to_owned());
            seen.len() - 1
        };
        async move { upgrade.on_upgrade(move |socket| script(connection, socket)) }
    };
    let (_dir, path) = serve(Router::new().route(paths::STATE, get(handler)));
    let mut watch = Client::unix(path).watch().await.unwrap();
    for (seq, name) in [(5, "one"), (6, "two"), (9, "three")] {
        let update = watch.next().await.unwrap();
        assert_eq!((update.seq, update.data.server_info.name.as_str()), (seq, name));
    }
    assert_eq!(*queries.lock().unwrap(), ["", "since=5", ""]);
}

#[tokio::test]
async fn a_server_that_hangs_up_is_not_asked_for_ever() {
    let handler = |upgrade: WebSocketUpgrade| async move { upgrade.on_upgrade(|_| async {}) };
    let (_dir, path) = serve(Router::new().route(paths::STATE, get(handler)));
    let mut watch = Client::unix(path).watch().await.unwrap();
    let error = watch.next().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_subscription_needs_a_session() {
    let handler =
        || async { failed(401, ErrorObject::new(401, "unauthorized", "Session missing.")) };
    let (_dir, path) = serve(Router::new().route(paths::STATE, get(handler)));
    let error = Client::unix(path).watch().await.unwrap_err();
    assert!(matches!(error, ClientError::Unauthorized(_)), "{error:?}");
}

/// TLS over TCP for axum.
struct Tls {
    tcp: tokio::net::TcpListener,
    acceptor: tokio_rustls::TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = tokio_rustls::server::TlsStream<tokio::net::TcpStream>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.tcp.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

async fn serve_tls(router: Router) -> (String, String) {
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let der = rustls_pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], der)
        .unwrap();
    let tcp = tokio::net::TcpListener::bind(("localhost", 0)).await.unwrap();
    let port = tcp.local_addr().unwrap().port();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move { axum::serve(Tls { tcp, acceptor }, router).await });
    (format!("https://localhost:{port}"), key.cert.pem())
}

#[tokio::test]
async fn a_session_over_https() {
    let handler = |headers: HeaderMap, body: Bytes| async move {
        let request = Request::parse(&body).unwrap();
        let text = |name: &str| headers.get(name).map_or("", |v| v.to_str().unwrap()).to_owned();
        if request.method == "auth.login" {
            assert_eq!(request.params, Some(json!({"password": "open sesame"})));
            let cookies = axum::response::AppendHeaders([
                (header::SET_COOKIE, "session=s1; HttpOnly; Secure"),
                (header::SET_COOKIE, "csrf_token=c1; Secure"),
            ]);
            return (cookies, axum::Json(Response::ok(request.id, json!(null)))).into_response();
        }
        assert_eq!(text("cookie"), "session=s1; csrf_token=c1");
        assert_eq!(text("x-csrf-token"), "c1");
        axum::Json(Response::ok(request.id, json!(true))).into_response()
    };
    let (url, ca) = serve_tls(Router::new().route(paths::RPC, post(handler))).await;
    let mut client = Client::https(&url, ca.as_bytes(), None).unwrap();
    client.login("open sesame").await.unwrap();
    assert!(client.call::<AuthIsSetup>(NoParams {}).await.unwrap());

    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let stranger = Client::https(&url, other.cert.pem().as_bytes(), None).unwrap();
    let error = stranger.call::<AuthIsSetup>(NoParams {}).await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
    assert!(matches!(Client::https(&url, b"", None), Err(ClientError::Address(_))));
}
