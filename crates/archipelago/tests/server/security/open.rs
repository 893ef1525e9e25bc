//! What stays open: for whom it opens, and that it ends with the session.

use archy_types::{AppId, AppState};
use futures_util::StreamExt as _;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::PATIENCE;
use super::doors::Port;
use crate::node::{Browser, Node, PASSWORD, manifest, publish, view};

type Socket = WebSocketStream<tokio_rustls::client::TlsStream<TcpStream>>;

async fn subscribe(node: &Node, headers: &[(&'static str, String)]) -> Option<Socket> {
    let mut request = "wss://localhost/ws/state".into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let opened = tokio_tungstenite::client_async(request, node.tls().await).await;
    opened.ok().map(|(socket, _)| socket)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_not_opened_for_somebody_elses_page() {
    let node = Node::start().await;
    let owner = node.owner().await;
    let own = format!("https://localhost:{}", node.address().port());
    for (origin, opens) in [
        (Some(own.as_str()), true),
        (None, true),
        (Some("https://localhost:3742"), false),
        (Some("https://evil.example"), false),
        (Some("http://127.0.0.1"), false),
        (Some("null"), false),
    ] {
        let mut headers = owner.headers();
        headers.extend(origin.map(|origin| ("origin", origin.to_owned())));
        assert_eq!(subscribe(&node, &headers).await.is_some(), opens, "{origin:?}");
    }
    assert!(subscribe(&node, &[]).await.is_none(), "without a session");
    let params = json!({"name": "ann", "password": PASSWORD, "role": "AppUser"});
    node.call("users.create", params, &owner.headers()).await;
    let ann = json!({"user": "ann", "password": PASSWORD});
    let ann = Browser::of(&node.call("auth.login", ann, &[]).await);
    assert!(subscribe(&node, &ann.headers()).await.is_none(), "as an app user");
}

/// Reads until the other end closes.
async fn ended(socket: &mut Socket) {
    let end = async { while let Some(Ok(_)) = socket.next().await {} };
    let end = tokio::time::timeout(PATIENCE, end).await;
    assert!(end.is_ok(), "the subscription goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_ends_with_its_session_while_the_state_changes() {
    let node = Node::start().await;
    let owner = node.owner().await;
    let login =
        async || Browser::of(&node.call("auth.login", json!({"password": PASSWORD}), &[]).await);
    // the state changes all the time, so that no heartbeat is ever due
    let (snapshots, id) = (node.snapshots.clone(), AppId::new("blog").unwrap());
    let busy = tokio::spawn(async move {
        let states = [AppState::Running, AppState::Stopped];
        let mut often = tokio::time::interval(std::time::Duration::from_millis(20));
        for state in states.into_iter().cycle() {
            publish(&snapshots, &id, Some(view(manifest("blog"), state)));
            often.tick().await;
        }
    });
    for way in ["logged out", "taken back", "password changed"] {
        let browser = login().await;
        let mut socket = subscribe(&node, &browser.headers()).await.unwrap();
        assert!(socket.next().await.unwrap().is_ok());
        let headers = browser.headers();
        let (caller, method, params) = match way {
            "logged out" => (headers, "auth.logout", json!({})),
            "taken back" => (owner.headers(), "auth.revokeSession", json!({"others": true})),
            _ => {
                let params = json!({"current_password": PASSWORD, "new_password": PASSWORD});
                (owner.headers(), "auth.changePassword", params)
            }
        };
        assert_eq!(node.call(method, params, &caller).await.code(), "none", "{way}");
        ended(&mut socket).await;
    }
    busy.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_connection_to_an_app_ends_with_the_right_to_it() {
    let app = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = app.local_addr().unwrap();
    let node = Node::start().await;
    let owner = node.owner().await;
    let port = Port::before(&node, upstream);
    // an app that sends one event and then nothing
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = app.accept().await {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
            }
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            open.push(stream);
        }
    });
    let params = json!({"name": "ann", "password": PASSWORD, "role": "AppUser", "apps": ["blog"]});
    node.call("users.create", params, &owner.headers()).await;
    let login = json!({"user": "ann", "password": PASSWORD});
    for (method, params) in [
        ("users.update", json!({"name": "ann", "apps": []})),
        ("users.update", json!({"name": "ann", "password": "another password"})),
        ("users.delete", json!({"name": "ann"})),
    ] {
        if method == "users.update" && params.get("password").is_some() {
            let back = json!({"name": "ann", "apps": ["blog"]});
            node.call("users.update", back, &owner.headers()).await;
        }
        let mut entered = node.call("auth.login", login.clone(), &[]).await;
        if entered.code() != "none" {
            let new = json!({"user": "ann", "password": "another password"});
            entered = node.call("auth.login", new, &[]).await;
        }
        let ann = Browser::of(&entered);
        let stream = TokioIo::new(TcpStream::connect(port.at).await.unwrap());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let cookie = format!("session={}", ann.session);
        let request = Request::get("/").header("host", "localhost").header("cookie", cookie);
        let request = request.body(Full::<Bytes>::default()).unwrap();
        let mut events = sender.send_request(request).await.unwrap();
        let first = events.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first, "data: 1\n\n");
        assert_eq!(node.call(method, params.clone(), &owner.headers()).await.code(), "none");
        let end = async { while let Some(Ok(_)) = events.body_mut().frame().await {} };
        tokio::time::timeout(PATIENCE, end)
            .await
            .unwrap_or_else(|_| panic!("{params} ends nothing"));
    }
}
